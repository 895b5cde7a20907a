"""The peer's models: BERT as ONNX from the same weights, fused, and its dynamic int8.

The graph is spelt as PyTorch's exporter spells BERT (operators of the standard, the mask
as (1 - mask) * least), so that ONNX Runtime's own transformer optimizer recognises it and
puts its fused operators in: Attention with packed QKV, SkipLayerNormalization, BiasGelu.
Pooling (mean over the mask, length 1) is part of the graph: it costs the peer least there.
Refuses to hand out a model in which a fusion did not happen.
"""

import collections
import json
import logging
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

OPSET = 17
FUSED = {"Attention": 6, "SkipLayerNormalization": 12, "BiasGelu": 6}


class Graph:
    """Collects nodes and constants."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value, name=None):
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def node(self, operator, *inputs, **attributes):
        name = attributes.pop("output", None) or f"node_{len(self.nodes)}"
        label = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], label, **attributes))
        return name


def build(folder):
    """`input_ids`, `attention_mask` [batch, tokens] to `vectors` [batch, hidden] of length 1."""
    config = json.loads((folder / "config.json").read_text())
    weights = load_file(folder / "model.safetensors")
    graph = Graph()
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    width = hidden // heads

    def norm(x, name):
        parts = [graph.constant(weights[f"{name}.{part}"], f"{name}.{part}") for part in ("weight", "bias")]
        return graph.node("LayerNormalization", x, *parts, epsilon=config["layer_norm_eps"], axis=-1)

    def dense(x, name):
        weight = graph.constant(weights[f"{name}.weight"].T, f"{name}.weight")
        product = graph.node("MatMul", x, weight)
        return graph.node("Add", graph.constant(weights[f"{name}.bias"], f"{name}.bias"), product)

    def by_head(x, order):
        shape = graph.constant(np.array([0, 0, heads, width], np.int64))
        return graph.node("Transpose", graph.node("Reshape", x, shape), perm=order)

    def gelu(x):
        """Exact: x/2 (1 + erf(x / sqrt 2))."""
        erf = graph.node("Erf", graph.node("Div", x, graph.constant(np.float32(np.sqrt(2)))))
        both = graph.node("Mul", x, graph.node("Add", erf, graph.constant(np.float32(1))))
        return graph.node("Mul", both, graph.constant(np.float32(0.5)))

    words = graph.node("Gather", graph.constant(weights["embeddings.word_embeddings.weight"], "words"), "input_ids")
    segment = graph.constant(weights["embeddings.token_type_embeddings.weight"][0], "segment")
    table = graph.constant(weights["embeddings.position_embeddings.weight"], "positions")
    length = graph.node("Gather", graph.node("Shape", "input_ids"), graph.constant(np.int64(1)))
    ends = graph.node("Unsqueeze", length, graph.constant(np.array([0], np.int64)))
    places = graph.node("Slice", table, graph.constant(np.array([0], np.int64)), ends, graph.constant(np.array([0], np.int64)))
    x = norm(graph.node("Add", graph.node("Add", words, segment), places), "embeddings.LayerNorm")

    one, two = (graph.constant(np.array([axis], np.int64)) for axis in (1, 2))
    wide_mask = graph.node("Unsqueeze", graph.node("Unsqueeze", "attention_mask", one), two)
    as_float = graph.node("Cast", wide_mask, to=TensorProto.FLOAT)
    inverse = graph.node("Sub", graph.constant(np.float32(1)), as_float)
    bias = graph.node("Mul", inverse, graph.constant(np.float32(np.finfo(np.float32).min)))

    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        query = by_head(dense(x, f"{at}.attention.self.query"), [0, 2, 1, 3])
        key = by_head(dense(x, f"{at}.attention.self.key"), [0, 2, 3, 1])
        value = by_head(dense(x, f"{at}.attention.self.value"), [0, 2, 1, 3])
        scores = graph.node("Div", graph.node("MatMul", query, key), graph.constant(np.float32(np.sqrt(width))))
        shares = graph.node("Softmax", graph.node("Add", scores, bias), axis=-1)
        mixed = graph.node("Transpose", graph.node("MatMul", shares, value), perm=[0, 2, 1, 3])
        context = graph.node("Reshape", mixed, graph.constant(np.array([0, 0, hidden], np.int64)))
        x = norm(graph.node("Add", dense(context, f"{at}.attention.output.dense"), x), f"{at}.attention.output.LayerNorm")
        inner = gelu(dense(x, f"{at}.intermediate.dense"))
        x = norm(graph.node("Add", dense(inner, f"{at}.output.dense"), x), f"{at}.output.LayerNorm")

    last = graph.constant(np.array([-1], np.int64))
    share = graph.node("Unsqueeze", graph.node("Cast", "attention_mask", to=TensorProto.FLOAT), last)
    # The sum is enough: what comes after makes the length 1.
    total = graph.node("ReduceSum", graph.node("Mul", x, share), one, keepdims=0)
    graph.node("LpNormalization", total, axis=-1, p=2, output="vectors")

    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", hidden])
    body = helper.make_graph(graph.nodes, "encoder", inputs, [output], graph.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model, heads, hidden


def operators(model):
    return collections.Counter(node.op_type for node in model.graph.node)


FP32 = ("plain", "fused", "fused-but-norms")
INT8 = tuple(f"{name}-int8{by}" for name in FP32 for by in ("", "-channel"))


def write(folder, out):
    """Writes FP32 and INT8 into `out`, NAME.onnx each: the graph as it is (ONNX Runtime
    fuses what it can when it loads it); fused; fused but for SkipLayerNormalization, which
    is a scalar loop in ONNX Runtime 1.32; and the dynamic int8 of these, by tensor and by
    channel. Returns the operators of the fused models."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    logging.getLogger().setLevel(logging.ERROR)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    plain, heads, hidden = build(pathlib.Path(folder))
    onnx.save(plain, out / "plain.onnx")
    found = {}
    for name in FP32[1:]:
        options = FusionOptions("bert")
        options.enable_embed_layer_norm = False  # its gain is nil here, and it fixes the mask's form
        options.enable_skip_layer_norm = options.enable_bias_skip_layer_norm = name == "fused"
        fused = optimizer.optimize_model(
            str(out / "plain.onnx"), "bert", num_heads=heads, hidden_size=hidden, optimization_options=options, opt_level=0
        )
        fused.save_model_to_file(str(out / f"{name}.onnx"))
        found[name] = dict(operators(fused.model))
        missing = {op for op, count in FUSED.items() if found[name].get(op, 0) < count and (name == "fused" or "Skip" not in op)}
        if missing:
            raise SystemExit(f"{name}: {missing} not fused; the graph has {found[name]}")
    for name in INT8:
        quantize_dynamic(
            out / f"{name.split('-int8')[0]}.onnx",
            out / f"{name}.onnx",
            per_channel=name.endswith("-channel"),
            weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": TensorProto.FLOAT},
        )
    return found


if __name__ == "__main__":
    import sys

    print(write(*sys.argv[1:3]))
