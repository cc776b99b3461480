"""Whose answers the losses of a pipeline read, by name: the teacher's, or those of a network that trains beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from autokd import catalog
from autokd.components import LossComponent
from autokd.errors import nearest

TEACHER = "teacher"
"""Name of the study's teacher."""
LOSSES = "losses"


def read_by(loss: LossComponent) -> str:
    """Return the name of the model whose answers a loss of a pipeline reads; "" where it reads none."""
    return loss.declares.reads_of


def read_by_plain(loss: Mapping[str, Any]) -> str:
    """Return the same of a plain loss."""
    return str(catalog.load(LOSSES, loss["use"]).declares.reads_of)


def answer_problems(read: Mapping[str, str], beside: Mapping[str, bool]) -> Iterator[str]:
    """Say which losses read answers that nobody gives, and which networks give answers that no loss reads.

    >>> list(answer_problems({"ce": "", "dml": "peer"}, {"peer": False}))
    ["losses.dml: it reads the answers of 'peer', and the pipeline has no peer; add one, or leave the loss out"]
    >>> list(answer_problems({"ce": "", "kd": "techer"}, {"peer": False}))
    ["losses.kd.teacher: there is nobody of this name, got 'techer'; did you mean 'teacher'?"]

    Args:
      read: the names that losses read, by the losses' own names; "" for none.
      beside: the slots that may hold a network that trains beside the student, and whether they do.
    """
    names = [TEACHER, *beside]
    for loss, name in read.items():
        if name and name not in names:
            yield f"{LOSSES}.{loss}.teacher: there is nobody of this name, got {name!r}; {nearest(name, names)}"
        elif name in beside and not beside[name]:
            yield (
                f"{LOSSES}.{loss}: it reads the answers of {name!r}, and the pipeline has no {name}; add one, or leave "
                "the loss out"
            )
    for name, there in beside.items():
        if there and name not in read.values():
            yield f"{name}: no loss reads its answers; add one that does, such as dml, or leave it out"
