"""Two tiny networks in the files of InsightFace's pack, whose answers can be told beforehand.

Names, types and shapes are those of the published files, stated sizes for 640 px included. Inside,
the finder proposes a box wherever a place of its grids shows a pure, bright colour: red for the
8-px grid, green for 16, blue for 32, so that a mistaken order of channels is seen. Every grid has
its own box. The pointer spreads its points around the middle of what is red in the crop.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lipsync.face.anchors import ANCHORS
from lipsync.face.insight import FINDER_FILE, POINTER_FILE

STRIDES = (8, 16, 32)
# distances from a place to left, top, right and bottom edge, in strides, by grid and proposal
REACH = np.array(
    [
        [[5.0, 5.0, 6.0, 7.0], [5.0, 5.0, 6.0, 6.5]],
        [[2.0, 3.0, 4.0, 5.0], [2.0, 3.0, 4.0, 4.5]],
        [[1.0, 1.5, 2.0, 2.5], [1.0, 1.5, 2.0, 2.25]],
    ],
    np.float32,
)
# nodes, constants, inputs, outputs
Parts = tuple[
    list[onnx.NodeProto],
    list[onnx.TensorProto],
    list[onnx.ValueInfoProto],
    list[onnx.ValueInfoProto],
]
SCORES = (0.95, 0.75)  # of the two proposals of a place that shows its colour throughout
_ANCHOR_PLACES = ((-0.25, -0.25), (0.25, -0.25), (0.0, 0.05))  # brows and nose from the middle


def _spread() -> np.ndarray:
    """Return (106, 2) float32: each point from the middle, over half the crop's side, a spiral."""
    turns, reach = np.arange(106), np.linspace(0.02, 0.6, 106)
    spread = np.stack([reach * np.cos(turns), reach * np.sin(turns)], axis=1)
    for group, place in zip(ANCHORS[106], _ANCHOR_PLACES, strict=True):
        spread[list(group)] = place
    return spread.astype(np.float32)


SPREAD = _spread()
_SCORE_NAMES, _BOX_NAMES, _POINT_NAMES = (
    ("448", "471", "494"),
    ("451", "474", "497"),
    ("454", "477", "500"),
)


def write_pack(folder: Path) -> Path:
    """Write both networks into `folder`, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / FINDER_FILE, _finder())
    save(folder / POINTER_FILE, _pointer())
    return folder


def save(path: Path, parts: Parts) -> None:
    """Write a network as an ONNX file."""
    nodes, numbers, inputs, outputs = parts
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def planes(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    """Return the statement that an input or output is float32 of this shape."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _finder() -> Parts:
    nodes, numbers, outputs = [], [], {}
    for level, stride in enumerate(STRIDES):
        heads = {
            _SCORE_NAMES[level]: (_colour_weights(level, stride), 1),
            _BOX_NAMES[level]: ((np.zeros((8, 3, stride, stride)), REACH[level].ravel()), 4),
            _POINT_NAMES[level]: ((np.zeros((20, 3, stride, stride)), np.zeros(20)), 10),
        }
        for name, ((weights, bias), width) in heads.items():
            numbers += [
                numpy_helper.from_array(weights.astype(np.float32), f"{name}.weight"),
                numpy_helper.from_array(bias.astype(np.float32), f"{name}.bias"),
                numpy_helper.from_array(np.array([-1, width], np.int64), f"{name}.shape"),
            ]
            nodes += [
                helper.make_node(
                    "Conv",
                    ["input.1", f"{name}.weight", f"{name}.bias"],
                    [f"{name}.map"],
                    kernel_shape=[stride, stride],
                    strides=[stride, stride],
                ),
                helper.make_node("Transpose", [f"{name}.map"], [f"{name}.rows"], perm=[0, 2, 3, 1]),
            ]
            flat = [f"{name}.rows", f"{name}.shape"]
            if width == 1:
                nodes.append(helper.make_node("Reshape", flat, [f"{name}.raw"]))
                nodes.append(helper.make_node("Sigmoid", [f"{name}.raw"], [name]))
            else:
                nodes.append(helper.make_node("Reshape", flat, [name]))
            # the published file states the sizes of the 640-px square it was exported at
            outputs[name] = planes(name, 2 * (640 // stride) ** 2, width)
    order = (*_SCORE_NAMES, *_BOX_NAMES, *_POINT_NAMES)
    return nodes, numbers, [planes("input.1", 1, 3, "?", "?")], [outputs[name] for name in order]


def _colour_weights(channel: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and bias by which a place all of one colour gets `SCORES`, others none.

    Inputs lie in about [-1, 1]: the colour's own channel counts for it, the other two against it.
    """
    weights = np.full((2, 3, stride, stride), -1.0)
    weights[:, channel] = 1.0
    pure = 3 * 127.5 / 128  # what the channels come to, on average, where the colour is pure
    wanted = np.log(np.array(SCORES) / (1 - np.array(SCORES)))
    # at two thirds of the purest the score is far below a half
    gain = 20.0
    return gain * weights / stride**2, wanted - gain * pure


def _pointer() -> Parts:
    line = np.arange(192, dtype=np.float32) / 96 - 1
    down, across = np.meshgrid(line, line, indexing="ij")
    constants = {
        "red": np.array([1.0, -0.5, -0.5], np.float32).reshape(1, 3, 1, 1) / 255,
        "floor": np.array(0.6, np.float32),
        "across": across[None, None],
        "down": down[None, None],
        "spread": SPREAD.reshape(1, 212),
        "flat": np.array([1, 1], np.int64),
        "turns": np.array([1, 106], np.int64),
        "little": np.array(1e-6, np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["data", "red"], ["channels"]),
        helper.make_node("ReduceSum", ["channels"], ["redness"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["redness", "floor"], ["above"]),
        helper.make_node("Relu", ["above"], ["mass"]),
        helper.make_node("ReduceSum", ["mass"], ["sum"], axes=[2, 3], keepdims=1),
        helper.make_node("Add", ["sum", "little"], ["whole"]),
    ]
    for axis in ("across", "down"):
        nodes += [
            helper.make_node("Mul", ["mass", axis], [f"{axis}.mass"]),
            helper.make_node("ReduceSum", [f"{axis}.mass"], [f"{axis}.sum"], axes=[2, 3]),
            helper.make_node("Div", [f"{axis}.sum", "whole"], [f"{axis}.mean"]),
            helper.make_node("Reshape", [f"{axis}.mean", "flat"], [f"{axis}.one"]),
        ]
    nodes += [
        helper.make_node("Concat", ["across.one", "down.one"], ["middle"], axis=1),
        helper.make_node("Tile", ["middle", "turns"], ["middles"]),
        helper.make_node("Add", ["middles", "spread"], ["fc1"]),
    ]
    numbers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return nodes, numbers, [planes("data", "None", 3, 192, 192)], [planes("fc1", 1, 212)]
