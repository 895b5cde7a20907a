"""The official OpenAI Python SDK against a running Signalbox; only base_url is changed."""

import math
import sys

import openai
from openai import OpenAI

client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none", max_retries=0)
question = [{"role": "user", "content": "Which city is the capital of France?"}]

# An answer in one piece.
answer = client.chat.completions.create(model="auto", messages=question, temperature=0, max_tokens=24)
assert "Paris" in answer.choices[0].message.content, answer
assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-"), answer
assert answer.choices[0].index == 0 and answer.choices[0].finish_reason in ("stop", "length"), answer
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0, answer
assert isinstance(answer.created, int) and answer.created > 1_700_000_000, answer

# The same answer in pieces.
text, finish, usage, chunks = "", None, None, 0
stream = client.chat.completions.create(
    model="auto", messages=question, temperature=0, max_tokens=24, stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    chunks += 1
    assert chunk.object == "chat.completion.chunk", chunk
    for choice in chunk.choices:
        text += choice.delta.content or ""
        finish = choice.finish_reason or finish
    usage = chunk.usage or usage
assert text == answer.choices[0].message.content, (text, answer)
assert finish == answer.choices[0].finish_reason, finish
assert usage.completion_tokens == answer.usage.completion_tokens, usage
assert chunks > 3, chunks

# Loose forms that OpenAI's endpoint takes.
loose = client.chat.completions.create(
    model="SmolLM2-135M-Instruct", temperature=0, max_tokens=8, stop="\n",
    messages=[{"role": "user", "content": [{"type": "text", "text": "Count to three."}]}],
    extra_body={"a_field_of_tomorrow": True},
)
assert loose.model == "SmolLM2-135M-Instruct", loose

# Vectors: the SDK asks for base64 unless told otherwise; both must agree.
inputs = ["a red bicycle", "ein rotes Fahrrad", "the stock market fell"]
packed = client.embeddings.create(model="all-MiniLM-L6-v2", input=inputs)
plain = client.embeddings.create(model="all-MiniLM-L6-v2", input=inputs, encoding_format="float")
assert [item.index for item in packed.data] == [0, 1, 2], packed
for one, other in zip(packed.data, plain.data):
    assert len(one.embedding) == 384
    assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(one.embedding, other.embedding))
    assert math.isclose(sum(a * a for a in one.embedding), 1, abs_tol=1e-4)
single = client.embeddings.create(model="all-MiniLM-L6-v2", input=inputs[0], encoding_format="float")
assert single.data[0].embedding == plain.data[0].embedding
tokens = client.embeddings.create(model="all-MiniLM-L6-v2", input=[1037, 2417, 10165], encoding_format="float")
assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(tokens.data[0].embedding, plain.data[0].embedding))
assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0
assert packed.object == "list" and packed.model == "all-MiniLM-L6-v2" and packed.data[0].object == "embedding", packed

# `dimensions` and `user` are taken; this model has one length only, and says so.
own = client.embeddings.create(model="all-MiniLM-L6-v2", input="a", dimensions=384, user="alice")
assert len(own.data[0].embedding) == 384
lists = client.embeddings.create(
    model="all-MiniLM-L6-v2", input=[[1037, 2417, 10165], [1037]], encoding_format="float"
)
assert lists.data[0].embedding == tokens.data[0].embedding and lists.data[1].index == 1

# What OpenAI has not: other types of numbers, as fields beside.
small = client.embeddings.create(
    model="all-MiniLM-L6-v2", input="a", encoding_format="float", extra_body={"output_dtype": "ubinary"}
)
assert len(small.data[0].embedding) == 48, small
assert all(n == int(n) and 0 <= n <= 255 for n in small.data[0].embedding), small

models = {model.id for model in client.models.list()}
assert {"auto", "SmolLM2-135M-Instruct"} <= models, models

# Errors are the SDK's own types.
for call, expected in [
    (lambda: client.chat.completions.create(model="gpt-nonesuch", messages=question), openai.NotFoundError),
    (lambda: client.chat.completions.create(model="auto", messages=[]), openai.BadRequestError),
    (lambda: client.chat.completions.create(model="auto", messages=question, temperature=9), openai.BadRequestError),
    (lambda: client.embeddings.create(model="all-MiniLM-L6-v2", input=""), openai.BadRequestError),
    (lambda: client.embeddings.create(model="all-MiniLM-L6-v2", input=[]), openai.BadRequestError),
    (lambda: client.embeddings.create(model="all-MiniLM-L6-v2", input="a", dimensions=7), openai.BadRequestError),
    (lambda: client.embeddings.create(model="text-embedding-nonesuch", input="a"), openai.NotFoundError),
]:
    try:
        call()
    except expected as error:
        assert error.body["message"] and error.body["type"], error.body
    else:
        raise AssertionError(f"no {expected.__name__}")

try:
    client.embeddings.create(model="all-MiniLM-L6-v2", input=["a", ""])
except openai.BadRequestError as error:
    assert error.param == "input[1]" and error.type == "invalid_request_error" and error.code, error.body

print(f"openai-python {openai.__version__}: {text!r}, {chunks} chunks")
