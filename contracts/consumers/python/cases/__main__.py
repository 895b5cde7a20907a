"""Runs every case on both servers: see `contracts/README.md`."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path

import grpc

from cases.habits import Connect, Habits
from cases.report import Report, refusal, require
from cases.rows import check_table, generated_rpcs, read_rows, run_row
from cases.upstream import Upstream
from signalbox_client import SERVICE_CONFIG, Client, plaintext, secure


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--generated", type=Path, required=True)
    arguments.add_argument(
        "--older", action="store_true", help="the contract is an older release's"
    )
    options = arguments.parse_args()

    report = Report()
    upstream = Upstream(os.environ["SIGNALBOX_UPSTREAM"])
    rpcs = generated_rpcs(options.generated)
    rows = read_rows(Path(os.environ["SIGNALBOX_RPCS"]))
    with report.case("contract", "table", "one row for each RPC"):
        check_table(rows, rpcs, options.older)

    tls = os.environ["SIGNALBOX_TLS"]
    roots = Path(os.environ["SIGNALBOX_CA"]).read_bytes()
    servers: dict[str, Connect] = {
        "plaintext": partial(plaintext, os.environ["SIGNALBOX_PLAINTEXT"]),
        "tls": lambda config: secure(tls, roots, config),
    }
    for transport, connect in servers.items():
        with Client(connect(SERVICE_CONFIG)) as client:
            for row in rows:
                run_row(row, rpcs, client.channel, transport, report, options.older)
            Habits(transport, client, connect, upstream, report).run()
    with report.case("tls", "trust", "an unknown authority is refused"):
        with Client(secure(tls, config={})) as client:
            details = refusal(
                grpc.StatusCode.UNAVAILABLE,
                lambda: client.chat("echo", "hello", timeout=30),
            )
        require(not details.domain, f"the server was reached: {details}")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
