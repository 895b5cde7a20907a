package signalbox.contract;

import static signalbox.contract.Checks.check;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;

/** The fault-injecting upstream behind the chat models, and its record of what it was asked. */
final class Upstream {
    private final HttpClient http =
            HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final URI record;

    Upstream(String base) {
        record = URI.create(base).resolve("/_record");
    }

    /** Forgets all requests, so that {@code flaky} fails twice again. */
    void forget() throws IOException, InterruptedException {
        send(HttpRequest.newBuilder(record).DELETE().build());
    }

    /** What reached it of the chat request with this text: one entry for each try. */
    List<JsonObject> requests(String text) throws IOException, InterruptedException {
        List<JsonObject> found = new ArrayList<>();
        String all = send(HttpRequest.newBuilder(record).build());
        for (JsonElement each : JsonParser.parseString(all).getAsJsonArray()) {
            JsonElement body = each.getAsJsonObject().get("body");
            if (body.isJsonObject() && body.getAsJsonObject().has("messages")) {
                JsonArray messages = body.getAsJsonObject().getAsJsonArray("messages");
                JsonObject last = messages.get(messages.size() - 1).getAsJsonObject();
                if (last.get("content").getAsString().equals(text)) {
                    found.add(each.getAsJsonObject());
                }
            }
        }
        return found;
    }

    /** How the only try of that chat request ended; waits five seconds for it to end. */
    String end(String text) throws IOException, InterruptedException {
        for (int tries = 0; ; tries++) {
            List<JsonObject> requests = requests(text);
            check(requests.size() == 1, "the upstream was asked " + requests.size() + " times");
            String end = requests.get(0).getAsJsonObject("outcome").get("end").getAsString();
            if (!end.equals("in_progress") || tries == 250) {
                return end;
            }
            Thread.sleep(20);
        }
    }

    private String send(HttpRequest request) throws IOException, InterruptedException {
        HttpResponse<String> response = http.send(request, HttpResponse.BodyHandlers.ofString());
        check(response.statusCode() / 100 == 2, request.method() + " " + record + ": " + response.statusCode());
        return response.body();
    }
}
