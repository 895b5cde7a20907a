package signalbox.contract;

import static signalbox.contract.Checks.check;
import static signalbox.contract.Checks.fails;
import static signalbox.contract.Checks.same;

import com.google.rpc.BadRequest.FieldViolation;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.Metadata;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.reflection.v1.ServerReflectionResponse.MessageResponseCase;
import io.grpc.reflection.v1.ServiceResponse;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import signalbox.client.Failure;
import signalbox.client.SignalboxClient;
import signalbox.embeddings.v1.Embeddings.CreateEmbeddingsRequest;
import signalbox.router.v1.Router.ChatCompletion;
import signalbox.router.v1.Router.ChatCompletionChunk;
import signalbox.router.v1.Router.ChatMessage;
import signalbox.router.v1.Router.CreateChatCompletionRequest;
import signalbox.router.v1.Router.GetPolicyRequest;
import signalbox.router.v1.Router.ListModelsRequest;
import signalbox.router.v1.RouterServiceGrpc;
import signalbox.router.v1.RouterServiceGrpc.RouterServiceBlockingStub;

/** The habits that the contract promises to reward: one group each. */
final class Cases {
    private static final Metadata.Key<String> REQUEST_ID =
            Metadata.Key.of("x-request-id", Metadata.ASCII_STRING_MARSHALLER);
    private static final Metadata.Key<String> TRACEPARENT =
            Metadata.Key.of("traceparent", Metadata.ASCII_STRING_MARSHALLER);

    private Cases() {}

    static List<Case> all() {
        return List.of(
                Case.of("bidirectional", "reflection answers each question before the next", Cases::reflection),
                Case.of("error_details", "BadRequest names the field", Cases::badRequest),
                Case.of("error_details", "RetryInfo says when to come back", Cases::retryInfo),
                Case.of("cancellation", "a cancelled stream ends at the upstream too", Cases::cancelled),
                Case.of("cancellation", "leaving the context cancels the stream", Cases::left),
                Case.of("deadline", "stalled model", Cases::deadline),
                Case.of("metadata", "own request id and trace", Cases::metadata),
                Case.of("retry", "the third try brings the answer", Cases::retry),
                Case.of("retry", "without a retry policy the first failure stays", Cases::withoutRetry),
                Case.of("concurrency", "200 calls at once on one connection", Cases::concurrency));
    }

    /** A chat request with one message of the user. */
    private static CreateChatCompletionRequest chat(String model, String text) {
        return CreateChatCompletionRequest.newBuilder()
                .setModel(model)
                .addMessages(ChatMessage.newBuilder().setRole("user").setContent(text))
                .build();
    }

    /** A text that tells this request apart in the upstream's record. */
    private static String unique() {
        return UUID.randomUUID().toString();
    }

    private static void reflection(Platform platform) throws Exception {
        List<ServiceDescriptor> services = Rows.services();
        Answers<ServerReflectionResponse> answers = new Answers<>();
        try (SignalboxClient client = platform.client()) {
            StreamObserver<ServerReflectionRequest> questions =
                    ServerReflectionGrpc.newStub(client.channel()).serverReflectionInfo(answers);
            questions.onNext(ServerReflectionRequest.newBuilder().setListServices("*").build());
            List<String> names = answers.next().getListServicesResponse().getServiceList().stream()
                    .map(ServiceResponse::getName)
                    .toList();
            for (ServiceDescriptor service : services) {
                check(names.contains(service.getName()), service.getName() + " is not listed");
            }
            String symbol = services.get(0).getName();
            questions.onNext(ServerReflectionRequest.newBuilder().setFileContainingSymbol(symbol).build());
            MessageResponseCase second = answers.next().getMessageResponseCase();
            same(MessageResponseCase.FILE_DESCRIPTOR_RESPONSE, second, "the second answer");
            questions.onCompleted();
            answers.end();
        }
    }

    private static void badRequest(Platform platform) throws Exception {
        try (SignalboxClient client = platform.client()) {
            CreateEmbeddingsRequest withoutInput =
                    CreateEmbeddingsRequest.newBuilder().setModel("all-MiniLM-L6-v2").build();
            Failure failure = fails(
                    Status.Code.INVALID_ARGUMENT, () -> client.embeddings().createEmbeddings(withoutInput));
            List<String> fields = failure.badRequest().orElseThrow().getFieldViolationsList().stream()
                    .map(FieldViolation::getField)
                    .toList();
            check(fields.contains("input"), "the fields are " + fields);
            same("signalbox", failure.errorInfo().orElseThrow().getDomain(), "the domain");
            same("INVALID_FIELD", failure.errorInfo().orElseThrow().getReason(), "the reason");
        }
    }

    private static void retryInfo(Platform platform) throws Exception {
        try (SignalboxClient client = platform.client()) {
            Failure failure = fails(
                    Status.Code.RESOURCE_EXHAUSTED,
                    () -> client.router().createChatCompletion(chat("limited", unique())));
            same(Duration.ofSeconds(2), failure.retryAfter().orElseThrow(), "the delay");
            same("signalbox", failure.errorInfo().orElseThrow().getDomain(), "the domain");
        }
    }

    private static void cancelled(Platform platform) throws Exception {
        String text = unique();
        try (SignalboxClient client = platform.client()) {
            CancellableContext context = Context.current().withCancellation();
            fails(Status.Code.CANCELLED, () -> context.call(() -> {
                Iterator<ChatCompletionChunk> chunks = client.router().streamChatCompletion(chat("slow", text));
                while (chunks.hasNext()) {
                    if (hasText(chunks.next())) {
                        context.cancel(null);
                    }
                }
                return null;
            }));
            same("client_disconnected", platform.upstream().end(text), "the upstream's request");
        }
    }

    private static void left(Platform platform) throws Exception {
        String text = unique();
        try (SignalboxClient client = platform.client()) {
            try (CancellableContext context = Context.current().withCancellation()) {
                context.call(() -> {
                    Iterator<ChatCompletionChunk> chunks = client.router().streamChatCompletion(chat("slow", text));
                    while (!hasText(chunks.next())) {}
                    return null;
                });
            }
            same("client_disconnected", platform.upstream().end(text), "the upstream's request");
        }
    }

    private static boolean hasText(ChatCompletionChunk chunk) {
        return chunk.getChoicesList().stream()
                .anyMatch(choice -> !choice.getDelta().getContent().isEmpty());
    }

    private static void deadline(Platform platform) throws Exception {
        String text = unique();
        try (SignalboxClient client = platform.client()) {
            // Connected first: what is measured is the call.
            client.router().listModels(ListModelsRequest.getDefaultInstance());
            long begun = System.nanoTime();
            fails(Status.Code.DEADLINE_EXCEEDED, () -> client.router()
                    .withDeadlineAfter(Duration.ofMillis(300))
                    .createChatCompletion(chat("stalled", text)));
            long tookMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
            check(tookMs >= 290 && tookMs < 2_000, "it took " + tookMs + " ms");
            // A server that cannot be reached ends with the same code.
            same(1, platform.upstream().requests(text).size(), "requests at the upstream");
        }
    }

    private static void metadata(Platform platform) throws Exception {
        String id = "java-" + unique();
        String hex = unique().replace("-", "");
        Metadata headers = new Metadata();
        headers.put(REQUEST_ID, id);
        headers.put(TRACEPARENT, "00-" + hex + "-" + hex.substring(0, 16) + "-01");
        AtomicReference<Metadata> answered = new AtomicReference<>();
        try (SignalboxClient client = platform.client()) {
            RouterServiceBlockingStub router = client.router()
                    .withInterceptors(
                            MetadataUtils.newAttachHeadersInterceptor(headers),
                            MetadataUtils.newCaptureMetadataInterceptor(answered, new AtomicReference<>()));
            check(router.listModels(ListModelsRequest.getDefaultInstance()).getDataCount() > 0, "there are no models");
            same(id, answered.get().get(REQUEST_ID), "the answer's id");
            Failure failure =
                    fails(Status.Code.UNIMPLEMENTED, () -> router.getPolicy(GetPolicyRequest.getDefaultInstance()));
            same(id, failure.trailers().get(REQUEST_ID), "the error's id");
        }
    }

    private static void retry(Platform platform) throws Exception {
        String text = unique();
        platform.upstream().forget();
        try (SignalboxClient client = platform.client()) {
            ChatCompletion answer = client.router().createChatCompletion(chat("flaky", text));
            same("stop", answer.getChoices(0).getFinishReason(), "the finish reason");
            same(3, platform.upstream().requests(text).size(), "requests at the upstream");
        }
    }

    private static void withoutRetry(Platform platform) throws Exception {
        platform.upstream().forget();
        try (SignalboxClient client = platform.client(1)) {
            Failure failure = fails(
                    Status.Code.UNAVAILABLE, () -> client.router().createChatCompletion(chat("flaky", unique())));
            same(Duration.ofSeconds(1), failure.retryAfter().orElseThrow(), "the delay");
        }
    }

    private static void concurrency(Platform platform) throws Exception {
        try (SignalboxClient client = platform.client()) {
            RouterServiceGrpc.RouterServiceFutureStub router = RouterServiceGrpc.newFutureStub(client.channel());
            var calls = new ArrayList<com.google.common.util.concurrent.ListenableFuture<ChatCompletion>>();
            for (int i = 0; i < 200; i++) {
                calls.add(router.createChatCompletion(chat("echo", "call " + i)));
            }
            for (int i = 0; i < calls.size(); i++) {
                String answer = calls.get(i).get().getChoices(0).getMessage().getContent();
                same("call " + i, answer, "an answer");
            }
        }
    }

    /** Hands a stream's answers from gRPC's thread to the reader's, one by one. */
    private static final class Answers<T> implements StreamObserver<T> {
        /** What an answer is turned into: itself, the error, or the end. */
        private record Event<T>(T answer, Throwable error) {}

        private final BlockingQueue<Event<T>> events = new LinkedBlockingQueue<>();

        @Override
        public void onNext(T answer) {
            events.add(new Event<>(answer, null));
        }

        @Override
        public void onError(Throwable error) {
            events.add(new Event<>(null, error));
        }

        @Override
        public void onCompleted() {
            events.add(new Event<>(null, null));
        }

        T next() throws InterruptedException {
            Event<T> event = event();
            check(event.answer() != null, "no answer but " + (event.error() == null ? "the end" : event.error()));
            return event.answer();
        }

        void end() throws InterruptedException {
            Event<T> event = event();
            check(event.answer() == null && event.error() == null, "no end but " + event);
        }

        private Event<T> event() throws InterruptedException {
            Event<T> event = events.poll(10, TimeUnit.SECONDS);
            check(event != null, "nothing came for ten seconds");
            return event;
        }
    }
}
