"""The stubs over one channel, and short forms of what is asked most."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

import grpc
from signalbox.embeddings.v1.embeddings_pb2_grpc import EmbeddingsServiceStub
from signalbox.guardrails.v1.guardrails_pb2_grpc import GuardrailsServiceStub
from signalbox.router.v1.router_pb2 import (
    ChatCompletionChunk,
    ChatMessage,
    CreateChatCompletionRequest,
)
from signalbox.router.v1.router_pb2_grpc import RouterServiceStub


class Client:
    """Signalbox behind one channel, which it closes.

    Make one for each server and keep it: it may be used by all threads, and its
    calls share one connection. All RPCs are on the stubs; each takes `timeout` in
    seconds and `metadata`, and raises `grpc.RpcError`, which `ErrorDetails.of`
    decodes. An API key is metadata too: `("authorization", "Bearer KEY")`; send one
    over TLS only.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.router = RouterServiceStub(channel)
        self.embeddings = EmbeddingsServiceStub(channel)
        self.guardrails = GuardrailsServiceStub(channel)

    def chat(self, model: str, prompt: str, *, timeout: float | None = None) -> str:
        """The model's answer to one message. `timeout` is in seconds."""
        answer = self.router.CreateChatCompletion(_chat(model, prompt), timeout=timeout)
        return answer.choices[0].message.content

    def stream_chat(
        self, model: str, prompt: str, *, timeout: float | None = None
    ) -> TextStream:
        """The same answer while it is written. `timeout` is that of the whole."""
        call = self.router.StreamChatCompletion(_chat(model, prompt), timeout=timeout)
        return TextStream(call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.channel.close()


class _Call(Protocol):
    """What a streaming stub returns, as far as it is used here."""

    def __iter__(self) -> Iterator[ChatCompletionChunk]: ...

    def cancel(self) -> bool: ...


class TextStream:
    """Pieces of text as they come. Leaving its `with` block cancels what is left, so
    that no model goes on writing for nobody."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def __iter__(self) -> Iterator[str]:
        for chunk in self._call:
            for choice in chunk.choices:
                if choice.delta.content:
                    yield choice.delta.content

    def cancel(self) -> None:
        """Ends the call; whoever reads on gets CANCELLED."""
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()


def _chat(model: str, prompt: str) -> CreateChatCompletionRequest:
    message = ChatMessage(role="user", content=prompt)
    return CreateChatCompletionRequest(model=model, messages=[message])
