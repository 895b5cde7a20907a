"""What a Python consumer of the REST API relies on, as pacts.

Run by contracts/pact/run.sh; the pacts go to the folder in SIGNALBOX_PACTS_OUT.
"""

import base64
import json
import os
import struct
import unittest
import urllib.error
import urllib.request

from pact import Pact, match

CONSUMER = "python-rest"
KEY = "the-key-of-the-pact-tests"
ROUTER, EMBEDDINGS, GUARDRAILS = "signalbox-router", "signalbox-embeddings", "signalbox-guardrails"


class Client:
    """The client under test: standard library only."""

    def __init__(self, base_url, key=KEY):
        self.base_url, self.key = str(base_url).rstrip("/"), key

    def call(self, path, body=None):
        """Returns status, headers and text; errors are answers too."""
        headers = {"content-type": "application/json"} if body is not None else {}
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base_url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()

    def embed(self, texts):
        status, _, text = self.call(
            "/v1/embeddings",
            {"model": "all-MiniLM-L6-v2", "input": texts, "encoding_format": "base64"},
        )
        assert status == 200, text
        vectors = []
        for item in sorted(json.loads(text)["data"], key=lambda item: item["index"]):
            packed = base64.b64decode(item["embedding"])
            vectors.append(struct.unpack(f"<{len(packed) // 4}f", packed))
        return vectors


class Consumer(unittest.TestCase):
    def interaction(self, provider, description, state=None, **parameters):
        self.pact = Pact(CONSUMER, provider).with_specification("V4")
        interaction = self.pact.upon_receiving(description)
        return interaction.given(state, parameters) if state else interaction

    def post(self, interaction, path, body, status=200):
        return (
            interaction.with_request("POST", path)
            .with_header("authorization", f"Bearer {KEY}")
            .with_body(body, "application/json")
            .will_respond_with(status)
        )

    def get(self, interaction, path, status=200):
        return (
            interaction.with_request("GET", path)
            .with_header("authorization", f"Bearer {KEY}")
            .will_respond_with(status)
        )

    def serve(self):
        """The mock server; the pact is written once what is done in it has passed."""
        return Served(self.pact)

    def test_completes_a_chat(self):
        body = {
            "model": "echo",
            "messages": [
                {"role": "system", "content": "repeat"},
                {"role": "user", "content": "grüße"},
            ],
            "user": "python-rest",
        }
        interaction = self.interaction(ROUTER, "a chat completion", "a chat model", model="echo")
        self.post(interaction, "/v1/chat/completions", body).with_body(
            {
                "id": match.regex("chatcmpl-1", regex="^chatcmpl-[0-9A-Z]+$"),
                "object": "chat.completion",
                "created": match.int(1795437239),
                "model": "echo",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": "grüße"},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": match.int(4),
                    "completion_tokens": match.int(2),
                    "total_tokens": match.int(6),
                },
            },
            "application/json",
        )
        with self.serve() as client:
            status, _, text = client.call("/v1/chat/completions", body)
            self.assertEqual(status, 200)
            answer = json.loads(text)
            self.assertEqual(answer["choices"][0]["message"]["content"], "grüße")
            self.assertEqual(answer["usage"]["total_tokens"], 6)

    def test_streams_a_chat(self):
        body = {
            "model": "steady",
            "messages": [{"role": "user", "content": "hello"}],
            "stream": True,
        }
        example = (
            'data: {"choices":[{"index":0,"delta":{"content":"The signal is clear."}}]}\n\n'
            'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
            "data: [DONE]\n\n"
        )
        # The whole body by one expression: Pact has no matcher for events.
        events = (
            r'^(data: \{[^\n]*\}\n\n)*data: \{[^\n]*"delta":\{[^}\n]*"content":"[^"\n]+"[^\n]*\}\n\n'
            r'(data: \{[^\n]*\}\n\n)*data: \{[^\n]*"finish_reason":"stop"[^\n]*\}\n\n'
            r"(data: \{[^\n]*\}\n\n)*data: \[DONE\]\n\n$"
        )
        interaction = self.interaction(
            ROUTER, "a streamed chat completion", "a chat model", model="steady"
        )
        (
            self.post(interaction, "/v1/chat/completions", body)
            .with_body(example, "text/event-stream")
            .with_matching_rules(
                {"body": {"$": {"matchers": [{"match": "regex", "regex": events}]}}}
            )
        )
        with self.serve() as client:
            _, headers, text = client.call("/v1/chat/completions", body)
            self.assertIn("text/event-stream", headers["content-type"])
            *chunks, last = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
            self.assertEqual(last, "[DONE]")
            deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
            said = "".join(delta.get("content", "") for delta in deltas)
            self.assertEqual(said, "The signal is clear.")

    def test_names_the_field_that_is_wrong(self):
        body = {"model": "steady", "messages": []}
        interaction = self.interaction(ROUTER, "a chat without messages")
        self.post(interaction, "/v1/chat/completions", body, status=400).with_body(
            {
                "error": {
                    "code": "invalid_field",
                    "message": match.str("messages: 1 to 2048 messages"),
                    "param": "messages",
                    "type": "invalid_request_error",
                }
            },
            "application/json",
        )
        with self.serve() as client:
            status, _, text = client.call("/v1/chat/completions", body)
            self.assertEqual(status, 400)
            self.assertEqual(json.loads(text)["error"]["param"], "messages")

    def test_waits_as_long_as_a_limited_provider_asks(self):
        body = {"model": "limited", "messages": [{"role": "user", "content": "hello"}]}
        interaction = self.interaction(
            ROUTER,
            "a chat with a limited model",
            "a chat model whose provider is over its limit",
            model="limited",
        )
        (
            self.post(interaction, "/v1/chat/completions", body, status=429)
            .with_header("retry-after", match.regex("2", regex="^[0-9]+$"))
            .with_body({"error": {"type": "rate_limit_error"}}, "application/json")
        )
        with self.serve() as client:
            status, headers, _ = client.call("/v1/chat/completions", body)
            self.assertEqual((status, headers["retry-after"]), (429, "2"))

    def test_lists_models(self):
        interaction = self.interaction(ROUTER, "the list of models", "a chat model", model="steady")
        self.get(interaction, "/v1/models").with_body(
            {
                "object": "list",
                "data": match.each_like({"id": match.str("steady"), "object": "model"}, min=1),
            },
            "application/json",
        )
        with self.serve() as client:
            status, _, text = client.call("/v1/models")
            self.assertEqual(status, 200)
            self.assertEqual([model["id"] for model in json.loads(text)["data"]], ["steady"])

    def test_reads_what_a_user_costs(self):
        interaction = self.interaction(
            ROUTER,
            "the usage of a user",
            "a user who made one call",
            user="python-reader",
            model="steady",
        )
        (
            interaction.with_request("GET", "/v1/router/usage")
            .with_query_parameter("user", "python-reader")
            .with_header("authorization", f"Bearer {KEY}")
            .will_respond_with(200)
            .with_body(
                {
                    "rows": [{"user": "python-reader", "model": "steady"}],
                    "total": {
                        "requests": "1",
                        "cost_usd_picos": match.regex("4950000", regex="^[1-9][0-9]*$"),
                    },
                },
                "application/json",
            )
        )
        with self.serve() as client:
            _, _, text = client.call("/v1/router/usage?user=python-reader")
            self.assertGreater(int(json.loads(text)["total"]["cost_usd_picos"]), 0)

    def test_embeds_texts_in_base64(self):
        body = {
            "model": "all-MiniLM-L6-v2",
            "input": ["a red bicycle"],
            "encoding_format": "base64",
        }
        vector = base64.b64encode(struct.pack("<3f", 0.5, -0.25, 1)).decode()
        interaction = self.interaction(
            EMBEDDINGS,
            "embeddings in base64",
            "an embedding model",
            model="all-MiniLM-L6-v2",
        )
        self.post(interaction, "/v1/embeddings", body).with_body(
            {
                "object": "list",
                "data": [
                    {
                        "object": "embedding",
                        "index": 0,
                        "embedding": match.regex(vector, regex="^[A-Za-z0-9+/]+=*$"),
                    }
                ],
                "usage": {"prompt_tokens": 5, "total_tokens": 5},
            },
            "application/json",
        )
        with self.serve() as client:
            self.assertEqual(client.embed(["a red bicycle"]), [(0.5, -0.25, 1.0)])

    def test_knows_the_size_of_a_vector(self):
        interaction = self.interaction(
            EMBEDDINGS,
            "the list of embedding models",
            "an embedding model",
            model="all-MiniLM-L6-v2",
        )
        self.get(interaction, "/v1/embeddings/models").with_body(
            {"object": "list", "data": [{"id": "all-MiniLM-L6-v2", "dimensions": 384}]},
            "application/json",
        )
        with self.serve() as client:
            _, _, text = client.call("/v1/embeddings/models")
            self.assertEqual(json.loads(text)["data"][0]["dimensions"], 384)

    def test_redacts_personal_data(self):
        body = {"text": "Mail ada@example.com"}
        interaction = self.interaction(GUARDRAILS, "a text with an address to redact")
        self.post(interaction, "/v1/guardrails:redact", body).with_body(
            {
                "text": "Mail <EMAIL>",
                "findings": [{"type": "EMAIL", "start_char": "5", "end_char": "20"}],
            },
            "application/json",
        )
        with self.serve() as client:
            _, _, text = client.call("/v1/guardrails:redact", body)
            self.assertEqual(json.loads(text)["text"], "Mail <EMAIL>")

    def test_reads_the_details_of_a_status(self):
        body = {"text": "hello", "detectors": ["nobody"]}
        interaction = self.interaction(GUARDRAILS, "a redaction by an unknown detector")
        self.post(interaction, "/v1/guardrails:redact", body, status=400).with_body(
            {
                "code": 3,
                "message": match.str("detectors[0]: `nobody` does not exist"),
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "INVALID_FIELD",
                        "domain": "signalbox",
                    },
                    {
                        "@type": "type.googleapis.com/google.rpc.BadRequest",
                        "field_violations": [{"field": "detectors[0]"}],
                    },
                ],
            },
            "application/json",
        )
        with self.serve() as client:
            status, _, text = client.call("/v1/guardrails:redact", body)
            self.assertEqual(status, 400)
            reasons = [detail.get("reason") for detail in json.loads(text)["details"]]
            self.assertEqual(reasons, ["INVALID_FIELD", None])


class Served:
    """A mock server whose pact is written when the test's own checks have passed."""

    def __init__(self, pact):
        self.pact, self.server = pact, pact.serve(addr="127.0.0.1")

    def __enter__(self):
        return Client(self.server.__enter__().url)

    def __exit__(self, kind, value, trace):
        # Raises where the request was not the pact's.
        self.server.__exit__(kind, value, trace)
        if kind is None:
            self.pact.write_file(os.environ["SIGNALBOX_PACTS_OUT"])


if __name__ == "__main__":
    unittest.main()
