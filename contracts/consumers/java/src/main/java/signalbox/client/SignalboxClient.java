package signalbox.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import signalbox.embeddings.v1.EmbeddingsServiceGrpc;
import signalbox.embeddings.v1.EmbeddingsServiceGrpc.EmbeddingsServiceBlockingStub;
import signalbox.guardrails.v1.GuardrailsServiceGrpc;
import signalbox.guardrails.v1.GuardrailsServiceGrpc.GuardrailsServiceBlockingStub;
import signalbox.router.v1.RouterServiceGrpc;
import signalbox.router.v1.RouterServiceGrpc.RouterServiceBlockingStub;

/**
 * How to call Signalbox well from Java: one channel for all services, a deadline on every call,
 * and retries of what the server says may be tried again.
 *
 * <p>A call that fails throws {@link io.grpc.StatusRuntimeException}; {@link Failure} reads its
 * details. To cancel a call, make it inside a {@link io.grpc.Context.CancellableContext}.
 */
public final class SignalboxClient implements AutoCloseable {
    /** The time for a whole call, its retries and its stream included, where the caller says none. */
    public static final Duration DEFAULT_DEADLINE = Duration.ofSeconds(30);

    /** Tries of a call that ends with UNAVAILABLE, where the caller says nothing else. */
    public static final int DEFAULT_ATTEMPTS = 4;

    /** An answer may hold many embeddings; gRPC's own limit is 4 MiB. */
    private static final int MAX_ANSWER_BYTES = 64 << 20;

    private final ManagedChannel managed;
    private final Channel channel;

    private SignalboxClient(String target, ChannelCredentials credentials, int attempts) {
        managed = Grpc.newChannelBuilder(target, credentials)
                .defaultServiceConfig(serviceConfig(attempts))
                .enableRetry()
                .maxInboundMessageSize(MAX_ANSWER_BYTES)
                .build();
        channel = ClientInterceptors.intercept(managed, new DefaultDeadline());
    }

    /**
     * Without TLS: for a loopback address or inside a service mesh.
     *
     * @param target {@code host:port}
     */
    public static SignalboxClient plaintext(String target, int attempts) {
        return new SignalboxClient(target, InsecureChannelCredentials.create(), attempts);
    }

    /** TLS with the authorities that the JVM trusts. */
    public static SignalboxClient tls(String target) {
        return new SignalboxClient(target, TlsChannelCredentials.create(), DEFAULT_ATTEMPTS);
    }

    /**
     * TLS with an authority of one's own.
     *
     * @param authority the authority that signed the server's certificate, PEM
     */
    public static SignalboxClient tls(String target, Path authority, int attempts) throws IOException {
        ChannelCredentials credentials =
                TlsChannelCredentials.newBuilder().trustManager(authority.toFile()).build();
        return new SignalboxClient(target, credentials, attempts);
    }

    public RouterServiceBlockingStub router() {
        return RouterServiceGrpc.newBlockingStub(channel);
    }

    public EmbeddingsServiceBlockingStub embeddings() {
        return EmbeddingsServiceGrpc.newBlockingStub(channel);
    }

    public GuardrailsServiceBlockingStub guardrails() {
        return GuardrailsServiceGrpc.newBlockingStub(channel);
    }

    /** For the other kinds of stubs: {@code RouterServiceGrpc.newStub(client.channel())}. */
    public Channel channel() {
        return channel;
    }

    @Override
    public void close() {
        managed.shutdownNow();
    }

    /** Retries are the channel's work: gRPC's service config says which, and how long to wait. */
    private static Map<String, ?> serviceConfig(int attempts) {
        if (attempts < 2) {
            return Map.of();
        }
        Map<String, ?> retryPolicy = Map.of(
                "maxAttempts", (double) attempts,
                "initialBackoff", "0.1s",
                "maxBackoff", "2s",
                "backoffMultiplier", 2.0,
                // RESOURCE_EXHAUSTED is not among them: its RetryInfo says when to come back.
                "retryableStatusCodes", List.of("UNAVAILABLE"));
        // An empty name is every method.
        Map<String, ?> everyMethod = Map.of("name", List.of(Map.of()), "retryPolicy", retryPolicy);
        return Map.of("methodConfig", List.of(everyMethod));
    }

    /** A call without a deadline would wait for ever. */
    private static final class DefaultDeadline implements ClientInterceptor {
        @Override
        public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
            CallOptions bounded = options.getDeadline() == null
                    ? options.withDeadlineAfter(DEFAULT_DEADLINE.toMillis(), TimeUnit.MILLISECONDS)
                    : options;
            return next.newCall(method, bounded);
        }
    }
}
