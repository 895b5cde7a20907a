"""The official OpenAI Python SDK against a Signalbox that allows one request."""

import sys

import openai
from openai import OpenAI

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
ask = lambda: client.embeddings.create(model="all-MiniLM-L6-v2", input="a")
assert len(ask().data[0].embedding) == 384
try:
    ask()
except openai.RateLimitError as error:
    assert error.status_code == 429 and error.type == "rate_limit_error" and error.code, error.body
    assert int(error.response.headers["retry-after"]) >= 1, error.response.headers
else:
    raise AssertionError("no RateLimitError")

print("openai-python: RateLimitError with Retry-After")
