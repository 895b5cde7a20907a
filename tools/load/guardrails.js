// POST /v1/guardrails:redact: three findings in one sentence.
import * as common from "./common.js";

export const options = common.options(100);

export default function () {
  common.post(
    "/v1/guardrails:redact",
    { text: "Mail ada@example.com or call (415) 555-2671; SSN 536-22-8726." },
    (body) => JSON.parse(body).text === "Mail <EMAIL> or call <PHONE>; SSN <US_SSN>.",
  );
}
