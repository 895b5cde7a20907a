"""How far vectors are from the f32 reference, and whether it matters for what they are for.

The reference is ONNX Runtime's f32, which shares no code with our engine. Three views:
the cosine of every text with its reference; how many of a text's ten nearest neighbours
among 3,000 texts are the reference's; and how well similarities follow people's judgement
(Spearman's rank correlation, as benchmarks of semantic similarity report it).

People's judgement comes inside the PyPI package gensim, as its test data: the 50 news
documents of Lee, Pincombe and Welsh (2005) with the mean similarity of all 1,225 pairs,
and the 999 pairs of words of SimLex-999 (Hill, Reichart and Korhonen 2015).
"""

import importlib.util
import itertools
import json
import pathlib

import numpy as np

from engines import Process
from measure import say
from report import Goals, table

TEXTS = 3000
NEIGHBOURS = 10
REFERENCE = "onnxruntime fp32"


def judged():
    """Pairs of texts with people's judgement: name to (texts, pairs, scores)."""
    package = importlib.util.find_spec("gensim")
    folder = package and pathlib.Path(package.origin).parent / "test" / "test_data"
    if not folder or not (folder / "lee.cor").exists():
        return {}
    documents = (folder / "lee.cor").read_text("latin-1").strip().split("\n")
    scores = np.loadtxt(folder / "similarities0-1.txt")
    pairs = list(itertools.combinations(range(len(documents)), 2))
    found = {f"Lee, {len(pairs)} pairs of documents": (documents, pairs, [scores[pair] for pair in pairs])}
    rows = [line.split("\t") for line in (folder / "simlex999.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    words = sorted({word for row in rows for word in row[:2]})
    at = {word: index for index, word in enumerate(words)}
    found[f"SimLex, {len(rows)} pairs of words"] = (words, [(at[a], at[b]) for a, b, _ in rows], [float(s) for *_, s in rows])
    return found


def ranks(values):
    """Ranks from 0; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[place]


def spearman(a, b):
    return float(np.corrcoef(ranks(np.asarray(a)), ranks(np.asarray(b)))[0, 1])


def nearest(vectors):
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -2)
    return np.argpartition(-similar, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]


def embed(engine, sets, folder):
    """Vectors of every set, by engine; texts in order of length, as batches are best."""
    process, found = Process(engine, 2), {}
    for name, (path, lengths) in sets.items():
        process.ask(op="texts", name=name, path=str(path))
        order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        process.ask(op="vectors", name=name, order=order, batch=engine.arrival, path=str(folder / "vectors"))
        vectors = np.fromfile(folder / "vectors", "<f4").astype(np.float64).reshape(len(lengths), -1)
        found[name] = np.empty_like(vectors)
        found[name][order] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    process.stop()
    return found


def measure(everyone, texts, folder):
    mix = texts.mixes["mixed"]
    unique = list({text: at for at, text in enumerate(mix["texts"])}.values())[:TEXTS]
    human = judged()
    plain = {"texts": [mix["texts"][at] for at in unique], "ids": [mix["ids"][at] for at in unique]}
    sets = {"texts": plain} | {
        name: {"texts": found[0], "ids": [texts.maker.ids(text) for text in found[0]]} for name, found in human.items()
    }
    files = {}
    for number, (name, found) in enumerate(sets.items()):
        path = folder / f"set{number}.json"
        path.write_text(json.dumps(found))
        files[name] = (path, list(map(len, found["ids"])))
    vectors = {}
    for engine in everyone:
        say(f"embedding with {engine.name}")
        vectors[engine.name] = embed(engine, files, folder)
    if REFERENCE not in vectors:
        raise SystemExit(f"--accuracy needs {REFERENCE}")

    reference = vectors[REFERENCE]
    near = nearest(reference["texts"])
    sample = np.triu_indices(len(unique), 1)
    step = max(1, len(sample[0]) // 200_000)
    sample = sample[0][::step], sample[1][::step]

    def similarities(found, pairs):
        return (found[pairs[0]] * found[pairs[1]]).sum(axis=1)

    wanted = similarities(reference["texts"], sample)
    results, rows = {}, []
    for name, found in vectors.items():
        cosines = (found["texts"] * reference["texts"]).sum(axis=1)
        theirs = nearest(found["texts"])
        overlap = np.mean([len(set(a) & set(b)) for a, b in zip(near, theirs)]) / NEIGHBOURS
        correlations = {
            judge: spearman(similarities(found[judge], np.array(pairs).T), scores) for judge, (_, pairs, scores) in human.items()
        }
        results[name] = {
            "cosine_worst": float(cosines.min()), "cosine_mean": float(cosines.mean()), "overlap": float(overlap),
            "order_of_pairs": spearman(similarities(found["texts"], sample), wanted), "judged": correlations,
        }  # fmt: skip
        cells = [f"{cosines.min():.6f}", f"{cosines.mean():.6f}", f"{overlap:.4f}", f"{results[name]['order_of_pairs']:.5f}"]
        rows.append([name, *cells, *(f"{value:.4f}" for value in correlations.values())])
    head = ["engine", "worst cosine", "mean", "top-10 overlap", "pairs' order", *human]
    table(f"Against {REFERENCE}, {len(unique)} texts ({texts.source}); people's judgement by Spearman's rho", head, rows)
    return {"accuracy": results, "goals": goals(results, human)}


def goals(results, human):
    goals = Goals()
    for mode, worst, mean, overlap in (("i16", 0.99995, None, 0.99), ("int8", 0.99, 0.9975, 0.94)):
        found = results.get(f"signalbox {mode}", {})
        goals.add(f"{mode}: worst cosine", found.get("cosine_worst"), worst, form="{:.6f}")
        if mean:
            goals.add(f"{mode}: mean cosine", found.get("cosine_mean"), mean, form="{:.6f}")
        goals.add(f"{mode}: top-10 neighbour overlap", found.get("overlap"), overlap, form="{:.4f}")
        for judge in human:
            off = abs(found["judged"][judge] - results[REFERENCE]["judged"][judge]) if found else None
            goals.add(f"{mode}: rho off the reference's, {judge.split(',')[0]}", off, 0.0005, more=False, form="{:.5f}")
    goals.show()
    return goals.rows
