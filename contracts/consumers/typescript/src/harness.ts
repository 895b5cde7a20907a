/** What a case is, and what it may use. */
import { setTimeout as sleep } from "node:timers/promises";
import { status, type Client } from "@grpc/grpc-js";
import { RpcError } from "./errors.js";

/** One server of the checks, and the upstream that both share. */
export interface Platform {
  /** "plaintext" or "tls". */
  name: string;
  /** With the usual retries. */
  channel: Client;
  /** A new channel to the same server without any retry. */
  withoutRetry: () => Client;
  upstream: Upstream;
}

export type Case = { group: string; name: string } & (
  { run: (platform: Platform) => Promise<void> } | { skipped: string }
);

export function check(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

/** The error that a call ends with, when it has this code. */
export async function fails(code: string, call: Promise<unknown>): Promise<RpcError> {
  const outcome = await call.then(
    () => "OK",
    (error: unknown) => error,
  );
  if (!(outcome instanceof RpcError)) {
    if (outcome instanceof Error) throw outcome;
    throw new Error(`OK instead of ${code}`);
  }
  check(status[outcome.code] === code, `${outcome.message}, instead of ${code}`);
  return outcome;
}

interface RecordedRequest {
  body: { messages?: { content: string }[] };
  outcome: { end: string };
}

/** The fault-injecting upstream behind the chat models. */
export class Upstream {
  private readonly url: string;

  constructor(base: string) {
    this.url = new URL("/_record", base).href;
  }

  /** Forgets all requests, so that `flaky` fails twice again. */
  async forget(): Promise<void> {
    const response = await fetch(this.url, { method: "DELETE" });
    check(response.ok, `DELETE ${this.url}: ${response.status}`);
  }

  /** What reached the upstream of this chat request: one entry for each try. */
  async requests({ messages }: { messages: { content: string }[] }): Promise<RecordedRequest[]> {
    const content = messages.at(-1)?.content;
    const all = (await (await fetch(this.url)).json()) as RecordedRequest[];
    return all.filter(({ body }) => body.messages?.at(-1)?.content === content);
  }

  /** How the only try of this chat request ended; waits five seconds for it to end. */
  async end(request: { messages: { content: string }[] }): Promise<string> {
    for (let tries = 0; ; tries += 1) {
      const [recorded, ...more] = await this.requests(request);
      check(recorded && more.length === 0, "the upstream did not see exactly one request");
      const { end } = recorded.outcome;
      if (end !== "in_progress" || tries === 250) return end;
      await sleep(20);
    }
  }
}
