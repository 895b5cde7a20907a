"""Runs the load profiles beside it against a platform of its own; prints a table.

    run.py BINARIES [--seconds 10 | --smoke] [--json FILE]

BINARIES holds signalbox and signalbox-contracts, whose `serve` answers chat with the
fault-injecting upstream. --smoke: 200 calls by each gRPC profile, no REST, no limit on
latency; what must hold is that no call fails. Ends with 1 where something does not hold.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in HERE.glob("*.json"))
SMOKE_CALLS = 200


def tools():
    """The folder of tools/setup."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("SIGNALBOX_TOOLS_DIR") or Path(cache) / "signalbox/tools") / "bin"


def serve(binaries):
    """Starts the platform of the checks; gives the process and its plaintext address."""
    process = subprocess.Popen(
        [binaries / "signalbox-contracts", "--binaries", binaries, "serve"],
        stdout=subprocess.PIPE,
        text=True,
    )
    found = {}
    for line in process.stdout:
        name, _, value = line.removeprefix("export ").strip().partition("=")
        found[name] = value
        if name == "SIGNALBOX_UPSTREAM":
            return process, found["SIGNALBOX_PLAINTEXT"]
    sys.exit(f"load: the platform did not start; it ended with {process.wait()}")


def grpc(name, address, seconds):
    """One ghz profile: a row of the table, and what does not hold."""
    profile = HERE / f"{name}.json"
    amount = [f"--duration={seconds}s"] if seconds else [f"--total={SMOKE_CALLS}"]
    # Calls that the end of the time cuts off are waited for, else they count as errors.
    command = [tools() / "ghz", f"--config={profile}", "--format=json", "--duration-stop=wait"]
    report = json.loads(subprocess.check_output([*command, *amount, address]))
    status = report.get("statusCodeDistribution") or {}
    failed = report["count"] - status.get("OK", 0)
    latency = {p["percentage"]: p["latency"] / 1e6 for p in report["latencyDistribution"] or []}
    wrong = []
    if failed or not report["count"]:
        errors = report.get("errorDistribution") or status
        wrong.append(f"{failed} of {report['count']} calls failed: {errors}")
    if not seconds and report["count"] != SMOKE_CALLS:
        wrong.append(f"{report['count']} calls were made, not {SMOKE_CALLS}")
    limit = float(json.loads(profile.read_text())["tags"]["p99_ms"])
    if seconds and not latency.get(99, limit + 1) <= limit:
        wrong.append(f"99th percentile {latency.get(99)} ms is over {limit} ms")
    row = ("gRPC", name, report["count"], failed, report["rps"], latency.get(50), latency.get(99))
    return row, wrong


def rest(name, address, seconds):
    """One k6 profile: a row of the table, and what does not hold."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        command = [tools() / "k6", "run", "--quiet", "--no-usage-report", f"--summary-export={summary}"]
        command += [f"--duration={seconds}s", "--env", f"SIGNALBOX_URL=http://{address}"]
        ended = subprocess.run([*command, HERE / f"{name}.js"], capture_output=True, text=True)
        if not summary.exists():
            sys.exit(f"load: k6 {name}: {ended.stdout}{ended.stderr}")
        metrics = json.loads(summary.read_text())["metrics"]
    calls, latency = metrics["http_reqs"], metrics["http_req_duration"]
    failed = metrics["http_req_failed"]["passes"]
    wrong = [f"k6 ended with {ended.returncode}: {ended.stderr.strip()}"] if ended.returncode else []
    row = ("REST", name, calls["count"], failed, calls["rate"], latency["med"], latency["p(99)"])
    return row, wrong


def machine():
    """What the numbers were measured on."""
    cpu = next(
        (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores; load before: {os.getloadavg()[0]:.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binaries", type=Path)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    seconds = 0 if arguments.smoke else arguments.seconds
    described = machine()
    server, address = serve(arguments.binaries.resolve())
    rows, wrong = [], []
    try:
        for run in (grpc,) if arguments.smoke else (grpc, rest):
            for name in NAMES:
                row, problems = run(name, address, seconds)
                rows.append(row)
                wrong += [f"{row[0]} {name}: {problem}" for problem in problems]
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
    print(f"\n{described}\n")
    print("| | profile | calls | failed | calls/s | median ms | p99 ms |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for way, name, calls, failed, rate, median, p99 in rows:
        shown = ["-" if ms is None else f"{ms:.1f}" for ms in (median, p99)]
        print(f"| {way} | {name} | {calls} | {failed} | {rate:.0f} | {shown[0]} | {shown[1]} |")
    if arguments.json:
        keys = ("way", "profile", "calls", "failed", "calls_per_s", "median_ms", "p99_ms")
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        results = {"machine": described, "rows": [dict(zip(keys, row)) for row in rows]}
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    for problem in wrong:
        print(f"load: {problem}", file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
