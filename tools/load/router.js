// POST /v1/chat/completions, one answer at a time.
import * as common from "./common.js";

export const options = common.options(250);

export default function () {
  common.post(
    "/v1/chat/completions",
    { model: "steady", messages: [{ role: "user", content: "Why is the sky blue?" }] },
    (body) => JSON.parse(body).usage.completion_tokens === 8,
  );
}
