"""Which samples train, validate and test: official splits first, then stratified and seeded ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.data_types import Indices, Part, Raw
from autokd.errors import DataError
from autokd.networks.inputs import kind_of
from autokd.seeds import derive

HELD_OUT_SHARE = 0.2
"""Share that a split has when it does not come with the data."""


class Parts(NamedTuple):
    """The three splits, as they were read."""

    train: Part
    validation: Part
    test: Part


def split(raw: Raw, seed: int, limit_train: int | None = None) -> Parts:
    """Return the three splits of a dataset.

    Test is the official one, otherwise a stratified fifth. Validation is what the data give, otherwise a stratified
    fifth of the rest, but no more than the larger of 5,000 samples and a tenth. Groups stay together.

    Args:
      raw: the dataset.
      seed: of the draws.
      limit_train: train on a stratified draw of this many samples (at least one a class).

    Raises:
      DataError: there is one class only, or a class has too few samples.
    """
    _check_counts(raw)
    rest, test = (raw.train, raw.test) if raw.test is not None else _hold_out(raw, raw.train, test_size, seed, "test")
    validation = raw.validation
    if validation is None:
        rest, validation = _hold_out(raw, rest, validation_size, seed, "validation")
    if limit_train is not None and limit_train < len(rest):
        rest = take(raw.modality, rest, _limited(rest, limit_train, len(raw.classes), seed))
    return Parts(rest, validation, test)


def shared_groups(parts: Parts) -> dict[str, int]:
    """Count the groups of validation and test that training has too, as splits that come with the data may."""
    named = {name: set() if part.groups is None else set(part.groups) for name, part in parts._asdict().items()}
    return {name: len(named[name] & named["train"]) for name in ("validation", "test")}


def take(modality: str, part: Part, rows: Indices) -> Part:
    """Return the samples of a part at these positions.

    Args:
      modality: kind of input.
      part: the samples.
      rows: [n] positions.
    """
    groups, names, numbers = (None if each is None else each[rows] for each in (part.groups, part.names, part.numbers))
    return Part(kind_of(modality).take(part.inputs, rows), part.labels[rows], groups, names, numbers)


def spread(count: int, most: int) -> Indices:
    """Return at most so many of the positions 0 to `count` - 1, evenly spread."""
    return np.arange(0, count, -(-count // most))


def test_size(n: int) -> int:
    """Return how many of n samples are held out for testing."""
    return round(n * HELD_OUT_SHARE)


def validation_size(n: int) -> int:
    """Return how many of n samples are held out for validation."""
    return min(round(n * HELD_OUT_SHARE), max(5000, round(n * 0.1)))


def quotas(counts: Indices, total: int) -> Indices:
    """Share out `total` samples in proportion to the class counts, by largest remainder, at least one a class.

    Args:
      counts: [C] samples of each class, all at least 1.
      total: samples to draw, at most the sum of the counts.
    Returns:
      [C]; their sum is `total`, or more where only that gives every class one.
    """
    exact = counts * (total / counts.sum())
    given: Indices = np.maximum(np.floor(exact), 1).astype(np.int64)
    most_owed = np.argsort(given - exact, kind="stable")
    given[most_owed[: max(0, total - int(given.sum()))]] += 1
    return given


def stratified_draw(labels: Indices, total: int, num_classes: int, seed: int) -> Indices:
    """Return sorted positions of a stratified draw of about `total` samples; see `quotas`.

    Args:
      labels: [N] class indices; every class occurs.
    """
    rng = np.random.default_rng(seed)
    wanted = quotas(np.bincount(labels, minlength=num_classes), total)
    drawn = [rng.permutation(np.flatnonzero(labels == label))[:count] for label, count in enumerate(wanted)]
    return np.asarray(np.sort(np.concatenate(drawn)), dtype=np.int64)


def _hold_out(raw: Raw, part: Part, size: Callable[[int], int], seed: int, purpose: str) -> tuple[Part, Part]:
    total, part_seed = size(len(part)), derive(seed, "split", purpose)
    if part.groups is None:
        held = stratified_draw(part.labels, total, len(raw.classes), part_seed)
    else:
        held = _grouped_draw(part, part.groups, total, raw.classes, part_seed)
    rest = np.setdiff1d(np.arange(len(part)), held)
    return take(raw.modality, part, rest), take(raw.modality, part, held)


def _grouped_draw(part: Part, groups: NDArray[np.object_], total: int, classes: tuple[str, ...], seed: int) -> Indices:
    """Return positions of whole groups, about `total` samples with classes in proportion, every class on both sides."""
    from sklearn.model_selection import StratifiedGroupKFold  # slow to import, and for groups only

    folds = min(round(len(part) / total), len(set(groups)))
    if folds >= 2:
        splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed % 2**32)
        for rest, held in splitter.split(np.zeros(len(part)), part.labels, groups):
            if len(set(part.labels[rest])) == len(set(part.labels[held])) == len(classes):
                return np.asarray(held, dtype=np.int64)
    raise DataError(
        f"{len(set(groups))} group(s) cannot be split so that every class is on both sides; "
        "each class needs several groups"
    )


def _limited(part: Part, limit: int, num_classes: int, seed: int) -> Indices:
    if limit < num_classes:
        raise DataError(f"a training set of {limit} samples cannot hold {num_classes} classes")
    return stratified_draw(part.labels, limit, num_classes, derive(seed, "limit"))


def _check_counts(raw: Raw) -> None:
    if len(raw.classes) < 2:
        raise DataError(f"{raw.name}: only one class, {', '.join(raw.classes)!r}; at least two are needed")
    counts = np.bincount(raw.train.labels, minlength=len(raw.classes))
    needed = 1 + (raw.validation is None) + (raw.test is None)
    rarest = int(counts.argmin())
    if counts[rarest] < needed:
        raise DataError(
            f"{raw.name}: class {raw.classes[rarest]!r} has {counts[rarest]} sample(s), too few to split; "
            f"every class needs at least {needed}"
        )
