/** Runs every case on both servers, as contracts/README.md says. */
import { readFileSync, realpathSync } from "node:fs";
import { CASES } from "./cases.js";
import { connect, type ConnectOptions } from "./client.js";
import { Upstream, type Platform } from "./harness.js";
import { rowCases } from "./rows.js";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; contracts/README.md says to what`);
  return value;
}

function platform(name: string, address: string, options: ConnectOptions): Platform {
  return {
    name,
    channel: connect(address, options),
    withoutRetry: () => connect(address, { ...options, maxAttempts: 1 }),
    upstream: new Upstream(setting("SIGNALBOX_UPSTREAM")),
  };
}

/** What went wrong, on one line. */
function told(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll("\n", " ");
}

// An older contract lacks what was added since; the tree's own may lack nothing.
const tree = new URL("../../../../../proto", import.meta.url).pathname;
const older = realpathSync(process.env["SIGNALBOX_PROTO"] ?? tree) !== realpathSync(tree);
const cases = [...(await rowCases(setting("SIGNALBOX_RPCS"), older)), ...CASES];
const platforms = [
  platform("plaintext", setting("SIGNALBOX_PLAINTEXT"), { plaintext: true }),
  platform("tls", setting("SIGNALBOX_TLS"), { authority: readFileSync(setting("SIGNALBOX_CA")) }),
];

const passed: Record<string, number> = {};
let failed = 0;
let skipped = 0;
for (const each of platforms) {
  for (const one of cases) {
    const name = `${each.name}/${one.group}/${one.name}`;
    if ("skipped" in one) {
      skipped += 1;
      console.log(`skip ${name}: ${one.skipped}`);
      continue;
    }
    try {
      await one.run(each);
      passed[one.group] = (passed[one.group] ?? 0) + 1;
      console.log(`ok   ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}: ${told(error)}`);
    }
  }
  each.channel.close();
}
if (older) console.log(`skipped ${skipped} cases that the older contract does not know`);
console.log(`SUMMARY ${JSON.stringify({ passed, failed, ...(older && { skipped }) })}`);
process.exitCode = failed === 0 ? 0 : 1;
