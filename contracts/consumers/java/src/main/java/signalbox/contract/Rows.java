package signalbox.contract;

import static signalbox.contract.Checks.check;
import static signalbox.contract.Checks.fails;
import static signalbox.contract.Checks.same;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.PrototypeMarshaller;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import signalbox.client.Failure;
import signalbox.client.SignalboxClient;

/**
 * The rows of rpcs.json as cases. The RPCs come from the generated code's own descriptors: one
 * that is added there and has no row is found here.
 */
final class Rows {
    private static final JsonFormat.Parser PARSER = JsonFormat.parser();
    /** Fields that hold their default are printed too, so that "0" can be expected. */
    private static final JsonFormat.Printer PRINTER =
            JsonFormat.printer().preservingProtoFieldNames().alwaysPrintFieldsWithNoPresence();

    private Rows() {}

    /** Every generated service below the package {@code signalbox}. */
    static List<ServiceDescriptor> services() throws Exception {
        Path classes = Path.of(Rows.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        List<ServiceDescriptor> services = new ArrayList<>();
        try (Stream<Path> files = Files.walk(classes.resolve("signalbox"))) {
            for (Path file : files.filter(path -> path.toString().endsWith("Grpc.class")).sorted().toList()) {
                String name = classes.relativize(file).toString().replace(".class", "").replace('/', '.');
                services.add((ServiceDescriptor) Class.forName(name).getMethod("getServiceDescriptor").invoke(null));
            }
        }
        return services;
    }

    /** One case a row, and one that every RPC has a row. An older contract skips what it does not know. */
    static List<Case> cases(Path file, boolean older) throws Exception {
        JsonObject table = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        Map<String, MethodDescriptor<?, ?>> methods = new TreeMap<>();
        for (ServiceDescriptor service : services()) {
            service.getMethods().forEach(method -> methods.put(method.getFullMethodName(), method));
        }
        List<Case> cases = new ArrayList<>();
        Set<String> withoutRow = new TreeSet<>(methods.keySet());
        Set<String> seen = new TreeSet<>();
        Set<String> twice = new TreeSet<>();
        cases.add(Case.of("table", "every RPC has a row", platform -> {
            check(withoutRow.isEmpty(), "no row for " + withoutRow);
            check(twice.isEmpty(), "two rows for " + twice);
        }));
        for (JsonElement each : table.getAsJsonArray("rpcs")) {
            JsonObject row = each.getAsJsonObject();
            String rpc = row.get("rpc").getAsString();
            withoutRow.remove(rpc);
            if (!seen.add(rpc)) {
                twice.add(rpc);
            }
            boolean filled = !row.get("status").getAsString().equals("UNIMPLEMENTED");
            String group = filled ? row.get("kind").getAsString() : "unimplemented";
            String name = rpc.substring(rpc.lastIndexOf('.') + 1).replace('/', '.');
            cases.add(rowCase(group, name, row, methods.get(rpc), older));
        }
        return cases;
    }

    private static Case rowCase(
            String group, String name, JsonObject row, MethodDescriptor<?, ?> method, boolean older) {
        Exception unknown = null;
        try {
            check(method != null, "there is no such RPC");
            requests(row, method);
            parse(row.get("expect"), method.getResponseMarshaller());
        } catch (Checks.Broken | InvalidProtocolBufferException e) {
            unknown = e;
        }
        if (older && unknown != null) {
            return Case.skipped(group, name, unknown.getMessage());
        }
        Exception broken = unknown;
        return Case.of(group, name, platform -> {
            if (broken != null) {
                throw broken;
            }
            run(row, method, platform);
        });
    }

    private static void run(JsonObject row, MethodDescriptor<?, ?> method, Platform platform) throws Exception {
        same(kind(method), row.get("kind").getAsString(), "the row's kind");
        Status.Code code = Status.Code.valueOf(row.get("status").getAsString());
        List<Message> requests = requests(row, method);
        try (SignalboxClient client = platform.client()) {
            if (code != Status.Code.OK) {
                Failure failure = fails(code, () -> answers(method, client.channel(), requests));
                if (code == Status.Code.UNIMPLEMENTED) {
                    check(failure.errorInfo().isPresent(), "there is no ErrorInfo");
                    same("NOT_IMPLEMENTED", failure.errorInfo().get().getReason(), "the ErrorInfo's reason");
                }
                return;
            }
            List<MessageOrBuilder> answers = answers(method, client.channel(), requests);
            check(!answers.isEmpty(), "the stream ended without a message");
            if (row.has("expect")) {
                JsonElement answer = JsonParser.parseString(PRINTER.print(answers.get(0)));
                checkSubset(row.get("expect"), answer, "answer");
            }
        }
    }

    /** Calls the method as its generated stub does, and reads its answer to the end. */
    @SuppressWarnings("unchecked") // The marshallers hold that the messages are the method's own.
    private static List<MessageOrBuilder> answers(
            MethodDescriptor<?, ?> generated, Channel channel, List<Message> requests) throws Exception {
        MethodDescriptor<Message, Message> method = (MethodDescriptor<Message, Message>) generated;
        CallOptions options = CallOptions.DEFAULT.withDeadlineAfter(20, TimeUnit.SECONDS);
        List<MessageOrBuilder> answers = new ArrayList<>();
        switch (method.getType()) {
            case UNARY -> answers.add(ClientCalls.blockingUnaryCall(channel, method, options, requests.get(0)));
            case SERVER_STREAMING -> ClientCalls.blockingServerStreamingCall(channel, method, options, requests.get(0))
                    .forEachRemaining(answers::add);
            case CLIENT_STREAMING, BIDI_STREAMING -> {
                Collector collector = new Collector(answers);
                StreamObserver<Message> sink = method.getType() == MethodDescriptor.MethodType.BIDI_STREAMING
                        ? ClientCalls.asyncBidiStreamingCall(channel.newCall(method, options), collector)
                        : ClientCalls.asyncClientStreamingCall(channel.newCall(method, options), collector);
                requests.forEach(sink::onNext);
                sink.onCompleted();
                collector.await();
            }
            default -> throw new Checks.Broken("the kind " + method.getType() + " is unknown");
        }
        return answers;
    }

    /** Keeps what a stream brings until it ends. */
    private static final class Collector implements StreamObserver<Message> {
        private final List<MessageOrBuilder> answers;
        private final CompletableFuture<Void> end = new CompletableFuture<>();

        Collector(List<MessageOrBuilder> answers) {
            this.answers = answers;
        }

        @Override
        public void onNext(Message message) {
            answers.add(message);
        }

        @Override
        public void onError(Throwable error) {
            end.completeExceptionally(error);
        }

        @Override
        public void onCompleted() {
            end.complete(null);
        }

        void await() throws Exception {
            try {
                end.get();
            } catch (ExecutionException e) {
                throw e.getCause() instanceof StatusRuntimeException status ? status : e;
            }
        }
    }

    private static String kind(MethodDescriptor<?, ?> method) {
        return switch (method.getType()) {
            case UNARY -> "unary";
            case SERVER_STREAMING -> "server_stream";
            case CLIENT_STREAMING -> "client_stream";
            case BIDI_STREAMING -> "bidirectional";
            default -> "unknown";
        };
    }

    private static List<Message> requests(JsonObject row, MethodDescriptor<?, ?> method)
            throws InvalidProtocolBufferException {
        List<Message> requests = new ArrayList<>();
        if (row.has("requests")) {
            for (JsonElement json : row.getAsJsonArray("requests")) {
                requests.add(parse(json, method.getRequestMarshaller()));
            }
        } else {
            requests.add(parse(row.get("request"), method.getRequestMarshaller()));
        }
        return requests;
    }

    /** A message of the marshaller's type; nothing is the empty message, an unknown field an error. */
    private static Message parse(JsonElement json, MethodDescriptor.Marshaller<?> marshaller)
            throws InvalidProtocolBufferException {
        Message prototype = (Message) ((PrototypeMarshaller<?>) marshaller).getMessagePrototype();
        Message.Builder builder = prototype.newBuilderForType();
        if (json != null) {
            PARSER.merge(json.toString(), builder);
        }
        return builder.build();
    }

    /** Objects are compared by their expected keys, lists by their expected elements. */
    static void checkSubset(JsonElement expected, JsonElement actual, String at) {
        if (expected.isJsonObject() && actual != null && actual.isJsonObject()) {
            for (Map.Entry<String, JsonElement> field : expected.getAsJsonObject().entrySet()) {
                JsonElement there = actual.getAsJsonObject().get(field.getKey());
                checkSubset(field.getValue(), there, at + "." + field.getKey());
            }
        } else if (expected.isJsonArray() && actual != null && actual.isJsonArray()) {
            JsonArray elements = expected.getAsJsonArray();
            for (int i = 0; i < elements.size(); i++) {
                JsonElement there = i < actual.getAsJsonArray().size() ? actual.getAsJsonArray().get(i) : null;
                checkSubset(elements.get(i), there, at + "[" + i + "]");
            }
        } else {
            same(expected, actual, at);
        }
    }
}
