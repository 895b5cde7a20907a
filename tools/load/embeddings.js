// POST /v1/embeddings: one short text, 384 dimensions.
import * as common from "./common.js";

export const options = common.options(1000);

export default function () {
  common.post(
    "/v1/embeddings",
    { input: "a red bicycle", model: "all-MiniLM-L6-v2" },
    (body) => JSON.parse(body).data[0].embedding.length === 384,
  );
}
