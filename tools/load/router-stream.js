// POST /v1/chat/completions as server-sent events. k6 reads a body to its end, so a
// duration is that of the whole stream; a stream without [DONE] was cut.
import * as common from "./common.js";

export const options = common.options(250);

export default function () {
  common.post(
    "/v1/chat/completions",
    { model: "steady", stream: true, messages: [{ role: "user", content: "Why is the sky blue?" }] },
    (body, response) =>
      response.headers["Content-Type"].startsWith("text/event-stream") &&
      body.endsWith("data: [DONE]\n\n"),
  );
}
