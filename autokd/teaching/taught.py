"""Teachers by their plain references: the default one, a fine-tuned one, and those that are loaded as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from autokd.data import Dataset
from autokd.errors import TeacherError
from autokd.networks.ensemble import described_members
from autokd.networks.reference import IN_PYTHON, load_teacher
from autokd.teaching import default_teacher, fine_tuned
from autokd.teaching.recipe import LARGE, Effort
from autokd.types import Teacher


def _nothing() -> None:
    """Go on waiting."""


def is_taught(described: Mapping[str, Any] | None) -> bool:
    """Return whether autokd trains the teacher of a plain reference, on the data: the default or a fine-tuned one."""
    return described is not None and (described.get("use") == "trained" or fine_tuned.KEY in described)


def effort_of(described: Mapping[str, Any] | None, epochs: int) -> Effort:
    """Return the effort that a plain reference names; where autokd does not train that teacher, one of so many epochs.

    >>> effort_of({"use": "trained", "epochs": 3}, 40), effort_of({"use": "timm", "file": "a.pt"}, 40)
    (Effort(epochs=3, network='large'), Effort(epochs=40, network='large'))
    """
    if described is None or not is_taught(described):
        return Effort(epochs)
    own = described.get(fine_tuned.KEY, described)
    return Effort(int(own["epochs"]), own.get("network", LARGE))


def lengthened(described: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    """Return the plain reference of a teacher that autokd trains, with another full length, at its full size."""
    if fine_tuned.KEY in described:
        return fine_tuned.reference(described, Effort(epochs))
    return default_teacher.reference(Effort(epochs))


def load_described(
    described: Mapping[str, Any],
    data: Dataset,
    device: torch.device,
    on_epoch: Callable[[int, int], None] | None = None,
    on_wait: Callable[[], None] = _nothing,
) -> Teacher:
    """Return the teacher of a plain reference, on a device.

    Args:
      described: what `reference` of `default_teacher` or `fine_tuned`, or `autokd.networks.reference.describe`
        returned.
      data: the dataset.
      device: where it is to answer, and where a teacher that is no longer in the cache is trained.
      on_epoch: called with (epochs done, epochs in all); only where one is trained.
      on_wait: called again and again while another process trains it; what it raises ends the wait.

    Raises:
      TeacherError: it cannot be loaded, or was a network handed over in Python.
    """
    if fine_tuned.KEY in described:
        told = fine_tuned.Told(on_epoch or (lambda done, total: None), on_wait)
        return fine_tuned.obtain(described, data, device, told).teacher
    if described.get("use") == "trained":
        return default_teacher.obtain(data, effort_of(described, 0), device, on_epoch, on_wait)
    if any(one.get("use") in IN_PYTHON for one in described_members(described) or [described]):
        raise TeacherError("this pipeline's teacher was handed over in Python; save it to a file and edit `teacher`")
    return load_teacher(dict(described), data.task, samples=data.samples).to(device)
