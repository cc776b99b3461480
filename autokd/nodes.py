"""ONNX graphs while they are made: tensors are called by name, and every call adds what computes one. Needs onnx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autokd import compat

ML, ML_VERSION = "ai.onnx.ml", 3
"""The operators for classical models, and their version."""
_CLASSICAL = frozenset({"LabelEncoder"})


class Nodes:
    """Nodes in the order in which they compute, with their constants and the graph's inputs.

    Args:
      prefix: of the names of tensors that are made here, so that they meet no others.
    """

    def __init__(self, prefix: str) -> None:
        self._helper = compat.import_module("onnx.helper", "onnx")
        self._arrays = compat.import_module("onnx.numpy_helper", "onnx")
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.entries: list[Any] = []

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> str:
        """Add an input of the graph, and return its name.

        Args:
          name: as it is.
          dtype: of numpy; `object` for text.
          shape: sizes, or names of those that are open.
        """
        kind = self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.entries.append(self._helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def add(self, operator: str, *given: str | ArrayLike, **attributes: Any) -> str:
        """Add a node with one output, and return the name of that.

        Args:
          operator: of ONNX.
          given: its inputs: names of tensors, or constants. Numbers of Python are float64, or int64 where whole.
          attributes: of the operator.
        """
        output = f"{self._prefix}/{operator}_{len(self.nodes)}"
        inputs = [each if isinstance(each, str) else self._constant(each) for each in given]
        domain = ML if operator in _CLASSICAL else ""
        self.nodes.append(self._helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def cast(self, name: str, dtype: Any) -> str:
        """Add a cast to a type of numpy."""
        return self.add("Cast", name, to=self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _constant(self, value: ArrayLike) -> str:
        name = f"{self._prefix}/constant_{len(self.constants)}"
        self.constants.append(self._arrays.from_array(np.asarray(value), name))
        return name
