package signalbox.contract;

import java.io.IOException;
import java.nio.file.Path;
import signalbox.client.SignalboxClient;

/**
 * One server of the checks, and the upstream that both share.
 *
 * @param authority the PEM file of the server's authority; null is plaintext
 */
record Platform(String name, String address, Path authority, Upstream upstream) {
    SignalboxClient client(int attempts) throws IOException {
        return authority == null
                ? SignalboxClient.plaintext(address, attempts)
                : SignalboxClient.tls(address, authority, attempts);
    }

    SignalboxClient client() throws IOException {
        return client(SignalboxClient.DEFAULT_ATTEMPTS);
    }
}
