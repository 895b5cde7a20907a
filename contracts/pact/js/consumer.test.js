// What a JavaScript consumer of the REST API relies on, as pacts.
//
// Run by contracts/pact/run.sh; the pacts go to the folder in SIGNALBOX_PACTS_OUT.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";

// The packages are installed outside the source tree.
const require = createRequire(`${process.env.SIGNALBOX_TOOLS_DIR}/pact-js/`);
const { MatchersV3, PactV4 } = require("@pact-foundation/pact");
const { eachLike, integer, regex, string } = MatchersV3;

const KEY = "the-key-of-the-pact-tests";
const ROUTER = "signalbox-router";
const EMBEDDINGS = "signalbox-embeddings";
const GUARDRAILS = "signalbox-guardrails";
const authorization = `Bearer ${KEY}`;

// The client under test.
class Client {
  constructor(baseUrl, headers = { authorization }) {
    this.baseUrl = baseUrl;
    this.headers = headers;
  }

  get(path) {
    return fetch(this.baseUrl + path, { headers: this.headers });
  }

  post(path, body) {
    const headers = { ...this.headers, "content-type": "application/json" };
    return fetch(this.baseUrl + path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  // Yields the text of a streamed answer as it comes.
  async *stream(body) {
    const response = await this.post("/v1/chat/completions", { ...body, stream: true });
    let rest = "";
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + piece).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const data = event.replace(/^data: /, "");
        if (data === "[DONE]") return;
        const content = JSON.parse(data).choices[0]?.delta.content;
        if (content) yield content;
      }
    }
    throw new Error("the stream ended without [DONE]");
  }
}

// One interaction: what is asked, what is relied on, and the call that shows it.
function interaction(provider, description, { state, method = "POST", path, query, body, headers = { authorization } }, answer, call) {
  test(description, async () => {
    const pact = new PactV4({
      consumer: "javascript-rest",
      provider,
      dir: process.env.SIGNALBOX_PACTS_OUT,
      logLevel: "error",
    });
    let described = pact.addInteraction();
    if (state) described = described.given(...state);
    await described
      .uponReceiving(`${description}`)
      .withRequest(method, path, (request) => {
        request.headers(headers);
        if (query) request.query(query);
        if (body) request.jsonBody(body);
      })
      .willRespondWith(answer.status ?? 200, (response) => {
        if (answer.headers) response.headers(answer.headers);
        if (answer.json) response.jsonBody(answer.json);
        if (answer.text) {
          // Its own `body` writes text as bytes, whose type the verifier then guesses.
          response.interaction.withResponseBody(answer.text, answer.type);
          response.matchingRules({ body: { path: "$", rules: [regex(answer.regex, answer.text)] } });
        }
      })
      .executeTest(async (server) => {
        await call(new Client(server.url, headers));
        // The mock server notes a request a moment after it has answered it, and has no
        // event for that.
        await new Promise((noted) => setTimeout(noted, 100));
      });
  });
}

const chat = { model: "echo", messages: [{ role: "user", content: "hello browser" }] };
interaction(
  ROUTER,
  "a chat completion",
  { state: ["a chat model", { model: "echo" }], path: "/v1/chat/completions", body: chat },
  {
    json: {
      id: string("chatcmpl-1"),
      object: "chat.completion",
      choices: [{ index: 0, message: { role: "assistant", content: "hello browser" }, finish_reason: "stop" }],
      usage: { total_tokens: integer(4) },
      signalbox: { request_id: string("01M846C758YZRN01KQWY82VKQN") },
    },
  },
  async (client) => {
    const answer = await (await client.post("/v1/chat/completions", chat)).json();
    assert.equal(answer.choices[0].message.content, "hello browser");
    assert.ok(answer.signalbox.request_id);
  },
);

const streamed = { model: "steady", messages: [{ role: "user", content: "hello" }] };
interaction(
  ROUTER,
  "a streamed chat completion",
  { state: ["a chat model", { model: "steady" }], path: "/v1/chat/completions", body: { ...streamed, stream: true } },
  {
    type: "text/event-stream",
    text: 'data: {"choices":[{"delta":{"content":"clear"}}]}\n\ndata: [DONE]\n\n',
    // The whole body by one expression: Pact has no matcher for events.
    regex: String.raw`^(data: \{[^\n]*\}\n\n)*data: \{[^\n]*"delta":\{[^}\n]*"content":"[^"\n]+"[^\n]*\}\n\n(data: \{[^\n]*\}\n\n)*data: \[DONE\]\n\n$`,
  },
  async (client) => {
    const said = [];
    for await (const content of client.stream(streamed)) said.push(content);
    assert.deepEqual(said, ["clear"]);
  },
);

const unknown = { model: "nobody", messages: [{ role: "user", content: "hello" }] };
interaction(
  ROUTER,
  "a chat with an unknown model",
  { path: "/v1/chat/completions", body: unknown },
  { status: 404, json: { error: { code: "not_found", type: "not_found_error", message: string("it does not exist") } } },
  async (client) => {
    const response = await client.post("/v1/chat/completions", unknown);
    assert.equal(response.status, 404);
    assert.equal((await response.json()).error.code, "not_found");
  },
);

interaction(
  ROUTER,
  "models without a key",
  { state: ["callers need a key", {}], method: "GET", path: "/v1/models", headers: {} },
  { status: 401, json: { error: { code: "unauthenticated", message: string("no API key") } } },
  async (client) => {
    const response = await client.get("/v1/models");
    assert.equal(response.status, 401);
    assert.equal((await response.json()).error.code, "unauthenticated");
  },
);

interaction(
  ROUTER,
  "the list of models",
  { state: ["a chat model", { model: "steady" }], method: "GET", path: "/v1/models" },
  { json: { object: "list", data: eachLike({ id: string("steady"), owned_by: string("upstream") }) } },
  async (client) => {
    const { data } = await (await client.get("/v1/models")).json();
    assert.equal(data[0].id, "steady");
  },
);

interaction(
  ROUTER,
  "the usage of a user",
  {
    state: ["a user who made one call", { user: "javascript-reader", model: "steady" }],
    method: "GET",
    path: "/v1/router/usage",
    query: { user: "javascript-reader" },
  },
  { json: { total: { requests: "1", cost_usd_picos: regex(/^[1-9][0-9]*$/, "4950000") } } },
  async (client) => {
    const { total } = await (await client.get("/v1/router/usage?user=javascript-reader")).json();
    // 64 bits: a string in JSON, a BigInt here.
    assert.ok(BigInt(total.cost_usd_picos) > 0n);
  },
);

const embedded = { model: "all-MiniLM-L6-v2", input: "a red bicycle" };
interaction(
  EMBEDDINGS,
  "the embedding of one string",
  { state: ["an embedding model", { model: "all-MiniLM-L6-v2" }], path: "/v1/embeddings", body: embedded },
  { json: { data: [{ index: 0, embedding: eachLike(0.5) }], usage: { prompt_tokens: 5, total_tokens: 5 } } },
  async (client) => {
    const { data } = await (await client.post("/v1/embeddings", embedded)).json();
    assert.deepEqual(data[0].embedding, [0.5]);
  },
);

const checked = { text: "Mail ada@example.com" };
interaction(
  GUARDRAILS,
  "a check of a text with an address",
  { path: "/v1/guardrails:check", body: checked },
  { json: { action: "ACTION_REDACT", findings: [{ type: "EMAIL", start_char: "5", end_char: "20" }] } },
  async (client) => {
    const { findings } = await (await client.post("/v1/guardrails:check", checked)).json();
    assert.equal(checked.text.slice(findings[0].start_char, findings[0].end_char), "ada@example.com");
  },
);

interaction(
  GUARDRAILS,
  "the list of detectors",
  { method: "GET", path: "/v1/guardrails/detectors" },
  { json: { detectors: eachLike({ name: string("email"), type: string("EMAIL"), default_on: true }) } },
  async (client) => {
    const { detectors } = await (await client.get("/v1/guardrails/detectors")).json();
    assert.equal(detectors[0].name, "email");
  },
);

const wrong = { text: "hello", detectors: ["nobody"] };
interaction(
  GUARDRAILS,
  "a check by an unknown detector",
  { path: "/v1/guardrails:check", body: wrong },
  {
    status: 400,
    json: {
      code: 3,
      message: string("detectors[0]: it does not exist"),
      details: [
        { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "INVALID_FIELD", domain: "signalbox" },
        { "@type": "type.googleapis.com/google.rpc.BadRequest", field_violations: [{ field: "detectors[0]" }] },
      ],
    },
  },
  async (client) => {
    const response = await client.post("/v1/guardrails:check", wrong);
    assert.equal(response.status, 400);
    const { details } = await response.json();
    assert.equal(details[1].field_violations[0].field, "detectors[0]");
  },
);
