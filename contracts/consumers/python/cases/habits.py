"""The cases that are no rows: errors, cancellation, deadlines, metadata, retries."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from signalbox.embeddings.v1.embeddings_pb2 import CreateEmbeddingsRequest
from signalbox.router.v1.router_pb2 import ChatMessage, CreateChatCompletionRequest

from cases.report import Report, refusal, require
from cases.upstream import Record, Upstream
from signalbox_client import Client
from signalbox_client.channel import ServiceConfig
from signalbox_client.deadlines import DefaultTimeout

Connect = Callable[[ServiceConfig], grpc.Channel]
"""A new channel to the server of the cases, with this service config."""

_MANY = 200


@dataclass(frozen=True)
class Habits:
    """The cases on one transport, whose name is in each line."""

    transport: str
    client: Client
    connect: Connect
    upstream: Upstream
    report: Report

    def run(self) -> None:
        cases = [
            ("unary", "Client.chat", self.chat),
            ("server_stream", "Client.stream_chat", self.stream_chat),
            ("bidirectional", "reflection", self.reflection),
            ("error_details", "BadRequest names the field", self.bad_request),
            ("error_details", "RetryInfo says when", self.retry_info),
            ("cancellation", "a stream", self.cancelled_stream),
            ("cancellation", "leaving the block", self.abandoned_stream),
            ("deadline", "stalled model", self.deadline),
            ("deadline", "a call that names none", self.default_deadline),
            ("metadata", "request id and trace", self.metadata),
            ("retry", "flaky model", self.retry),
            ("retry", "none without a policy", self.no_retry),
            ("concurrency", f"{_MANY} calls", self.concurrency),
        ]
        for group, name, case in cases:
            with self.report.case(self.transport, group, name):
                case()

    def chat(self) -> None:
        answer = self.client.chat("echo", "hello contract")
        require(answer == "hello contract", f"{answer!r}")

    def stream_chat(self) -> None:
        with self.client.stream_chat("echo", "hello contract") as stream:
            answer = "".join(stream)
        require(answer == "hello contract", f"{answer!r}")

    def reflection(self) -> None:
        service = "signalbox.router.v1.RouterService"
        # The second question is asked when the first answer has come.
        questions: queue.SimpleQueue[ServerReflectionRequest | None] = (
            queue.SimpleQueue()
        )
        to_send: Iterator[ServerReflectionRequest] = iter(questions.get, None)
        reflection = ServerReflectionStub(self.client.channel)
        answers = reflection.ServerReflectionInfo(to_send, timeout=30)
        questions.put(ServerReflectionRequest(list_services=""))
        listed = next(answers).list_services_response.service
        names = [each.name for each in listed]
        require(service in names, f"{service} is not in {names}")
        questions.put(ServerReflectionRequest(file_containing_symbol=service))
        files = next(answers).file_descriptor_response.file_descriptor_proto
        require(bool(files), f"no file for {service}")
        questions.put(None)
        require(not list(answers), "an answer without a question")

    def bad_request(self) -> None:
        details = refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            lambda: self.client.embeddings.CreateEmbeddings(
                CreateEmbeddingsRequest(model="all-MiniLM-L6-v2"), timeout=30
            ),
        )
        fields = [violation.field for violation in details.violations]
        require(fields == ["input"], f"BadRequest names {fields}, not input")
        said = (details.domain, details.reason)
        require(said == ("signalbox", "INVALID_FIELD"), f"ErrorInfo {said}")

    def retry_info(self) -> None:
        details = refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            lambda: self.client.chat("limited", "hello", timeout=30),
        )
        require(details.domain == "signalbox", f"domain {details.domain!r}")
        wanted = timedelta(seconds=2)
        require(details.retry_after == wanted, f"RetryInfo {details.retry_after}")

    def cancelled_stream(self) -> None:
        prompt = _unique_prompt()
        stream = self.client.stream_chat("slow", prompt)
        pieces = iter(stream)
        next(pieces)
        stream.cancel()
        refusal(grpc.StatusCode.CANCELLED, lambda: list(pieces))
        self.upstream.wait_for(prompt, _was_left)

    def abandoned_stream(self) -> None:
        prompt = _unique_prompt()
        with self.client.stream_chat("slow", prompt) as stream:
            next(iter(stream))
        self.upstream.wait_for(prompt, _was_left)

    def deadline(self) -> None:
        self._passes_in_time(lambda: self.client.chat("stalled", "hello", timeout=0.3))

    def default_deadline(self) -> None:
        timeout = DefaultTimeout(single=0.3, stream=0.3)
        client = Client(grpc.intercept_channel(self.client.channel, timeout))
        self._passes_in_time(lambda: client.chat("stalled", "hello"))
        self._passes_in_time(lambda: list(client.stream_chat("stalled", "hello")))

    def _passes_in_time(self, call: Callable[[], object]) -> None:
        begun = time.monotonic()
        refusal(grpc.StatusCode.DEADLINE_EXCEEDED, call)
        took = time.monotonic() - begun
        require(0.25 <= took < 2, f"after {took:.2f} s, not 0.3 s")

    def metadata(self) -> None:
        prompt = _unique_prompt()
        request_id, trace = uuid.uuid4().hex, uuid.uuid4().hex
        request = CreateChatCompletionRequest(
            model="echo", messages=[ChatMessage(role="user", content=prompt)]
        )
        answer, call = self.client.router.CreateChatCompletion.with_call(
            request,
            timeout=30,
            metadata=(
                ("x-request-id", request_id),
                ("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),
            ),
        )
        came = dict(call.initial_metadata()).get("x-request-id")
        require(came == request_id, f"x-request-id {came!r} came back")
        booked = answer.signalbox.request_id
        require(booked == request_id, f"the answer is that of request {booked!r}")
        self.upstream.wait_for(
            prompt, lambda record: trace in (record["traceparent"] or "")
        )

    def retry(self) -> None:
        prompt = _unique_prompt()
        self.upstream.forget()
        answer = self.client.chat("flaky", prompt, timeout=30)
        require(bool(answer), "the answer is empty")
        tries = len(self.upstream.records(prompt))
        require(tries == 3, f"{tries} tries, not 3")

    def no_retry(self) -> None:
        self.upstream.forget()
        with Client(self.connect({})) as client:
            details = refusal(
                grpc.StatusCode.UNAVAILABLE, lambda: client.chat("flaky", "hello")
            )
        require(details.domain == "signalbox", f"not from Signalbox: {details}")

    def concurrency(self) -> None:
        prompts = [f"hello {index}" for index in range(_MANY)]
        calls = [
            self.client.router.CreateChatCompletion.future(
                CreateChatCompletionRequest(
                    model="echo", messages=[ChatMessage(role="user", content=prompt)]
                ),
                timeout=60,
            )
            for prompt in prompts
        ]
        answers = [call.result().choices[0].message.content for call in calls]
        wrong = sum(a != p for a, p in zip(answers, prompts, strict=True))
        require(wrong == 0, f"{wrong} of {_MANY} answers are wrong")


def _was_left(record: Record) -> bool:
    end: str = record["outcome"]["end"]
    return end == "client_disconnected"


def _unique_prompt() -> str:
    return f"hello {uuid.uuid4().hex}"
