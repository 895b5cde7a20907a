"""Gives every call a deadline, so that none can wait for ever.

A service config could say it too (`timeout`), but gRPC's C core ends such calls up to
two seconds early: https://github.com/grpc/grpc/issues/34547.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

_Request = TypeVar("_Request")
_Call = TypeVar("_Call")
_Details = grpc.ClientCallDetails


class DefaultTimeout(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Calls that name no `timeout` get this one, in seconds. A call that answers with
    a stream may take longer: a long answer is no fault."""

    def __init__(self, single: float, stream: float) -> None:
        self._single = single
        self._stream = stream

    def intercept_unary_unary(
        self,
        continuation: Callable[[_Details, _Request], _Call],
        client_call_details: _Details,
        request: _Request,
    ) -> _Call:
        return continuation(_within(self._single, client_call_details), request)

    def intercept_unary_stream(
        self,
        continuation: Callable[[_Details, _Request], _Call],
        client_call_details: _Details,
        request: _Request,
    ) -> _Call:
        return continuation(_within(self._stream, client_call_details), request)

    def intercept_stream_unary(
        self,
        continuation: Callable[[_Details, Iterator[_Request]], _Call],
        client_call_details: _Details,
        request_iterator: Iterator[_Request],
    ) -> _Call:
        details = _within(self._single, client_call_details)
        return continuation(details, request_iterator)

    def intercept_stream_stream(
        self,
        continuation: Callable[[_Details, Iterator[_Request]], _Call],
        client_call_details: _Details,
        request_iterator: Iterator[_Request],
    ) -> _Call:
        details = _within(self._stream, client_call_details)
        return continuation(details, request_iterator)


class _CallDetails(grpc.ClientCallDetails):
    def __init__(self, details: grpc.ClientCallDetails, timeout: float) -> None:
        self.method = details.method
        self.timeout = timeout
        self.metadata = details.metadata
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


def _within(timeout: float, details: grpc.ClientCallDetails) -> grpc.ClientCallDetails:
    return details if details.timeout is not None else _CallDetails(details, timeout)
