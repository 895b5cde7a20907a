"""What is measured: engines take turns, round by round, on slices of the same texts."""

import random
import statistics
import sys
import time

from engines import Process, busy_s

# Texts that are neighbours by length stay together in a slice, so that sorted batches are
# as alike as in a sort of all texts. Every batch size divides it.
BLOCK = 32
# As many tokens as a server puts into one batch.
BUDGET = 2048


def say(text):
    print(text, file=sys.stderr, flush=True)


class Slices:
    """Parts of a mix, one for each round, alike in lengths and about `tokens` long; `most`
    cuts them short."""

    def __init__(self, mix, order, tokens, rounds, most=None):
        lengths = list(map(len, mix["ids"]))
        texts = list(range(len(lengths)))
        if order == "sorted":
            texts.sort(key=lambda index: -lengths[index])
        blocks = [texts[at : at + BLOCK] for at in range(0, len(texts), BLOCK)]
        count = max(1, round(tokens / (BLOCK * statistics.mean(lengths))))
        stride = max(1, len(blocks) // count)
        self.parts = []
        for turn in range(rounds):
            # From both ends of each stretch by turns: a round that has longer texts of one
            # has shorter ones of the next.
            ahead = turn * stride // rounds
            chosen = [blocks[step * stride + (stride - 1 - ahead if step % 2 else ahead)] for step in range(min(count, len(blocks)))]
            self.parts.append([index for block in chosen for index in block][:most])


def run(process, mix, part, batch, budget=0, tokenize=False):
    """One turn: tokens, CPU and wall seconds, and how busy others kept the machine."""
    cpu, others, begun = process.cpu_s(), busy_s(), time.perf_counter()
    answer = process.ask(op="encode", name=mix, order=part, batch=batch, budget=budget, tokenize=tokenize)
    cpu, passed = process.cpu_s() - cpu, time.perf_counter() - begun
    return {
        "tokens": answer["tokens"],
        "cpu_s": cpu,
        "wall_s": answer["wall_s"],
        "others": max(0.0, (busy_s() - others - cpu) / passed),
    }


def limits(process, kinds, threads, ms):
    """Operations per CPU second and per wall second of each kind that there is."""
    found = {}
    for kind in kinds:
        cpu, begun = process.cpu_s(), time.perf_counter()
        operations = process.ask(kind=kind, threads=threads, ms=ms)["operations"]
        if operations:
            found[kind] = [operations / (process.cpu_s() - cpu), operations / (time.perf_counter() - begun)]
    return found


def best_batches(processes, mixes, slices):
    """The batch size that suits each peer best in sorted order, for each mix."""
    best = {}
    for process in processes:
        for mix in mixes:
            rates = {}
            for batch in process.engine.sorted:
                if len(process.engine.sorted) > 1:
                    turn = min((run(process, mix, slices[mix], batch) for _ in range(2)), key=lambda t: t["cpu_s"])
                    rates[batch] = turn["tokens"] / turn["cpu_s"]
            if rates:
                best[process.engine.name, mix] = max(rates, key=rates.get)
                shown = ", ".join(f"{batch}: {rate:.0f}" for batch, rate in rates.items())
                say(f"  {process.engine.name}, {mix}: tokens/CPU-s by texts a call: {shown}")
    return best


class Bench:
    """Processes of all engines at one number of threads, and what was measured."""

    def __init__(self, engines, limit, threads, corpus, options):
        say(f"starting {len(engines)} engines with {threads} thread{'s' * (threads > 1)} each")
        self.threads, self.corpus, self.options = threads, corpus, options
        self.limit = Process(limit, threads)
        self.processes = [Process(engine, threads) for engine in engines]
        self.turns, self.limits = [], []
        for process in self.processes:
            for mix, path in corpus.paths.items():
                differ = process.ask(op="texts", name=mix, path=str(path))["differ"]
                if differ:
                    raise SystemExit(f"{process.engine.name} makes other tokens of {differ} texts of {mix}")

    def phase(self, name, mix, order, batch_of, tokenize=False):
        """All engines in turn, in another order each round. `batch_of(engine)` lists
        (label, texts a call, tokens a call): one turn for each."""
        options = self.options
        slices = Slices(self.corpus.mixes[mix], order, options.tokens, options.rounds, 8 if options.smoke else None)
        dice = random.Random(name)
        for turn, part in enumerate(slices.parts):
            self.limits.append(limits(self.limit, options.kinds, self.threads, options.limit_ms))
            everyone = [(process, *one) for process in self.processes for one in batch_of(process.engine)]
            for process, label, batch, budget in dice.sample(everyone, len(everyone)):
                if turn == 0:  # memory and caches of this shape of work
                    run(process, mix, part[: 2 * BLOCK], batch, budget, tokenize)
                found = run(process, mix, part, batch, budget, tokenize)
                key = {"phase": name, "mix": mix, "order": order, "engine": label, "threads": self.threads, "round": turn}
                self.turns.append(key | found)
            line = [f"{t['engine']} {t['tokens'] / t['cpu_s']:.0f}" for t in self.turns[-len(everyone) :]]
            say(f"  {name}, {self.threads} thr, round {turn + 1}/{options.rounds}: " + ", ".join(sorted(line)))

    def latency(self, mix, count):
        """One short text a call; engines take turns every ten texts."""
        order = list(range(count))
        found = {(p.engine.name, tokenize): [] for p in self.processes for tokenize in (False, True)}
        for process in self.processes:
            process.ask(op="latency", name=mix, order=order[:20])
        for at in range(0, count, 10):
            for process in self.processes:
                for tokenize in (False, True):
                    answer = process.ask(op="latency", name=mix, order=order[at : at + 10], tokenize=tokenize)
                    found[process.engine.name, tokenize] += answer["wall_us"]
        return found

    def memory(self):
        return {process.engine.name: process.memory_mb() for process in self.processes}

    def stop(self):
        for process in [self.limit, *self.processes]:
            process.stop()


def starts(engines, count):
    """Seconds to load, and from start to ready, of `count` fresh processes of each."""
    found = {engine.name: [] for engine in engines}
    for _ in range(count):
        for engine in engines:
            process = Process(engine, 1)
            found[engine.name].append((process.load_s, process.ready_s))
            process.stop()
    return {name: [statistics.median(values) for values in zip(*pairs)] for name, pairs in found.items()}
