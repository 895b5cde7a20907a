package signalbox.contract;

import io.grpc.StatusRuntimeException;
import java.time.Duration;
import signalbox.client.Failure;
import signalbox.client.SignalboxClient;
import signalbox.router.v1.Router.ChatMessage;
import signalbox.router.v1.Router.CreateChatCompletionRequest;

final class Example {
    public static void main(String[] args) {
        CreateChatCompletionRequest request = CreateChatCompletionRequest.newBuilder()
                .setModel("auto")
                .addMessages(ChatMessage.newBuilder().setRole("user").setContent("Say hello"))
                .build();
        try (SignalboxClient client = SignalboxClient.plaintext(args[0], SignalboxClient.DEFAULT_ATTEMPTS)) {
            client.router().withDeadlineAfter(Duration.ofSeconds(10)).streamChatCompletion(request)
                    .forEachRemaining(chunk -> System.out.print(chunk.getChoices(0).getDelta().getContent()));
        } catch (StatusRuntimeException error) {
            Failure failure = Failure.of(error);
            System.err.println(failure.message() + " " + failure.errorInfo() + " " + failure.retryAfter());
            System.exit(1);
        }
    }
}
