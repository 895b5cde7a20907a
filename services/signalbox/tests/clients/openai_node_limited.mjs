// The official OpenAI Node SDK against a Signalbox that allows one request.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , base, tools] = process.argv;
const require = createRequire(pathToFileURL(`${tools}/`));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")).href);

const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "none", maxRetries: 0 });
const ask = () => client.embeddings.create({ model: "all-MiniLM-L6-v2", input: "a" });
assert.equal((await ask()).data[0].embedding.length, 384);
await assert.rejects(ask(), (error) => {
  assert.ok(error instanceof OpenAI.RateLimitError, error);
  assert.equal(error.type, "rate_limit_error");
  const headers = error.headers;
  const after = typeof headers.get === "function" ? headers.get("retry-after") : headers["retry-after"];
  assert.ok(Number(after) >= 1, String(after));
  return true;
});

console.log("openai-node: RateLimitError with Retry-After");
