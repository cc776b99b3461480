"""Weights of an ONNX model kept in 16 bits; the model computes in 32 bits as before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autokd import compat

if TYPE_CHECKING:
    from onnx import ModelProto

_LEAST = 64
"""Numbers of a tensor from which on it is worth it."""


def with_half_weights(model: ModelProto) -> ModelProto:
    """Return a model whose float32 weights are kept as float16, in half of the bytes.

    Each is cast to float32 when the model is loaded; runtimes do so once. A weight changes by at most one part in 2048
    where its size lies between 6e-5 and 65504.
    """
    helper, arrays = compat.import_module("onnx.helper", "onnx"), compat.import_module("onnx.numpy_helper", "onnx")
    small = type(model)()
    small.CopyFrom(model)
    casts, float32 = [], helper.np_dtype_to_tensor_dtype(np.dtype(np.float32))
    for weight in small.graph.initializer:
        values = arrays.to_array(weight)
        if values.dtype != np.float32 or values.size < _LEAST or np.abs(values).max() > np.finfo(np.float16).max:
            continue
        kept = f"{weight.name}/half"
        casts.append(helper.make_node("Cast", [kept], [weight.name], to=float32))
        weight.CopyFrom(arrays.from_array(values.astype(np.float16), kept))
    nodes = [*casts, *small.graph.node]
    del small.graph.node[:]
    small.graph.node.extend(nodes)
    return small
