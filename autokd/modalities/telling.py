"""Columns of a table that give the class away: the class itself under another name, or what is known only after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from autokd.batching import single, subset
from autokd.modalities.rows import TablePreprocess
from autokd.types import Split

TOLD = 0.98
"""Share of the way from always giving the commonest class to no error at all that a column must go alone."""
ROWS, COLUMNS = 2000, 300
"""How many rows of a split, and how many columns, are looked at."""
LEAVES, LEAST = 8, 5
"""Leaves of a tree on one column (or four a class, or one a category, where that is more), and the rows of one."""


def telling_columns(preprocess: TablePreprocess, train: Split, held: Split) -> dict[str, float]:
    """Return the columns each of which alone tells nearly all classes, with the share of held-out rows it is right in.

    A small decision tree on the column's own numbers is fitted on training rows. It must tell the classes of training
    and of held-out rows alike, so that a few held-out rows do not show it by chance.

    Args:
      preprocess: of the table.
      train, held: rows to fit on, and others.
    """
    from sklearn.tree import DecisionTreeClassifier

    fitted, others = _some(train), _some(held)
    found, begin, classes = {}, 0, len(preprocess.classes)
    for column in preprocess.columns[:COLUMNS]:
        place = slice(begin, begin + column.width)
        begin += column.width
        leaves = max(LEAVES, 4 * classes, column.width + 1)
        tree = DecisionTreeClassifier(max_leaf_nodes=leaves, min_samples_leaf=LEAST, random_state=0)
        tree.fit(fitted[0][:, place], fitted[1])
        right = [float((tree.predict(rows[:, place]) == labels).mean()) for rows, labels in (fitted, others)]
        common = [float(np.bincount(labels).max()) / len(labels) for _, labels in (fitted, others)]
        if all(share >= most + TOLD * (1 - most) for share, most in zip(right, common, strict=True)):
            found[column.name] = right[1]
    return found


def _some(part: Split) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """At most so many rows, evenly spread, and their classes."""
    every = slice(None, None, -(-len(part) // ROWS))
    rows: Tensor = single(subset(part.inputs, every))
    return rows.cpu().numpy(), part.labels[every].cpu().numpy()
