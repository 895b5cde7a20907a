#!/usr/bin/env python3
"""Our embedding engine beside ONNX Runtime, PyTorch and candle: same weights, same token
ids, same machine, the same minutes.

Every engine has a process of its own; within a round each takes a turn at the same texts,
in an order that changes, so that what else the machine does hits all alike. A figure is
the median of the rounds. CPU seconds are those of the process and all its threads. Prints
tables last and writes all turns as JSON. What is measured, and how the goals are computed:
docs/benchmarks/embeddings.md.

    make bench-embeddings                        # everything, a quarter of an hour
    make bench-embeddings ARGS="--rounds 2"      # sooner, less sure
    run.py --smoke                               # our engine only, seconds
    run.py --accuracy                            # vectors, not speed
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

import engines
import measure
from corpus import MIXES, Corpus
from measure import BUDGET, say
from report import Goals, ceiling, median_rate, percentile, ratio, table

KINDS = ("f32", "i16", "int8", "amx-int8", "amx-bf16")
ORT, ORT8 = "onnxruntime fp32", "onnxruntime int8"


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("binary", type=pathlib.Path, help="signalbox-bench-embeddings")
    parser.add_argument("--model", type=pathlib.Path, default=default_model(), help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--corpus", default=os.environ.get("SIGNALBOX_BENCH_CORPUS"), help="folder of texts [this project's prose]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=6000, help="tokens a turn")
    parser.add_argument("--texts", type=int, default=3200, help="texts a mix")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", help="engines to run, a comma between them: f32,i16,int8,ort,torch,candle")
    parser.add_argument("--smoke", action="store_true", help="our engine alone, a few texts")
    parser.add_argument("--accuracy", action="store_true", help="compare vectors instead of speed")
    options = parser.parse_args()
    options.kinds, options.limit_ms = KINDS, 40
    if options.accuracy and options.json:  # beside the figures of speed, not over them
        options.json = options.json.with_stem(options.json.stem + "-accuracy")
    if options.smoke:
        options.rounds, options.tokens, options.texts, options.limit_ms = 1, 600, 64, 5
    return options


def default_model():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("SIGNALBOX_MODELS_DIR") or cache / "signalbox" / "models") / "all-MiniLM-L6-v2"


class Texts:
    """The mixes, here and as files for the workers."""

    def __init__(self, options, folder):
        say("making the texts")
        corpus = Corpus(options.model, options.corpus, most=1500 if options.smoke else 25_000)
        self.source, self.maker = corpus.source, corpus
        self.mixes = {name: corpus.mix(name, options.texts) for name in MIXES}
        self.paths = {}
        for name, mix in self.mixes.items():
            self.paths[name] = folder / f"{name}.json"
            self.paths[name].write_text(json.dumps(mix), "utf-8")

    def lengths(self, mix):
        return list(map(len, self.mixes[mix]["ids"]))


def all_engines(options, folder):
    """Ours, and the peers that are installed; `--only` chooses."""
    modes = subprocess.run([options.binary, "modes"], capture_output=True, text=True, check=True).stdout.split()
    wanted = options.only.split(",") if options.only else [*modes, *([] if options.smoke else ["ort", "torch", "candle"])]
    found = [engines.ours(options.binary, options.model, mode) for mode in modes if mode in wanted]
    if "ort" in wanted:
        import peer_models

        say("making the peer's models")
        for name, operators in peer_models.write(options.model, folder).items():
            say(f"  {name}: {operators}")
        for name, variants in ((ORT, peer_models.FP32), (ORT8, peer_models.INT8)):
            best = fastest([engines.onnxruntime(v, options.model, folder / f"{v}.onnx") for v in variants])
            found.append(engines.onnxruntime(name, options.model, folder / f"{best}.onnx"))
    if "torch" in wanted:
        try:
            import torch

            say(f"  PyTorch {torch.__version__}")
            found.append(engines.torch(options.model))
        except (ImportError, OSError, ValueError) as error:
            say(f"  without PyTorch: {error}")
    if "candle" in wanted:
        found.append(engines.candle(options.binary, options.model))
    return found


def fastest(variants):
    """The name of the peer's variant that is fastest, on texts of 16, 64 and 192 tokens."""
    processes = [engines.Process(variant, 1) for variant in variants]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "texts.json"
        ids = [[101, *range(2000, 1998 + length), 102] for length in (16, 64, 192) for _ in range(8)]
        path.write_text(json.dumps({"texts": [""] * len(ids), "ids": ids}))
        cpu = dict.fromkeys((v.name for v in variants), float("inf"))
        for process in processes:
            process.ask(op="texts", name="any", path=str(path))
        for _ in range(8):
            for process in processes:
                turn = measure.run(process, "any", list(range(len(ids))), 8)
                cpu[process.engine.name] = min(cpu[process.engine.name], turn["cpu_s"])
        for process in processes:
            process.stop()
    # Whole numbers by tensor are far less exact: they would have to be clearly faster.
    best = min(cpu, key=lambda name: cpu[name] * (1.05 if name.endswith("int8") else 1))
    say("  " + ", ".join(f"{name}: {seconds * 1e3:.0f} ms CPU" for name, seconds in cpu.items()) + f"; {best} it is")
    return best


def measured(options, everyone, texts, binary):
    """Runs all phases; returns everything that was measured."""
    found = {"turns": [], "limits": {}, "latency": {}, "memory": {}}
    limit = engines.limit(binary)
    for threads in (1, 2):
        bench = measure.Bench(everyone, limit, threads, texts, options)
        try:
            if threads == 1:
                say("choosing the peers' batch sizes for sorted order")
                slices = {mix: measure.Slices(texts.mixes[mix], "sorted", options.tokens / 3, 1).parts[0] for mix in MIXES}
                best = measure.best_batches(bench.processes, MIXES, slices)
            for mix in MIXES:
                bench.phase(f"sorted {mix}", mix, "sorted", lambda e: [(e.name, best.get((e.name, mix), 0), 0)])
            for mix in MIXES if threads == 1 else ("mixed",):
                bench.phase(f"arrival {mix}", mix, "arrival", arrival)
            if threads == 1:
                bench.phase("text mixed", "mixed", "arrival", lambda e: arrival(e)[:1], tokenize=True)
            for (name, tokenize), wall_us in bench.latency("short", 40 if options.smoke else 400).items():
                found["latency"][f"{name}, {threads} thr{', text' if tokenize else ''}"] = wall_us
            found["memory"][threads] = bench.memory()
        finally:
            bench.stop()
        found["turns"] += bench.turns
        found["limits"][threads] = {
            kind: [sorted(rates)[len(rates) // 2] for rates in zip(*(limits[kind] for limits in bench.limits))]
            for kind in bench.limits[0]
        }
    say("starting each engine anew")
    found["starts"] = measure.starts(everyone, 1 if options.smoke else 5)
    found["batches"] = {f"{name}, {mix}": batch for (name, mix), batch in best.items()}
    return found


def arrival(engine):
    """As a server meets texts: ours by tokens; a peer at its batch size, and one by one,
    where nothing is padded either."""
    if engine.ours:
        return [(engine.name, 0, BUDGET)]
    return [(engine.name, engine.arrival, 0), (f"{engine.name}, one by one", 1, 0)]


def show(found, everyone, texts, options):
    turns = found["turns"]
    limits = {kind: cpu for kind, (cpu, _) in found["limits"][1].items()}
    names = [engine.name for engine in everyone]
    singles = [f"{e.name}, one by one" for e in everyone if not e.ours]

    def rates(label, clock, threads, phases):
        return [label, *(median_rate(turns, clock, engine=label, threads=threads, phase=phase) for phase in phases)]

    for order, rows in (("sorted", names), ("arrival", names + singles)):
        phases = [f"{order} {mix}" for mix in MIXES]
        table(f"Tokens per CPU second, 1 thread, {order} order", ["engine", *MIXES], [rates(n, "cpu_s", 1, phases) for n in rows])
    table("The same from text, tokenising included", ["engine", "mixed, arrival"], [rates(n, "cpu_s", 1, ["text mixed"]) for n in names])
    wall = [("sorted " + mix) for mix in MIXES] + ["arrival mixed"]
    for threads in (1, 2):
        rows = [rates(n, "wall_s", threads, wall) for n in names]
        table(f"Tokens per wall second, {threads} thread{'s' * (threads > 1)}", ["engine", *wall], rows)
    rows = []
    for name in names:
        cells = [name]
        for threads in (1, 2):
            for text in ("", ", text"):
                wall_us = found["latency"][f"{name}, {threads} thr{text}"]
                cells += [f"{percentile(wall_us, share) / 1e3:.2f}" for share in (0.5, 0.99)]
        rows.append(cells)
    head = ["engine", "1 thr p50", "p99", "text p50", "p99", "2 thr p50", "p99", "text p50", "p99"]
    table("One short query a call, ms", head, rows)
    rows = []
    for name in names:
        load, ready = found["starts"][name]
        memory = found["memory"][1][name]
        rows.append([name, f"{load:.3f}", f"{ready:.3f}", memory["rss_mb"], memory["peak_mb"]])
    table("Load and memory, 1 thread", ["engine", "load s", "process to ready s", "RSS MB", "peak MB"], rows)
    rows = [
        [kind, *(f"{found['limits'][t][kind][0] / 1e9:.0f}" for t in (1, 2)), f"{found['limits'][2][kind][1] / 2 / found['limits'][1][kind][1]:.0%}"]
        for kind in limits
    ]
    table("Limit of the multipliers, Gop per CPU second", ["kind", "1 thread", "2 threads", "2-thread efficiency"], rows)
    others = sorted(t["others"] for t in turns)
    print(f"\nOther work on this machine during turns, in cores: median {percentile(others, 0.5):.2f}, most {others[-1]:.2f}")
    return goals(found, names, limits, texts)


def goals(found, names, limits, texts):
    turns, goals = found["turns"], Goals()
    pairs = [
        ("f32", ORT, "sorted", 1.25), ("i16", ORT, "sorted", 2.0), ("i16", ORT8, "sorted", 1.3),
        ("f32", ORT, "arrival", 2.7), ("i16", ORT, "arrival", 4.5), ("i16", "candle", "arrival", 7.0),
    ]  # fmt: skip
    for mode, peer, order, goal in pairs:
        for mix in MIXES if order == "sorted" else ("mixed",):
            value = ratio(turns, f"signalbox {mode}", peer, threads=1, phase=f"{order} {mix}")
            goals.add(f"{mode} / {peer}, {order}, {mix}", value, goal, form="{:.2f}x")
    for name in (n for n in names if n.startswith("signalbox")):
        mode = name.split()[1]
        rates = [median_rate(turns, "wall_s", engine=name, threads=t, phase="sorted mixed") for t in (1, 2)]
        goals.add(f"{mode}: 2-thread efficiency, sorted mixed", rates[1] / rates[0] / 2, 0.95, form="{:.0%}")
        rate = median_rate(turns, "cpu_s", engine=name, threads=1, phase="sorted long")
        if mode in limits:
            share = rate / ceiling(best_limits(limits), mode, texts.lengths("long"))
            goals.add(f"{mode}: share of the arithmetic limit, long", share, 0.65, form="{:.0%}")
        if f"{ORT}, 1 thr" in found["latency"]:
            p50 = [percentile(found["latency"][f"{n}, 1 thr"], 0.5) for n in (name, ORT)]
            goals.add(f"{mode}: short query p50 / {ORT}", p50[0] / p50[1], 0.55, more=False, form="{:.2f}x")
        goals.add(f"{mode}: load to ready", found["starts"][name][0], 0.3, more=False, form="{:.3f} s")
        goals.add(f"{mode}: RSS", found["memory"][1][name]["rss_mb"], 200, more=False, form="{:.0f} MB")
    goals.show()
    return goals.rows


def best_limits(limits):
    """For each mode the fastest instructions there are; a 16-bit product is three of bytes."""
    tiles = limits.get("amx-int8", 0)
    return {"f32": limits["f32"], "i16": max(limits["i16"], tiles / 3), "int8": max(limits["int8"], tiles)}


def machine():
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown")
    return {"processor": model, "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}


def versions():
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("onnxruntime", "onnx", "torch", "numpy", "tokenizers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    return found


def main():
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        texts = Texts(options, folder)
        everyone = all_engines(options, folder)
        if options.accuracy:
            import accuracy

            result = accuracy.measure(everyone, texts, folder)
        else:
            found = measured(options, everyone, texts, options.binary)
            print(f"{machine()}; {versions()}; texts: {texts.source}")
            result = found | {"goals": show(found, everyone, texts, options)}
    result |= {"machine": machine(), "versions": versions(), "texts": texts.source, "rounds": options.rounds}
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1))
        print(f"\nwritten to {options.json}")
    if options.smoke and any(t["tokens"] <= 0 or t["cpu_s"] <= 0 for t in found["turns"]):
        sys.exit("a turn did no work")


if __name__ == "__main__":
    main()
