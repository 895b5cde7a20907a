"""What the fault-injecting upstream saw: the other side of a case."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from cases.report import CaseFailed

# A local server tells within milliseconds; a loaded machine takes longer.
_LIMIT_S = 10.0
_PAUSE_S = 0.02

Record = dict[str, Any]


class Upstream:
    """The record of the upstream whose base URL (`http://host:port/v1`) is given."""

    def __init__(self, base_url: str) -> None:
        self._url = base_url.removesuffix("/v1") + "/_record"

    def forget(self) -> None:
        """Starts the record and all counts, such as those of `flaky`, anew."""
        urllib.request.urlopen(urllib.request.Request(self._url, method="DELETE"))

    def records(self, prompt: str) -> list[Record]:
        """The requests whose last message is `prompt`, oldest first."""
        with urllib.request.urlopen(self._url) as response:
            records: list[Record] = json.load(response)
        return [record for record in records if _prompt(record) == prompt]

    def wait_for(self, prompt: str, matches: Callable[[Record], bool]) -> Record:
        """The first record of `prompt` that `matches`, once there is one."""
        end = time.monotonic() + _LIMIT_S
        while True:
            records = self.records(prompt)
            for record in records:
                if matches(record):
                    return record
            if time.monotonic() > end:
                outcomes = [record["outcome"] for record in records]
                raise CaseFailed(f"the upstream saw no such request, but {outcomes}")
            time.sleep(_PAUSE_S)


def _prompt(record: Record) -> str | None:
    body = record["body"]
    messages = body.get("messages") if isinstance(body, dict) else None
    return messages[-1].get("content") if messages else None
