"""What is worth knowing of a dataset, as plain data for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from autokd import batching, lazy
from autokd.data_types import Raw
from autokd.files import printable
from autokd.input_kind import InputKind
from autokd.input_values import Preprocess, Suspects
from autokd.networks.inputs import kind_of
from autokd.types import Inputs, Split, Task

_DUPLICATES_WORTH_A_WARNING = 0.01
_NEAR_COPIES_WORTH_A_WARNING = 0.02
_log = logging.getLogger("autokd")


def card_of(
    raw: Raw, task: Task, splits: dict[str, Split], dropped: dict[str, str], preprocess: Preprocess
) -> dict[str, Any]:
    """Return the card; see `autokd.data.Dataset`.

    Args:
      raw: the dataset as it was read.
      task: of the dataset.
      splits: "train", "validation" and "test".
      dropped: what preprocessing left out, each with the reason.
      preprocess: of the dataset.
    """
    counted = {name: splits[name] for name in ("train", "validation")}
    duplicates = {} if raw.sampled else _duplicates(splits)
    kind = kind_of(task.modality)
    near = {} if raw.sampled else _near_copies(kind, splits)
    odd = {} if raw.sampled else _suspects(kind.suspects(preprocess, splits["train"], splits["validation"]))
    return {
        "name": raw.name,
        "modality": raw.modality,
        "input_shape": list(task.input_shape),
        "classes": list(raw.classes),
        "samples": {name: len(part) for name, part in splits.items()},
        "class_counts": {
            name: part.labels.bincount(minlength=task.num_classes).tolist() for name, part in counted.items()
        },
        "official": {"validation": raw.validation is not None, "test": raw.test is not None},
        "also_in_train": duplicates,
        "nearly_in_train": near,
        "skipped_files": list(map(printable, raw.skipped)),
        "remarks": list(raw.remarks),
        "dropped_columns": dropped,
        **odd,
        "fingerprint": task.fingerprint,
    }


def _duplicates(splits: dict[str, Split]) -> dict[str, int]:
    """Count the validation and test samples whose inputs are also a training sample's."""
    rows = {name: list(hashes(part.inputs)) for name, part in splits.items()}
    seen = set(rows["train"])
    found = {name: sum(row in seen for row in rows[name]) for name in ("validation", "test")}
    for name, count in found.items():
        if count > _DUPLICATES_WORTH_A_WARNING * len(rows[name]):
            _log.warning("%d of %d %s samples are also in the training split", count, len(rows[name]), name)
    return found


def _near_copies(kind: InputKind, splits: dict[str, Split]) -> dict[str, str]:
    """Say how many of the validation and test samples that were looked at are nearly a training sample."""
    found = {name: kind.near_copies(splits[name], splits["train"]) for name in ("validation", "test")}
    for name, (count, looked) in found.items():
        if count > _NEAR_COPIES_WORTH_A_WARNING * looked:
            _log.warning(
                "%d of %d %s samples that were looked at are nearly copies of training samples; where such samples "
                "belong together (frames of one video, scans of one person), say so with --group",
                *(count, looked, name),
            )
    return {name: f"{count} of {looked}" for name, (count, looked) in found.items() if count}


def _suspects(found: Suspects | None) -> dict[str, Any]:
    """What the card says of inputs that hold nothing, or give the class away; null where its kind has no such thing."""
    if found is None:
        return {"constant_inputs": None, "telling_inputs": None}
    telling = found.telling
    for name, share in (telling or {}).items():
        _log.warning(
            "%s alone tells the class of %.1f %% of the validation samples; leave it out if it is not known beforehand",
            *(printable(name), 100 * share),
        )
    return {"constant_inputs": list(found.constant), "telling_inputs": None if telling is None else dict(telling)}


def hashes(inputs: Inputs) -> Iterator[int]:
    """Yield a hash of each stored sample."""
    pieces = (lazy.pieces(tensor) for tensor in batching.tensors(inputs))
    rows = ((row for piece in of_one for row in piece.numpy()) for of_one in pieces)
    for values in zip(*rows, strict=True):
        yield hash(b"".join(value.tobytes() for value in values))
