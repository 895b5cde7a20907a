/**
 * The rows of rpcs.json as cases. The RPCs come from the generated code's own
 * descriptors: one that is added there and has no row is found here.
 */
import { readdirSync, readFileSync } from "node:fs";
import { create, fromJson, toJson, type DescMethod, type DescService, type JsonValue } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { createClient, type CallOptions } from "./client.js";
import { type RpcError } from "./errors.js";
import { check, fails, type Case, type Platform } from "./harness.js";

interface Row {
  rpc: string;
  kind: string;
  status: string;
  request?: JsonValue;
  requests?: JsonValue[];
  expect?: JsonValue;
}

const KINDS: Record<DescMethod["methodKind"], string> = {
  unary: "unary",
  server_streaming: "server_stream",
  client_streaming: "client_stream",
  bidi_streaming: "bidirectional",
};

/** Every service below the package `signalbox`, from the generated files. */
export async function services(): Promise<DescService[]> {
  const folder = new URL("../es/signalbox/", import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const found: DescService[] = [];
  for (const file of files.filter((name) => name.endsWith("_pb.js"))) {
    const exported: object = await import(new URL(file, folder).href);
    found.push(...Object.values(exported).filter((value) => value.kind === "service"));
  }
  return found;
}

/** One case a row, and one that rows and RPCs are the same. An older contract skips what it does not know. */
export async function rowCases(file: string, older: boolean): Promise<Case[]> {
  const { rpcs } = JSON.parse(readFileSync(file, "utf8")) as { rpcs: Row[] };
  const methods = (await services()).flatMap((service) => service.methods);
  const known = new Map(methods.map((method) => [`${method.parent.typeName}/${method.name}`, method]));

  const cases: Case[] = [
    {
      group: "table",
      name: "every RPC has a row",
      run: async () => {
        const rows = new Set(rpcs.map((row) => row.rpc));
        const missing = [...known.keys()].filter((rpc) => !rows.has(rpc));
        check(missing.length === 0, `no row for ${missing.join(", ")}`);
        check(rows.size === rpcs.length, "an RPC has two rows");
      },
    },
  ];
  for (const row of rpcs) {
    const group = row.status === "UNIMPLEMENTED" ? "unimplemented" : row.kind;
    const name = row.rpc.replace(/^.*\.(\w+)\/(\w+)$/, "$1.$2");
    const method = known.get(row.rpc);
    const unknown = method ? unknownParts(row, method) : "there is no such RPC";
    if (older && unknown) {
      cases.push({ group, name, skipped: unknown });
    } else {
      cases.push({
        group,
        name,
        run: async (platform) => {
          check(!unknown && method, unknown ?? "");
          await runRow(row, method, platform);
        },
      });
    }
  }
  return cases;
}

/** What of a row this contract does not have; a misspelt field is found here too. */
function unknownParts(row: Row, method: DescMethod): string | undefined {
  try {
    requests(row, method);
    if (row.expect !== undefined) fromJson(method.output, row.expect);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function requests(row: Row, method: DescMethod) {
  return (row.requests ?? [row.request ?? {}]).map((json) => fromJson(method.input, json));
}

async function runRow(row: Row, method: DescMethod, platform: Platform): Promise<void> {
  check(row.kind === KINDS[method.methodKind], `the row says ${row.kind}, the proto ${KINDS[method.methodKind]}`);
  if (row.status === "OK") {
    const [first] = await answers(row, method, platform);
    check(first !== undefined, "the stream ended without a message");
    // Fields that hold their default are compared too, so that "0" can be expected.
    const actual = toJson(method.output, first, { useProtoFieldName: true, alwaysEmitImplicit: true });
    const difference = subsetDifference(row.expect ?? {}, actual, "");
    check(!difference, difference ?? "");
  } else {
    const error: RpcError = await fails(row.status, answers(row, method, platform));
    if (error.code === status.UNIMPLEMENTED) {
      const reason = error.errorInfo?.reason;
      check(reason === "NOT_IMPLEMENTED", `the ErrorInfo's reason is ${reason}`);
    }
  }
}

/** Calls the method as the generated client has it, and reads its answer to the end. */
async function answers(row: Row, method: DescMethod, platform: Platform) {
  const client = createClient(method.parent, platform.channel) as Record<
    string,
    (request: unknown, options: CallOptions) => unknown
  >;
  const messages = requests(row, method);
  async function* stream() {
    yield* messages;
  }
  const call = client[method.localName];
  check(call, "the client has no such method");
  const answer = call(method.methodKind === "bidi_streaming" ? stream() : messages[0], { timeoutMs: 20_000 });
  if (answer instanceof Promise) return [await answer];
  const read = [];
  for await (const message of answer as AsyncIterable<ReturnType<typeof create>>) read.push(message);
  return read;
}

/** Where `actual` lacks what is expected: objects by their expected keys, lists by their expected elements. */
export function subsetDifference(expected: JsonValue, actual: JsonValue | undefined, at: string): string | undefined {
  if (typeof expected !== "object" || expected === null) {
    return Object.is(expected, actual)
      ? undefined
      : `${at}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`;
  }
  if (typeof actual !== "object" || actual === null || Array.isArray(expected) !== Array.isArray(actual)) {
    return `${at}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`;
  }
  for (const [key, value] of Object.entries(expected)) {
    const there = (actual as Record<string, JsonValue>)[key];
    const difference = subsetDifference(value as JsonValue, there, at ? `${at}.${key}` : key);
    if (difference) return difference;
  }
  return undefined;
}
