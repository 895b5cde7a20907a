#!/usr/bin/env python3
"""The Python peers as workers: one engine alone in a process. src/worker.rs says what goes
over standard input and output; this speaks the same.

    worker.py ort MODEL_DIR THREADS MODEL.onnx
    worker.py torch MODEL_DIR THREADS
"""

import json
import pathlib
import sys
import time

import numpy as np
from tokenizers import Tokenizer


def padded(batch):
    """Ids and mask [texts, longest], as both peers take them."""
    ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask


class OnnxRuntime:
    def __init__(self, folder, threads, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.clock = time.perf_counter()  # importing is the language's cost, not the engine's
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def encode(self, ids, mask):
        return self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


class Torch:
    """BERT in eager PyTorch by its own fused operators: one product for Q, K and V,
    scaled_dot_product_attention, exact GELU."""

    def __init__(self, folder, threads):
        import torch
        from safetensors.torch import load_file

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        self.clock = time.perf_counter()
        config = json.loads((folder / "config.json").read_text())
        self.torch, self.heads, self.epsilon = torch, config["num_attention_heads"], config["layer_norm_eps"]
        weights = load_file(folder / "model.safetensors")
        self.words = weights["embeddings.word_embeddings.weight"]
        self.places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]

        def pair(name):
            return weights[f"{name}.weight"], weights[f"{name}.bias"]

        def joined(at):
            parts = [pair(f"{at}.attention.self.{part}") for part in ("query", "key", "value")]
            return torch.cat([w for w, _ in parts]), torch.cat([b for _, b in parts])

        self.norm = pair("embeddings.LayerNorm")
        self.layers = [
            (
                joined(at),
                pair(f"{at}.attention.output.dense"),
                pair(f"{at}.attention.output.LayerNorm"),
                pair(f"{at}.intermediate.dense"),
                pair(f"{at}.output.dense"),
                pair(f"{at}.output.LayerNorm"),
            )
            for at in (f"encoder.layer.{layer}" for layer in range(config["num_hidden_layers"]))
        ]

    def encode(self, ids, mask):
        torch, f = self.torch, self.torch.nn.functional
        with torch.inference_mode():
            ids, mask = torch.from_numpy(ids), torch.from_numpy(mask).bool()
            batch, tokens = ids.shape
            # Without padding a mask would only slow it down.
            seen = None if bool(mask.all()) else mask[:, None, None, :]

            def norm(x, pair):
                return f.layer_norm(x, x.shape[-1:], *pair, self.epsilon)

            x = norm(f.embedding(ids, self.words) + self.places[:tokens], self.norm)
            for qkv, out, first, inner, outer, second in self.layers:
                q, k, v = f.linear(x, *qkv).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
                mixed = f.scaled_dot_product_attention(q, k, v, attn_mask=seen)
                x = norm(f.linear(mixed.transpose(1, 2).reshape(batch, tokens, -1), *out) + x, first)
                x = norm(f.linear(f.gelu(f.linear(x, *inner)), *outer) + x, second)
            return f.normalize((x * mask[:, :, None]).sum(1), dim=1).numpy()


def parts_of(order, batch, budget, lengths):
    if not budget:
        size = batch or len(order) or 1
        return [order[at : at + size] for at in range(0, len(order), size)]
    parts, tokens = [[]], 0
    for index in order:
        if parts[-1] and tokens + lengths[index] > budget:
            parts.append([])
            tokens = 0
        parts[-1].append(index)
        tokens += lengths[index]
    return parts


class Worker:
    def __init__(self, engine, folder):
        self.engine, self.sets = engine, {}
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"])

    def tokenized(self, texts):
        return [found.ids for found in self.tokenizer.encode_batch(texts)]

    def texts(self, name, path):
        self.sets[name] = json.loads(pathlib.Path(path).read_text("utf-8"))
        found = self.sets[name]
        return {"differ": sum(a != b for a, b in zip(self.tokenized(found["texts"]), found["ids"]))}

    def encode(self, name, order, batch=0, budget=0, tokenize=False):
        texts, ids = self.sets[name]["texts"], self.sets[name]["ids"]
        lengths = list(map(len, ids))
        parts = parts_of(order, batch, budget, lengths)
        ready = None if tokenize else [padded([ids[i] for i in part]) for part in parts]
        begun = time.perf_counter()
        for at, part in enumerate(parts):
            self.engine.encode(*(padded(self.tokenized([texts[i] for i in part])) if tokenize else ready[at]))
        return {"wall_s": time.perf_counter() - begun, "tokens": sum(lengths[i] for i in order)}

    def latency(self, name, order, tokenize=False):
        texts, ids = self.sets[name]["texts"], self.sets[name]["ids"]
        wall_us = []
        for index in order:
            ready = padded([ids[index]])
            begun = time.perf_counter()
            self.engine.encode(*(padded(self.tokenized([texts[index]])) if tokenize else ready))
            wall_us.append((time.perf_counter() - begun) * 1e6)
        return {"wall_us": wall_us}

    def vectors(self, name, order, path, batch=0):
        ids = self.sets[name]["ids"]
        with open(path, "wb") as out:
            for part in parts_of(order, batch, 0, None):
                out.write(self.engine.encode(*padded([ids[i] for i in part])).astype("<f4").tobytes())
        return {}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    kind, folder, threads, *rest = sys.argv[1:]
    folder = pathlib.Path(folder)
    engine = {"ort": OnnxRuntime, "torch": Torch}[kind](folder, int(threads), *rest)
    engine.encode(*padded([[101, 7592, 102]]))
    load_s = time.perf_counter() - engine.clock
    worker = Worker(engine, folder)
    say({"load_s": load_s})
    for line in sys.stdin:
        order = json.loads(line)
        say(getattr(worker, order.pop("op"))(**order))


if __name__ == "__main__":
    main()
