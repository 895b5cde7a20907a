/** The habits that the contract promises to reward: one group each. */
import { randomBytes, randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Metadata } from "@grpc/grpc-js";
import { ServerReflection, type ServerReflectionRequestSchema } from "#generated/grpc/reflection/v1/reflection_pb.js";
import { EmbeddingsService } from "#generated/signalbox/embeddings/v1/embeddings_pb.js";
import { RouterService } from "#generated/signalbox/router/v1/router_pb.js";
import { createClient } from "./client.js";
import { check, fails, type Case } from "./harness.js";
import { services } from "./rows.js";

/** A chat request with one message of the user. */
function chat(model: string, content: string = randomUUID()) {
  return { model, messages: [{ role: "user", content }] };
}

/** A promise, and what settles it. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

export const CASES: Case[] = [
  {
    group: "bidirectional",
    name: "reflection answers each question before the next is asked",
    run: async ({ channel }) => {
      const reflection = createClient(ServerReflection, channel);
      const answered = gate();
      const file = (await services())[0]?.typeName ?? "";
      async function* questions(): AsyncGenerator<MessageInitShape<typeof ServerReflectionRequestSchema>> {
        yield { messageRequest: { case: "listServices", value: "*" } };
        await answered.opened;
        yield { messageRequest: { case: "fileContainingSymbol", value: file } };
      }
      const answers: string[] = [];
      for await (const { messageResponse } of reflection.serverReflectionInfo(questions(), { timeoutMs: 10_000 })) {
        answers.push(messageResponse.case ?? "nothing");
        if (messageResponse.case === "listServicesResponse") {
          const names = messageResponse.value.service.map((service) => service.name);
          for (const { typeName } of await services()) check(names.includes(typeName), `${typeName} is not listed`);
        }
        answered.open();
      }
      const said = answers.join(", ");
      check(said === "listServicesResponse, fileDescriptorResponse", `the answers were ${said}`);
    },
  },
  {
    group: "error_details",
    name: "BadRequest names the field",
    run: async ({ channel }) => {
      const embeddings = createClient(EmbeddingsService, channel);
      const call = embeddings.createEmbeddings({ model: "all-MiniLM-L6-v2" });
      const { badRequest, errorInfo } = await fails("INVALID_ARGUMENT", call);
      const fields = badRequest?.fieldViolations.map((violation) => violation.field);
      check(fields?.includes("input"), `the fields are ${fields}`);
      check(errorInfo?.domain === "signalbox", `the domain is ${errorInfo?.domain}`);
      check(errorInfo.reason === "INVALID_FIELD", `the reason is ${errorInfo.reason}`);
    },
  },
  {
    group: "error_details",
    name: "RetryInfo says when to come back",
    run: async ({ channel }) => {
      const router = createClient(RouterService, channel);
      const error = await fails("RESOURCE_EXHAUSTED", router.createChatCompletion(chat("limited")));
      check(error.retryAfterMs === 2_000, `the delay is ${error.retryAfterMs} ms`);
      check(error.errorInfo?.domain === "signalbox", `the domain is ${error.errorInfo?.domain}`);
    },
  },
  {
    group: "cancellation",
    name: "a cancelled stream ends at the upstream too",
    run: async ({ channel, upstream }) => {
      const router = createClient(RouterService, channel);
      const request = chat("slow");
      const controller = new AbortController();
      const read = async () => {
        for await (const chunk of router.streamChatCompletion(request, { signal: controller.signal })) {
          if (chunk.choices.some((choice) => choice.delta?.content)) controller.abort();
        }
      };
      await fails("CANCELLED", read());
      check((await upstream.end(request)) === "client_disconnected", "the upstream still writes");
    },
  },
  {
    group: "cancellation",
    name: "leaving the loop cancels the stream",
    run: async ({ channel, upstream }) => {
      const router = createClient(RouterService, channel);
      const request = chat("slow");
      for await (const chunk of router.streamChatCompletion(request)) {
        if (chunk.choices.some((choice) => choice.delta?.content)) break;
      }
      check((await upstream.end(request)) === "client_disconnected", "the upstream still writes");
    },
  },
  {
    group: "deadline",
    name: "stalled model",
    run: async ({ channel, upstream }) => {
      const router = createClient(RouterService, channel);
      const request = chat("stalled");
      const begun = performance.now();
      await fails("DEADLINE_EXCEEDED", router.createChatCompletion(request, { timeoutMs: 300 }));
      const tookMs = performance.now() - begun;
      check(tookMs >= 290 && tookMs < 2_000, `it took ${tookMs} ms`);
      // A server that cannot be reached ends with the same code.
      const asked = await upstream.requests(request);
      check(asked.length === 1, `the upstream was asked ${asked.length} times`);
    },
  },
  {
    group: "metadata",
    name: "own request id and trace",
    run: async ({ channel }) => {
      const router = createClient(RouterService, channel);
      const id = `typescript-${randomUUID()}`;
      const traceparent = `00-${randomBytes(16).toString("hex")}-${randomBytes(8).toString("hex")}-01`;
      const headers = { "x-request-id": id, traceparent };
      let answered: Metadata | undefined;
      await router.listModels({}, { headers, onHeaders: (metadata) => (answered = metadata) });
      check(answered?.get("x-request-id")[0] === id, `the answer's id is ${answered?.get("x-request-id")[0]}`);
      const error = await fails("UNIMPLEMENTED", router.getPolicy({}, { headers }));
      check(error.metadata.get("x-request-id")[0] === id, "an error has no x-request-id");
    },
  },
  {
    group: "retry",
    name: "the third try brings the answer",
    run: async ({ channel, upstream }) => {
      const router = createClient(RouterService, channel);
      const request = chat("flaky");
      await upstream.forget();
      const { choices } = await router.createChatCompletion(request);
      check(choices[0]?.finishReason === "stop", "the answer has no choice that stopped");
      const tries = (await upstream.requests(request)).length;
      check(tries === 3, `the upstream was asked ${tries} times`);
    },
  },
  {
    group: "retry",
    name: "without a retry policy the first failure stays",
    run: async ({ withoutRetry, upstream }) => {
      const channel = withoutRetry();
      await upstream.forget();
      try {
        const { retryAfterMs } = await fails(
          "UNAVAILABLE",
          createClient(RouterService, channel).createChatCompletion(chat("flaky")),
        );
        check(retryAfterMs === 1_000, `the delay is ${retryAfterMs} ms`);
      } finally {
        channel.close();
      }
    },
  },
  {
    group: "concurrency",
    name: "200 calls at once on one connection",
    run: async ({ channel }) => {
      const router = createClient(RouterService, channel);
      const calls = Array.from({ length: 200 }, async (_, index) => {
        const { choices } = await router.createChatCompletion(chat("echo", `call ${index}`));
        return choices[0]?.message?.content === `call ${index}`;
      });
      const outcomes = await Promise.all(calls);
      check(outcomes.every(Boolean), "an answer belongs to another call");
    },
  },
];
