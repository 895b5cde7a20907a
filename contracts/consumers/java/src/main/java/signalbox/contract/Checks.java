package signalbox.contract;

import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.Callable;
import signalbox.client.Failure;

/** What the cases hold true. */
final class Checks {
    private Checks() {}

    /** A case that does not hold, and why. */
    static final class Broken extends RuntimeException {
        private static final long serialVersionUID = 1L;

        Broken(String message) {
            super(message);
        }
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) {
            throw new Broken(otherwise);
        }
    }

    static void same(Object expected, Object actual, String what) {
        check(expected.equals(actual), what + ": " + actual + " instead of " + expected);
    }

    /** The failure of a call that must end with this code. */
    static Failure fails(Status.Code code, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (StatusRuntimeException error) {
            Failure failure = Failure.of(error);
            check(failure.code() == code, error.getMessage() + ", instead of " + code);
            return failure;
        }
        throw new Broken("OK instead of " + code);
    }
}
