// What the profiles beside it share. SIGNALBOX_URL is where the platform is.
import http from "k6/http";
import { check } from "k6";

// A refused or wrong answer is a failure of the run, not a statistic.
export function options(p99_ms) {
  return {
    vus: 8,
    summaryTrendStats: ["avg", "med", "p(95)", "p(99)", "max"],
    thresholds: {
      checks: ["rate==1"],
      http_req_failed: ["rate==0"],
      http_req_duration: [`p(99)<${p99_ms}`],
    },
  };
}

// Sends JSON, and holds the answer to `expected(body, response)`.
export function post(path, body, expected) {
  const response = http.post(`${__ENV.SIGNALBOX_URL}${path}`, JSON.stringify(body), {
    headers: { "content-type": "application/json" },
    timeout: "20s",
  });
  check(response, {
    "status is 200": (r) => r.status === 200,
    "answer is as expected": (r) => r.status === 200 && expected(r.body, r),
  });
}
