"""The preprocessing of pictures as ONNX nodes: the same pixels as Pillow gives.

Pillow resizes bilinearly in two passes, over rows and then over columns. Each pixel is the sum of pixels weighted by a
triangle, whose weights are rounded to 22 bits, and is itself rounded to 8 bits (`src/libImaging/Resample.c`). ONNX's
own Resize differs from it at the borders, by up to 19 levels of 256, and cannot begin between two pixels, as a centre
crop does; so a pass is a product with a matrix of such weights, in float64, where all of it is exact. Pillow 13 takes
the columns of some pictures first, mostly of tall ones; some pixels then differ by one level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autokd.input_values import OnnxForm
from autokd.modalities import resizing
from autokd.modalities.images import ImagePreprocess
from autokd.nodes import Nodes

NAME = "image"
"""Of the graph's input."""
SCRIPT = Path(__file__).with_name("picture_script.py")
_WEIGHT_ONE = 2.0**22
"""The weight of 1 in Pillow's resize."""
_LUMA = (19595.0, 38470.0, 7471.0)
"""Weights of red, green and blue in Pillow's grey, of 65536."""
_TINY = 1e-9


class _Axis(NamedTuple):
    """How one side of a picture is resized; names of scalars, float64.

    Args:
      length: pixels that there are.
      low, high: the part of them that is taken.
      begin, steps: the pixels that it becomes: the first of them, and how many.
      out: pixels of the result, known beforehand.
    """

    length: str
    low: str
    high: str
    begin: str
    steps: str
    out: int


def picture_form(preprocess: ImagePreprocess, nodes: Nodes) -> OnnxForm:
    """Write the preprocessing; see `autokd.input_kind.InputKind.onnx_form`."""
    height, width = preprocess.size
    takes = (
        "uint8 [batch, height, width, channels], 1 channel (grey) or 3 (RGB), of any size; resized to "
        f"{width} x {height} pixels: {resizing.RULES[preprocess.reading.resize]}"
    )
    return OnnxForm({"input": picture_nodes(nodes, preprocess)}, {NAME: takes}, SCRIPT)


def picture_nodes(nodes: Nodes, preprocess: ImagePreprocess) -> str:
    """Add an input "image", uint8 [batch, height, width, channels] (1: grey, 3: RGB), and what a network makes of it.

    Returns:
      The name of [batch, channels, *size] float32, normalised.
    """
    image = nodes.input(NAME, np.uint8, ["batch", "height", "width", "channels"])
    levels = nodes.add("Expand", nodes.add("Transpose", image, perm=[0, 3, 1, 2]), np.array([1, 3, 1, 1]))
    levels = nodes.cast(levels, np.float64)
    if preprocess.channels == 1:
        weighted = nodes.add("Mul", levels, np.reshape(_LUMA, (1, 3, 1, 1)))
        summed = nodes.add("ReduceSum", weighted, np.array([1]))
        levels = nodes.add("Floor", nodes.add("Div", nodes.add("Add", summed, 32768.0), 65536.0))
    levels = _resized(nodes, levels, preprocess.size, preprocess.reading.resize)
    shares = nodes.add("Div", nodes.cast(levels, np.float32), np.float32(255))
    mean, std = (np.reshape(values, (1, -1, 1, 1)).astype(np.float32) for values in (preprocess.mean, preprocess.std))
    return nodes.add("Div", nodes.add("Sub", shares, mean), std)


def _resized(nodes: Nodes, levels: str, size: tuple[int, int], rule: str) -> str:
    """Levels [N, C, H, W], float64, as pictures of (height, width)."""
    shape = nodes.add("Shape", levels)
    height, width = (nodes.cast(nodes.add("Gather", shape, np.array(axis)), np.float64) for axis in (2, 3))
    down, right = _RULES[rule](nodes, (height, width), size)
    rows = _eight_bits(nodes, nodes.add("MatMul", levels, _weights(nodes, right, places_in=0)))
    found = _eight_bits(nodes, nodes.add("MatMul", _weights(nodes, down, places_in=1), rows))
    if rule != resizing.PAD:
        return found
    inside = nodes.add("And", _inside(nodes, down, (-1, 1)), _inside(nodes, right, (1, -1)))
    return nodes.add("Where", inside, found, float(resizing.GREY))


def _crop(nodes: Nodes, sides: tuple[str, str], size: tuple[int, int]) -> tuple[_Axis, _Axis]:
    """As `PIL.ImageOps.fit`."""
    (height, width), form = sides, size[1] / size[0]
    wide = nodes.add("GreaterOrEqual", nodes.add("Div", width, height), form)
    kept = (
        nodes.add("Where", wide, height, nodes.add("Div", width, form)),
        nodes.add("Where", wide, nodes.add("Mul", height, form), width),
    )
    axes = []
    for length, part, out in zip(sides, kept, size, strict=True):
        low = nodes.add("Mul", nodes.add("Sub", length, part), 0.5)
        axes.append(_Axis(length, low, nodes.add("Add", low, part), _number(nodes, 0), _number(nodes, out), out))
    return axes[0], axes[1]


def _squash(nodes: Nodes, sides: tuple[str, str], size: tuple[int, int]) -> tuple[_Axis, _Axis]:
    down, right = (
        _Axis(length, _number(nodes, 0), length, _number(nodes, 0), _number(nodes, out), out)
        for length, out in zip(sides, size, strict=True)
    )
    return down, right


def _pad(nodes: Nodes, sides: tuple[str, str], size: tuple[int, int]) -> tuple[_Axis, _Axis]:
    """The longer side to size, centred; Python and ONNX both round a half to the even number."""
    shares = [nodes.add("Div", float(out), length) for length, out in zip(sides, size, strict=True)]
    scale = nodes.add("Min", *shares)
    axes = []
    for length, out in zip(sides, size, strict=True):
        steps = nodes.add("Max", nodes.add("Round", nodes.add("Mul", length, scale)), 1.0)
        begin = nodes.add("Floor", nodes.add("Div", nodes.add("Sub", float(out), steps), 2.0))
        axes.append(_Axis(length, _number(nodes, 0), length, begin, steps, out))
    return axes[0], axes[1]


_RULES: Mapping[str, Callable[[Nodes, tuple[str, str], tuple[int, int]], tuple[_Axis, _Axis]]] = {
    resizing.CROP: _crop,
    resizing.PAD: _pad,
    resizing.SQUASH: _squash,
}


def _weights(nodes: Nodes, axis: _Axis, *, places_in: int) -> str:
    """Weights of a pass, [out, length], or [length, out] where `places_in` is 0.

    Pillow has the ends of the part in float32, all else in float64. (A transposed matrix would be simpler, but before a
    product onnxruntime makes one operator of both, which up to 1.17 at least does not know float64.)
    """
    low, high = (nodes.cast(end, np.float32) for end in (axis.low, axis.high))
    extent = nodes.cast(nodes.add("Sub", high, low), np.float64)
    scale = nodes.add("Div", extent, axis.steps)
    steps = np.expand_dims(np.arange(axis.out) + 0.5, places_in)
    centre = nodes.add("Mul", nodes.add("Sub", steps, axis.begin), scale)
    centre = nodes.add("Add", nodes.cast(low, np.float64), centre)
    numbers = nodes.add("Range", np.int64(0), nodes.cast(axis.length, np.int64), np.int64(1))
    places = nodes.add("Unsqueeze", nodes.cast(numbers, np.float64), np.array([1 - places_in]))
    distance = nodes.add("Add", nodes.add("Sub", places, centre), 0.5)
    share = nodes.add("Abs", nodes.add("Mul", distance, nodes.add("Div", 1.0, nodes.add("Max", scale, 1.0))))
    triangle = nodes.add("Max", nodes.add("Sub", 1.0, share), 0.0)
    total = nodes.add("Max", nodes.add("ReduceSum", triangle, np.array([places_in])), _TINY)  # 0 beyond the picture
    return _floor_of(nodes, nodes.add("Mul", nodes.add("Div", triangle, total), _WEIGHT_ONE))


def _eight_bits(nodes: Nodes, sums: str) -> str:
    """Sums of weighted levels as levels."""
    return nodes.add("Clip", _floor_of(nodes, nodes.add("Div", sums, _WEIGHT_ONE)), 0.0, 255.0)


def _floor_of(nodes: Nodes, values: str) -> str:
    """Values to the nearest whole number, a half upwards."""
    return nodes.add("Floor", nodes.add("Add", values, 0.5))


def _inside(nodes: Nodes, axis: _Axis, shape: tuple[int, int]) -> str:
    """Whether a row or column of the result is one of the picture, in this shape."""
    places = nodes.add("Sub", np.arange(axis.out, dtype=np.float64).reshape(shape), axis.begin)
    return nodes.add("And", nodes.add("GreaterOrEqual", places, 0.0), nodes.add("Less", places, axis.steps))


def _number(nodes: Nodes, value: int) -> str:
    return nodes.add("Identity", float(value))
