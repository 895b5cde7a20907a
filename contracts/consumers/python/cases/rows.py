"""The rows of `rpcs.json`, called through whatever the protos generated.

No RPC is named here. The generated modules are found by their place, their services
by their descriptors, and a row's stub by its method's name.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message

from cases.report import CaseFailed, Report, refusal, require

# A debug build on a loaded machine still answers in time.
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Row:
    """One line of `rpcs.json`."""

    rpc: str
    kind: str
    status: str
    requests: list[Any]
    expect: Any

    @property
    def name(self) -> str:
        """`RouterService.ListModels`"""
        return self.rpc.rpartition(".")[2].replace("/", ".")

    @property
    def group(self) -> str:
        """The group that this row counts in."""
        return "unimplemented" if self.status == "UNIMPLEMENTED" else self.kind


def read_rows(path: Path) -> list[Row]:
    """Reads `rpcs.json`."""
    return [
        Row(
            rpc=row["rpc"],
            kind=row["kind"],
            status=row["status"],
            requests=row.get("requests", [row.get("request", {})]),
            expect=row.get("expect"),
        )
        for row in json.loads(path.read_text())["rpcs"]
    ]


@dataclass(frozen=True)
class Rpc:
    """A method of the generated code."""

    method: MethodDescriptor
    stub: type

    @property
    def kind(self) -> str:
        match self.method.client_streaming, self.method.server_streaming:
            case False, False:
                return "unary"
            case False, True:
                return "server_stream"
            case True, False:
                return "client_stream"
            case _:
                return "bidirectional"

    def call(self, channel: grpc.Channel, requests: list[Message]) -> list[Message]:
        """Calls the method by its stub, and reads the answer to its end."""
        method = getattr(self.stub(channel), self.method.name)
        sent = iter(requests) if self.method.client_streaming else requests[0]
        answer = method(sent, timeout=_TIMEOUT_S)
        return list(answer) if self.method.server_streaming else [answer]


def generated_rpcs(folder: Path) -> dict[str, Rpc]:
    """Every RPC of the modules generated in `folder`, by `package.Service/Method`."""
    return {
        f"{rpc.method.containing_service.full_name}/{rpc.method.name}": rpc
        for path in sorted(folder.rglob("*_pb2_grpc.py"))
        for rpc in _rpcs_of(".".join(path.relative_to(folder).with_suffix("").parts))
    }


def _rpcs_of(module: str) -> Iterator[Rpc]:
    stubs = importlib.import_module(module)
    messages = importlib.import_module(module.removesuffix("_grpc"))
    for service in messages.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            yield Rpc(method, getattr(stubs, f"{service.name}Stub"))


def check_table(rows: list[Row], rpcs: Mapping[str, Rpc], older: bool) -> None:
    """Requires one row for each RPC, and an RPC of the same kind for each row; an
    older contract may lack some."""
    names = [row.rpc for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(not twice, f"two rows for {twice}")
    without_row = sorted(rpcs.keys() - set(names))
    require(not without_row, f"no row in rpcs.json for {without_row}")
    unknown = sorted(set(names) - rpcs.keys())
    require(older or not unknown, f"no RPC in the protos for {unknown}")
    for row in rows:
        rpc = rpcs.get(row.rpc)
        if rpc and rpc.kind != row.kind:
            raise CaseFailed(f"{row.name} is {rpc.kind}, the row says {row.kind}")


def run_row(
    row: Row,
    rpcs: Mapping[str, Rpc],
    channel: grpc.Channel,
    transport: str,
    report: Report,
    older: bool,
) -> None:
    """Runs a row as a case. In an older contract, what only newer ones have is
    skipped."""
    if older and (why := _newer_part(row, rpcs)):
        report.skip(transport, row.group, row.name, why)
        return
    with report.case(transport, row.group, row.name):
        rpc = rpcs[row.rpc]
        requests = [_message(rpc.method.input_type, value) for value in row.requests]
        if row.status == "OK":
            _check_answers(row, rpc, rpc.call(channel, requests))
            return
        code = grpc.StatusCode[row.status]
        details = refusal(code, lambda: rpc.call(channel, requests))
        if code is grpc.StatusCode.UNIMPLEMENTED:
            said = (details.domain, details.reason)
            wanted = ("signalbox", "NOT_IMPLEMENTED")
            require(said == wanted, f"ErrorInfo {said} instead of {wanted}")


def _newer_part(row: Row, rpcs: Mapping[str, Rpc]) -> str | None:
    rpc = rpcs.get(row.rpc)
    if rpc is None:
        return "the RPC is newer"
    try:
        for request in row.requests:
            _message(rpc.method.input_type, request)
        _message(rpc.method.output_type, row.expect or {})
    except json_format.ParseError as error:
        return f"a field is newer: {error}"
    return None


def _check_answers(row: Row, rpc: Rpc, answers: list[Message]) -> None:
    if row.expect is None:
        return
    # A name that no field has can never be found: a mistake of the row.
    _message(rpc.method.output_type, row.expect)
    require(bool(answers), "the stream ended without a message")
    answer = json_format.MessageToDict(
        answers[0],
        preserving_proto_field_name=True,
        # So that a row can expect 0 or "".
        always_print_fields_with_no_presence=True,
    )
    difference = missing(row.expect, answer, "")
    require(difference is None, str(difference))


def missing(expect: Any, found: Any, path: str) -> str | None:
    """Where `expect` is no part of `found`; None when it is."""
    match expect, found:
        case dict(), dict():
            pairs = [(f"{path}.{key}", expect[key], found.get(key)) for key in expect]
        case list(), list():
            if len(found) < len(expect):
                return f"{path or '.'} has {len(found)} elements, not {len(expect)}"
            pairs = [
                (f"{path}[{index}]", expect[index], found[index])
                for index in range(len(expect))
            ]
        case _:
            same = expect == found
            return None if same else f"{path} is {found!r} instead of {expect!r}"
    differences = (missing(part, other, at) for at, part, other in pairs)
    return next((each for each in differences if each), None)


def _message(descriptor: Descriptor, value: Any) -> Message:
    message = message_factory.GetMessageClass(descriptor)()
    return json_format.ParseDict(value, message)
