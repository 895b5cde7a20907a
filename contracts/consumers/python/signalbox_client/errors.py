"""What an error of Signalbox says, as values.

Every error carries `google.rpc` details, as bytes in the trailer
`grpc-status-details-bin`. A program decides by `code` and `reason`; `message` is for
people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request is wrong."""

    field: str
    """Its path, such as `messages[2].role`."""
    description: str
    """What is accepted."""


@dataclass(frozen=True)
class ErrorDetails:
    """An error, decoded. What the server did not send is empty."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    """Stable and in capitals, such as `INVALID_FIELD`."""
    domain: str = ""
    """`signalbox`; empty where the error was made on the way, or by gRPC here."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Facts that belong to `reason`."""
    violations: tuple[FieldViolation, ...] = ()
    retry_after: timedelta | None = None
    """How long to wait before another try; no other try helps when absent."""

    @classmethod
    def of(cls, error: grpc.RpcError) -> ErrorDetails:
        """Decodes what a stub raised."""
        if not isinstance(error, grpc.Call):
            return cls(grpc.StatusCode.UNKNOWN, str(error))
        rich = rpc_status.from_call(error)
        info = error_details_pb2.ErrorInfo()
        bad_request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        retry_after = None
        for detail in rich.details if rich else ():
            # One of these three, or a kind that this client does not know yet.
            detail.Unpack(info)
            detail.Unpack(bad_request)
            if detail.Unpack(retry):
                retry_after = retry.retry_delay.ToTimedelta()
        return cls(
            code=error.code(),
            message=error.details() or "",
            reason=info.reason,
            domain=info.domain,
            metadata=dict(info.metadata),
            violations=tuple(
                FieldViolation(each.field, each.description)
                for each in bad_request.field_violations
            ),
            retry_after=retry_after,
        )
