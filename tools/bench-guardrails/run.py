#!/usr/bin/env python3
"""Our personal-data pass beside Presidio's: same texts, same machine, the same minutes.

Each engine has a process of its own and takes turns with the other, so that what else the
machine does hits both alike. A figure is the median of the rounds; CPU seconds are those of the
process. Ours runs all detectors that are on by default, with their validators; Presidio's are
its pattern recognizers behind an NLP engine that does nothing (presidio_worker.py).

    make bench-guardrails
    make bench-guardrails ARGS="--texts my.json"     # a JSON list of strings, or of {"full_text"}
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

from texts import corpus

HERE = pathlib.Path(__file__).resolve().parent
# A turn is about this much CPU: the peer's is over a few hundred texts.
OURS_BYTES, PEER_BYTES = 40_000_000, 60_000


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("worker", type=pathlib.Path, help="the scan_worker example, built for release")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--texts", type=pathlib.Path, help="measure on these instead")
    parser.add_argument("--without-peer", action="store_true", help="ours alone")
    parser.add_argument("--json", type=pathlib.Path, help="write all turns here")
    return parser.parse_args()


class Worker:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ready = self.answer()["ready"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[0]} ended early with {self.process.wait()}")
        return json.loads(line)

    def turn(self, texts, budget):
        sizes = [len(text.encode()) for text in texts]
        count, total = 0, 0
        while count < len(sizes) and total < budget:
            total += sizes[count]
            count += 1
        order = {"from": 0, "to": count, "times": max(1, budget // max(total, 1))}
        print(json.dumps(order), file=self.process.stdin, flush=True)
        return self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def given(path):
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {path.name: [row if isinstance(row, str) else row["full_text"] for row in rows]}


def rate(turns):
    """Bytes per CPU microsecond, which is MB/s."""
    return statistics.median(turn["bytes"] / turn["cpu_s"] / 1e6 for turn in turns)


def main():
    options = parse()
    mixes = given(options.texts) if options.texts else corpus()
    rows, raw = [], {}
    for name, texts in mixes.items():
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            json.dump(texts, file)
            file.flush()
            workers = {"signalbox": (Worker([options.worker, file.name]), OURS_BYTES)}
            if not options.without_peer:
                peer = Worker([sys.executable, HERE / "presidio_worker.py", file.name])
                workers["presidio"] = (peer, PEER_BYTES)
            turns = {engine: [] for engine in workers}
            for number in range(options.rounds):
                if sys.stderr.isatty():
                    print(f"\r{name}: round {number + 1} of {options.rounds} ", end="", file=sys.stderr)
                for engine, (worker, budget) in workers.items():
                    turns[engine].append(worker.turn(texts, budget))
            if sys.stderr.isatty():
                print("\r\033[K", end="", file=sys.stderr)
            for worker, _ in workers.values():
                worker.end()
        ours = rate(turns["signalbox"])
        theirs = rate(turns["presidio"]) if "presidio" in turns else None
        per_mb = statistics.median(t["findings"] / t["bytes"] * 1e6 for t in turns["signalbox"])
        rows.append((name, ours, theirs, per_mb))
        raw[name] = turns
    print(f"MB per CPU second, median of {options.rounds} rounds, {platform.processor() or platform.machine()}")
    print(f"{'texts':<24} {'findings/MB':>11} {'signalbox':>10} {'presidio':>9} {'times':>7}")
    for name, ours, theirs, per_mb in rows:
        peer = f"{theirs:9.3f} {ours / theirs:7.0f}" if theirs else f"{'-':>9} {'-':>7}"
        print(f"{name:<24} {per_mb:11.0f} {ours:10.1f} {peer}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    main()
