"""Teachers that are no networks: gradient boosting and a forest, fitted by scikit-learn in seconds.

What they learned is handed on as arrays (`autokd.networks.trees`); no object of scikit-learn's outlives its fit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from autokd import batching
from autokd.networks.trees import Link, Tree, TreeEnsemble, arrays_of
from autokd.types import Split

LEAVES, DEPTH = 31, 6
"""Of a boosted tree, at most."""
ROUNDS, BOOSTED = 300, 1500
"""Rounds of boosting, and trees in all (with more than two classes a round has one a class), at most."""
RATE, FAST_RATE = 0.1, 0.2
"""Learning rate of boosting, and that where the bound on trees leaves fewer rounds."""
HELD_OUT, PATIENCE = 0.1, 15
"""Boosting stops after so many rounds without gain on this share of the training rows."""
TREES, FEWEST, FOREST_DEPTH = 200, 50, 20
"""Of the forest: trees at most and at least, and their depth."""
FOREST_ROWS = 3_000_000
"""Rows that all trees of the forest read together, which bounds their number on large tables."""
FEW, ASKED = 4, 256
"""Rounds, or trees, whose time tells that of all; rows that they are asked about."""
SEED = 0
"""Fixed, so that studies with different seeds share the teacher."""

T = TypeVar("T")
Model = Any
"""A classifier of scikit-learn, which has no types."""


class Kind(NamedTuple):
    """A way to fit trees.

    Args:
      link: what the sum over its trees is.
      model: (split, classes, rounds or trees) -> classifier, not yet fitted.
      length: (rows, classes) -> rounds or trees of a full fit, at most.
      trees: fitted classifier -> its trees, and what is added to their sum [C].
    """

    link: Link
    model: Callable[[Split, int, int], Model]
    length: Callable[[int, int], int]
    trees: Callable[[Model], tuple[list[Tree], NDArray[np.float64]]]


class TreeCosts(NamedTuple):
    """Seconds of one row, at most: of fitting all kinds, and of an answer of the slowest."""

    fit: float = 0.0
    answer: float = 0.0


def fit_trees(name: str, split: Split, num_classes: int, length: int | None = None) -> TreeEnsemble:
    """Fit an ensemble of trees.

    Args:
      name: a key of `KINDS`.
      split: the training rows; every class occurs. Nothing else is looked at.
      num_classes: C.
      length: rounds or trees; None: the kind's own.
    """
    kind = KINDS[name]
    model = kind.model(split, num_classes, length or kind.length(len(split), num_classes))
    model.fit(batching.single(split.inputs).numpy(), split.labels.numpy())
    return TreeEnsemble(arrays_of(*kind.trees(model)), kind.link)


def tree_costs(split: Split, num_classes: int) -> TreeCosts:
    """Measure, on the first few trees, what fitting all of them and their answers take; boosting may stop sooner."""
    asked = batching.single(split.inputs)[:ASKED]
    fits, answers = [], []
    for name, kind in KINDS.items():
        length = kind.length(len(split), num_classes)
        few, several = _timed(partial(fit_trees, name, split, num_classes, FEW))
        _, one = _timed(partial(fit_trees, name, split, num_classes, 1))  # binning is done once
        _, answer = _timed(partial(few, asked))
        fits.append(one + max(0.0, several - one) / (FEW - 1) * (length - 1))
        answers.append(answer * length / FEW)
    return TreeCosts(sum(fits) / len(split), max(answers) / len(asked))


def _timed(make: Callable[[], T]) -> tuple[T, float]:
    """What a call returns, and its seconds."""
    began = time.perf_counter()
    made = make()
    return made, time.perf_counter() - began


def _boosting(split: Split, num_classes: int, rounds: int) -> Model:
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import

    return HistGradientBoostingClassifier(
        learning_rate=RATE if _rounds(len(split), num_classes) == ROUNDS else FAST_RATE,
        max_iter=rounds,
        max_leaf_nodes=LEAVES,
        max_depth=DEPTH,
        early_stopping=_may_hold_out(split, num_classes),
        validation_fraction=HELD_OUT,
        n_iter_no_change=PATIENCE,
        random_state=SEED,
    )


def _may_hold_out(split: Split, num_classes: int) -> bool:
    """Whether rows can be held out with every class on both sides."""
    rarest = int(torch.bincount(split.labels, minlength=num_classes).min())
    return rarest >= 2 and HELD_OUT * len(split) >= num_classes


def _rounds(rows: int, num_classes: int) -> int:
    return max(1, min(ROUNDS, BOOSTED // (num_classes if num_classes > 2 else 1)))


def _boosted(model: Model) -> tuple[list[Tree], NDArray[np.float64]]:
    """Each tree adds to the logit of one class, in turn; with two classes, to that of the second."""
    base = np.asarray(model._baseline_prediction, np.float64).reshape(-1)
    binary = len(base) == 1
    trees = []
    for predictor in (predictor for a_round in model._predictors for predictor in a_round):
        nodes = predictor.nodes.view(np.recarray)
        left, right = (np.where(nodes.is_leaf, -1, side.astype(np.int64)) for side in (nodes.left, nodes.right))
        value = np.stack([np.zeros(len(nodes)), nodes.value], axis=1) if binary else nodes.value[:, None]
        trees.append(Tree(nodes.feature_idx.astype(np.int64), nodes.num_threshold, left, right, value))
    return trees, np.concatenate([[0.0], base]) if binary else base


def _forest(split: Split, num_classes: int, trees: int) -> Model:
    from sklearn.ensemble import ExtraTreesClassifier  # slow to import

    threads = torch.get_num_threads()  # a tree is the same whichever thread grows it
    return ExtraTreesClassifier(trees, max_depth=FOREST_DEPTH, random_state=SEED, n_jobs=threads)


def _forest_size(rows: int, num_classes: int) -> int:
    return max(FEWEST, min(TREES, FOREST_ROWS // rows))


def _grown(model: Model) -> tuple[list[Tree], NDArray[np.float64]]:
    """Each tree adds its share of the mean probability."""
    trees = []
    for each in (estimator.tree_ for estimator in model.estimators_):
        shares = each.value[:, 0] / each.value[:, 0].sum(1, keepdims=True) / len(model.estimators_)
        trees.append(Tree(each.feature, each.threshold, each.children_left, each.children_right, shares))
    return trees, np.zeros(len(model.classes_))


KINDS: Mapping[str, Kind] = {
    "gradient boosting": Kind("logits", _boosting, _rounds, _boosted),
    "forest": Kind("probabilities", _forest, _forest_size, _grown),
}
"""By their names in origins and files."""
