"""Counts cases and prints a line for each, as `contracts/README.md` says."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from signalbox_client import ErrorDetails


class CaseFailed(Exception):
    """A case did not show what it must; the message says what came instead."""


def require(truth: bool, otherwise: str) -> None:
    """Fails the case with `otherwise` unless `truth`."""
    if not truth:
        raise CaseFailed(otherwise)


def refusal(code: grpc.StatusCode, call: Callable[[], object]) -> ErrorDetails:
    """Requires that `call` ends with `code`, and gives what the error says."""
    try:
        call()
    except grpc.RpcError as error:
        details = ErrorDetails.of(error)
        came = details.code
        require(came is code, f"{came.name} instead of {code.name}: {details.message}")
        return details
    raise CaseFailed(f"OK instead of {code.name}")


class Report:
    """What passed, what failed, and what an older contract cannot say."""

    def __init__(self) -> None:
        self._passed: Counter[str] = Counter()
        self._failed = 0
        self._skipped = 0

    @contextmanager
    def case(self, transport: str, group: str, name: str) -> Iterator[None]:
        """The block is a case: it fails where an exception leaves the block."""
        path = f"{transport}/{group}/{name}"
        try:
            yield
        except grpc.RpcError as error:
            details = ErrorDetails.of(error)
            self._fail(path, f"{details.code.name}: {details.message}")
        except CaseFailed as failure:
            self._fail(path, str(failure))
        # Whatever else happens is a failure of this case, and no reason to leave
        # the others out.
        except Exception as error:
            self._fail(path, f"{type(error).__name__}: {error}")
        else:
            self._passed[group] += 1
            print(f"ok   {path}", flush=True)

    def skip(self, transport: str, group: str, name: str, why: str) -> None:
        """A case that this contract cannot have."""
        self._skipped += 1
        print(f"skip {transport}/{group}/{name}: {_line(why)}", flush=True)

    def finish(self) -> int:
        """Prints the summary, and gives the exit code."""
        if self._skipped:
            print(f"{self._skipped} skipped: not in this contract")
        summary = {
            "passed": dict(self._passed),
            "failed": self._failed,
            "skipped": self._skipped,
        }
        print(f"SUMMARY {json.dumps(summary)}", flush=True)
        return 1 if self._failed else 0

    def _fail(self, path: str, why: str) -> None:
        self._failed += 1
        print(f"FAIL {path}: {_line(why)}", flush=True)


def _line(text: str) -> str:
    return " ".join(text.split())
