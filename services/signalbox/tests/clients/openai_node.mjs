// The official OpenAI Node SDK against a running Signalbox; only baseURL is changed.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , base, tools] = process.argv;
const require = createRequire(pathToFileURL(`${tools}/`));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")).href);

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Which city is the capital of France?" }];

const answer = await client.chat.completions.create({ model: "auto", messages, temperature: 0, max_tokens: 24 });
assert.match(answer.choices[0].message.content, /Paris/);
assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);

let text = "";
let chunks = 0;
let finish = null;
const stream = await client.chat.completions.create({ model: "auto", messages, temperature: 0, max_tokens: 24, stream: true });
for await (const chunk of stream) {
  chunks += 1;
  for (const choice of chunk.choices) {
    text += choice.delta.content ?? "";
    // Node users compare with null: undefined would end their loops too early.
    if (choice.finish_reason !== null) finish = choice.finish_reason;
    else assert.equal(finish, null, "a piece after the end");
  }
}
assert.equal(text, answer.choices[0].message.content);
assert.equal(finish, answer.choices[0].finish_reason);
assert.ok(chunks >= 3, `${chunks} chunks`);

const { data } = await client.embeddings.create({ model: "all-MiniLM-L6-v2", input: ["a red bicycle", "a blue car"] });
assert.deepEqual(data.map((item) => item.index), [0, 1]);
assert.ok(data.every((item) => item.embedding.length === 384));

// The SDK asks for base64 unless told otherwise; both must agree.
const plain = await client.embeddings.create({
  model: "all-MiniLM-L6-v2", input: ["a red bicycle", "a blue car"], encoding_format: "float", dimensions: 384, user: "alice",
});
plain.data.forEach((item, at) => item.embedding.forEach((value, i) => {
  assert.ok(Math.abs(value - data[at].embedding[i]) < 1e-6, `${at} ${i}`);
}));
assert.equal(plain.usage.prompt_tokens, plain.usage.total_tokens);

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.ok(models.includes("auto"));

await assert.rejects(client.chat.completions.create({ model: "gpt-nonesuch", messages }), OpenAI.NotFoundError);
await assert.rejects(client.embeddings.create({ model: "all-MiniLM-L6-v2", input: "" }), OpenAI.BadRequestError);
await assert.rejects(client.embeddings.create({ model: "nonesuch", input: "a" }), OpenAI.NotFoundError);
await assert.rejects(
  client.embeddings.create({ model: "all-MiniLM-L6-v2", input: "a", dimensions: 7 }),
  (error) => error instanceof OpenAI.BadRequestError && error.param === "dimensions" && error.type === "invalid_request_error",
);

console.log(`openai-node: ${JSON.stringify(text)}, ${chunks} chunks`);
