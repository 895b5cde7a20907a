package signalbox.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * A failed call as a value: the code to decide by, and the typed details that Signalbox sends in
 * the trailer {@code grpc-status-details-bin}.
 *
 * @param message for people; programs read {@link #errorInfo}
 * @param trailers the metadata that came with the error
 */
public record Failure(Status.Code code, String message, Metadata trailers, List<Any> details) {
    public static Failure of(StatusRuntimeException error) {
        Metadata trailers = error.getTrailers() == null ? new Metadata() : error.getTrailers();
        com.google.rpc.Status rich = StatusProto.fromThrowable(error);
        List<Any> details = rich == null ? List.of() : rich.getDetailsList();
        Status status = error.getStatus();
        return new Failure(status.getCode(), String.valueOf(status.getDescription()), trailers, details);
    }

    /** Why, for programs: a stable {@code reason} within the {@code domain} "signalbox". */
    public Optional<ErrorInfo> errorInfo() {
        return detail(ErrorInfo.class);
    }

    /** Which fields of the request are wrong. */
    public Optional<BadRequest> badRequest() {
        return detail(BadRequest.class);
    }

    /** How long to wait before a new try, where one can help. */
    public Optional<Duration> retryAfter() {
        return detail(RetryInfo.class)
                .map(RetryInfo::getRetryDelay)
                .map(delay -> Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
    }

    /** The first detail of this type. */
    public <T extends Message> Optional<T> detail(Class<T> type) {
        for (Any any : details) {
            if (any.is(type)) {
                try {
                    return Optional.of(any.unpack(type));
                } catch (InvalidProtocolBufferException e) {
                    // A detail that cannot be read must not hide the error itself.
                    return Optional.empty();
                }
            }
        }
        return Optional.empty();
    }
}
