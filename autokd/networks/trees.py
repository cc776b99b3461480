"""Ensembles of decision trees as a network: frozen arrays, walked level by level over all rows and trees at once.

Inputs hold no missing numbers (preprocessing fills them), so a node has one question: is its feature at most its
threshold?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

FLOOR = 1e-12
"""Least probability whose logarithm is a logit, as for ensembles of networks."""
BLOCK = 2**18
"""Pairs of rows and trees that are walked at a time, so that they stay in a CPU's caches."""

Link = Literal["probabilities", "logits"]
"""What the sum over trees is."""


class Tree(NamedTuple):
    """One decision tree; its root is node 0.

    Args:
      feature: [nodes], column that a node asks about; anything at leaves.
      threshold: [nodes], rows whose feature is at most this go left.
      left, right: [nodes], children; below 0 at leaves.
      value: [nodes, w], what a leaf adds to the sums of w classes; anything elsewhere.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]


class TreeEnsemble(nn.Module):
    """The sum over trees as log-probabilities; what the trees learned, thresholds and leaf values, are its parameters.

    Args:
      state: as `arrays_of` returns it.
      link: what the sum over trees is.
    """

    feature: Tensor
    threshold: Tensor
    below: Tensor
    leaf: Tensor
    value: Tensor
    roots: Tensor
    depth: Tensor
    base: Tensor

    def __init__(self, state: Mapping[str, Tensor], link: Link) -> None:
        super().__init__()
        self.link = link
        for name, tensor in state.items():
            if tensor.is_floating_point() and name != "base":
                self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
            else:
                self.register_buffer(name, tensor)
        self._levels = int(self.depth)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities, float32.

        Args:
          x: [B, columns] float32.
        Returns:
          [B, C], at least log(`FLOOR`).
        """
        rows = max(1, BLOCK // len(self.roots))
        sums = torch.cat([self._sum(part) for part in torch.split(x, rows)])
        logs = sums.log() if self.link == "probabilities" else F.log_softmax(sums, -1)
        return logs.clamp_min(float(np.log(FLOOR))).float()

    def _sum(self, x: Tensor) -> Tensor:
        """The sum over trees [b, C], float64. Nodes are laid out tree by tree, so that each tree's lie together."""
        (rows, columns), trees = x.shape, len(self.roots)
        values = x.reshape(-1)
        first = torch.arange(rows, device=x.device, dtype=torch.int32).mul_(columns).repeat(trees)
        node = self.roots.repeat_interleave(rows)
        for _ in range(self._levels):
            seen = values.index_select(0, self.feature.index_select(0, node).add_(first))
            right = seen > self.threshold.index_select(0, node)
            node = self.below.index_select(0, node.mul_(2).add_(right))
        said = self.value.index_select(0, self.leaf.index_select(0, node))
        width = said.shape[1]
        sums = said.view(-1, len(self.base) // width, rows, width).sum(0)
        return sums.transpose(0, 1).reshape(rows, -1) + self.base


def arrays_of(trees: Sequence[Tree], base: NDArray[np.float64]) -> dict[str, Tensor]:
    """Return the arrays of an ensemble.

    A leaf's children are the leaf itself; leaves that say the same share a row of values. Thresholds are rounded down
    to float32, which changes no answer about float32 inputs.

    Args:
      trees: at least one; those of w classes each take turns, the first C / w of them being for all classes in order.
      base: [C], added to the sum over trees.
    Returns:
      "feature", "leaf" [nodes] and "below" [2 · nodes], left and right in turn, int32; "threshold" [nodes] float32;
      "value" [distinct leaves, w] and "base" [C] float64; "roots" [trees] int32; "depth" (): levels of the deepest.
    """
    starts = np.cumsum([0, *(len(tree.left) for tree in trees)])[:-1]
    is_leaf = np.concatenate([tree.left for tree in trees]) < 0
    own = np.arange(len(is_leaf))
    sides = [
        np.where(is_leaf, own, np.concatenate([side + start for side, start in zip(children, starts, strict=True)]))
        for children in ([tree.left for tree in trees], [tree.right for tree in trees])
    ]
    distinct, rows = _distinct(np.concatenate([tree.value for tree in trees])[is_leaf])
    leaf = np.zeros(len(is_leaf), np.int32)
    leaf[is_leaf] = rows
    feature = np.where(is_leaf, 0, np.concatenate([tree.feature for tree in trees]))
    threshold = np.where(is_leaf, 0, np.concatenate([tree.threshold for tree in trees]))
    arrays = {
        "feature": feature.astype(np.int32),
        "threshold": _rounded_down(threshold),
        "below": np.stack(sides, axis=1).reshape(-1).astype(np.int32),
        "leaf": leaf,
        "value": distinct,
        "base": np.asarray(base, np.float64),
        "roots": starts.astype(np.int32),
        "depth": np.asarray(_levels(sides, starts), np.int32),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _distinct(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The distinct rows [d, w] of values [n, w], and for each row which it is [n]; compared as bytes."""
    as_bytes = np.ascontiguousarray(values).view(np.dtype((np.void, values.itemsize * values.shape[1]))).reshape(-1)
    _, first, rows = np.unique(as_bytes, return_index=True, return_inverse=True)
    return values[first], rows.reshape(-1)


def _rounded_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is at most each value."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


def _levels(sides: Sequence[NDArray[np.int64]], roots: NDArray[np.int64]) -> int:
    """Steps from a root to the farthest leaf."""
    levels, inner = 0, np.asarray(roots)
    while True:
        inner = inner[sides[0][inner] != inner]
        if not len(inner):
            return levels
        levels, inner = levels + 1, np.concatenate([side[inner] for side in sides])
