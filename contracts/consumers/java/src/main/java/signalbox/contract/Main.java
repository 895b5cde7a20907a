package signalbox.contract;

import com.google.gson.Gson;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Runs every case on both servers, as contracts/README.md says. */
public final class Main {
    private Main() {}

    public static void main(String[] args) throws Exception {
        Path tree = Path.of("../../../proto").toRealPath();
        // An older contract lacks what was added since; the tree's own may lack nothing.
        boolean older = !Path.of(setting("SIGNALBOX_PROTO")).toRealPath().equals(tree);
        List<Case> cases = new ArrayList<>(Rows.cases(Path.of(setting("SIGNALBOX_RPCS")), older));
        cases.addAll(Cases.all());
        Upstream upstream = new Upstream(setting("SIGNALBOX_UPSTREAM"));
        List<Platform> platforms = List.of(
                new Platform("plaintext", setting("SIGNALBOX_PLAINTEXT"), null, upstream),
                new Platform("tls", setting("SIGNALBOX_TLS"), Path.of(setting("SIGNALBOX_CA")), upstream));

        Map<String, Integer> passed = new LinkedHashMap<>();
        int failed = 0;
        int skipped = 0;
        for (Platform platform : platforms) {
            for (Case each : cases) {
                String name = platform.name() + "/" + each.group() + "/" + each.name();
                if (each.skipped() != null) {
                    skipped++;
                    System.out.println("skip " + name + ": " + each.skipped());
                    continue;
                }
                try {
                    each.body().run(platform);
                    passed.merge(each.group(), 1, Integer::sum);
                    System.out.println("ok   " + name);
                } catch (Exception e) {
                    failed++;
                    System.out.println("FAIL " + name + ": " + told(e));
                }
            }
        }
        Map<String, Object> summary = new LinkedHashMap<>();
        summary.put("passed", passed);
        summary.put("failed", failed);
        if (older) {
            System.out.println("skipped " + skipped + " cases that the older contract does not know");
            summary.put("skipped", skipped);
        }
        System.out.println("SUMMARY " + new Gson().toJson(summary));
        System.exit(failed == 0 ? 0 : 1);
    }

    /** What went wrong and what was behind it, on one line: "io exception" alone helps nobody. */
    private static String told(Throwable error) {
        String message = error.getMessage() == null ? error.toString() : error.getMessage().replace('\n', ' ');
        return error.getCause() == null ? message : message + ": " + told(error.getCause());
    }

    private static String setting(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalStateException(name + " is not set; contracts/README.md says to what");
        }
        return value;
    }
}
