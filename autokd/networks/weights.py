"""Loading a state dict into a network, whole or not at all."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from autokd.errors import ComponentError, TeacherError, one_line
from autokd.networks.library import LibraryNetwork
from autokd.networks.models import classifiers_of
from autokd.networks.weight_names import fit_names
from autokd.types import Task

_SHOWN = 3
_log = logging.getLogger("autokd")


def load_whole(module: nn.Module, state: Mapping[str, Tensor], task: Task, source: str, note: str = "") -> None:
    """Load a state dict into a network; every tensor of the network must find its partner.

    A prefix that the network's keys carry in the file is stripped, whatever it is. Tensors outside of it, counters, and
    what losses and metrics keep are left over and named; any other one that is left over is an error. Counters of
    batches (`num_batches_tracked`), which old files lack, may be absent.

    Args:
      module: changed in place.
      state: as `read` returns it.
      task: the task, for its class count.
      source: the checkpoint, for the message.
      note: what else there is to say of the file; it is said once.
    Raises:
      TeacherError: keys are missing, left over or of another shape, the class counts differ, or the file holds two such
        networks.
    """
    expected = module.state_dict()
    fit = fit_names(state, expected)
    if fit.rivals:
        raise TeacherError(
            f"{source} holds {len(fit.rivals)} networks of this architecture, whose names begin with "
            f"{', '.join(fit.rivals)}; say which one is meant with key={fit.rivals[0].rstrip('.')} before the @"
        )
    difference = _compare(fit.state, expected)
    if difference.misfits and not difference.missing and not difference.unexpected:
        _check_class_count({key: fit.state[key] for key in difference.misfits}, expected, task, source)
    problems = _describe(difference)
    if problems:
        raise TeacherError(f"{source} does not load whole into this architecture; tensors: {problems}")
    module.load_state_dict(fit.state)
    unused = _count_and_show("tensor(s) of it not used", list(fit.unused))
    if note or unused:
        _say_once(f"the teacher's file {source}: {'; '.join(filter(None, (note, unused)))}")


@functools.cache  # a teacher may be loaded several times
def _say_once(line: str) -> None:
    _log.warning("%s", line)


def load_start(module: nn.Module, state: Mapping[str, Tensor], task: Task, source: str, what: str = "student") -> str:
    """Load a state dict into a network, whole but for a classifier of another number of classes, which stays as it is.

    Args:
      module, state, task, source: as for `load_whole`.
      what: the network is, for the message.
    Returns:
      What was left as it is, in a line; "" where that is nothing.

    Raises:
      ComponentError: other keys are missing, left over or of another shape; names the first ones.
    """
    inner = module.network if isinstance(module, LibraryNetwork) else module
    expected = inner.state_dict()
    fit = fit_names(state, expected)
    if fit.rivals:
        raise ComponentError(
            f"{source} holds {len(fit.rivals)} networks of this architecture, whose names begin with "
            f"{', '.join(fit.rivals)}; save the one that is meant by itself"
        )
    state = _converted(module, fit.state, source)
    difference, heads = _compare(state, expected), classifiers_of(inner, task)
    left = [key for key in difference.misfits if _is_of(heads, key, state[key], expected[key])]
    misfits = {key: why for key, why in difference.misfits.items() if key not in left}
    problems = _describe(difference._replace(misfits=misfits))
    if problems:
        raise ComponentError(f"{source} does not fit this {what}; tensors: {problems}")
    inner.load_state_dict({**state, **{key: expected[key] for key in left}})
    if not left:
        return ""
    classes = state[left[0]].shape[0]
    return f"{source} tells {classes} classes apart, not {task.num_classes}: {', '.join(left)} begin at random"


def _converted(module: nn.Module, state: Mapping[str, Tensor], source: str) -> Mapping[str, Tensor]:
    """A state dict in the form of a library's network, as far as its library knows how; else as it is."""
    if not isinstance(module, LibraryNetwork):
        return state
    try:
        return module.converted(state)
    except Exception as error:  # a library's code may raise anything about a file of another network
        raise ComponentError(f"{source} does not fit this student ({one_line(error)})") from error


def _is_of(heads: Sequence[str], key: str, found: Tensor, expected: Tensor) -> bool:
    """Whether a tensor is a classifier's, and differs in the number of classes alone."""
    return key.rpartition(".")[0] in heads and found.shape[1:] == expected.shape[1:]


def agreement(module: nn.Module, state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return how well a state dict fits a network: shared less unshared keys, and tensors of equal shape."""
    expected = module.state_dict()
    state = fit_names(state, expected).state
    common = expected.keys() & state.keys()
    unshared = len(expected) + len(state) - 2 * len(common)
    return len(common) - unshared, sum(not _describe_misfit(state[key], expected[key]) for key in common)


def class_count_error(seen: int, task: Task, source: str) -> TeacherError:
    """Return the error for a teacher that tells another number of classes apart than the data have.

    Args:
      seen: number of the teacher's classes.
      task: the data's.
      source: the teacher, for the message.
    """
    return TeacherError(
        f"the teacher {source} tells {seen} classes apart, but {task.dataset} has {task.num_classes}; "
        "give a teacher trained on these classes, or the names of its own, in the order of its outputs, with "
        "--teacher-classes FILE; or train it on these classes first, with --fine-tune"
    )


class _Difference(NamedTuple):
    """How a state dict differs from the one that a network expects.

    Args:
      missing: keys that the network expects, but for counters of batches.
      unexpected: keys that it does not.
      misfits: by key, how a tensor differs.
    """

    missing: list[str]
    unexpected: list[str]
    misfits: dict[str, str]


def _describe(difference: _Difference) -> str:
    """How many tensors differ, with the first ones; "" where none does."""
    problems = [
        _count_and_show("missing", difference.missing),
        _count_and_show("unexpected", difference.unexpected),
        _count_and_show("of another shape or type", [f"{key}: {why}" for key, why in difference.misfits.items()]),
    ]
    return "; ".join(filter(None, problems))


def _compare(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> _Difference:
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    texts = {key: _describe_misfit(state[key], expected[key]) for key in expected if key in state}
    return _Difference(missing, unexpected, {key: text for key, text in texts.items() if text})


def _describe_misfit(found: Tensor, expected: Tensor) -> str:
    """Say how a tensor of the file differs in shape or kind of number from the network's; "" where it fits."""
    here, there = list(found.shape), list(expected.shape)
    if here != there:
        return f"file {here}, model {there}"
    if found.is_floating_point() != expected.is_floating_point():
        return f"file {found.dtype}, model {expected.dtype}"
    return ""


def _check_class_count(misfits: Mapping[str, Tensor], expected: Mapping[str, Tensor], task: Task, source: str) -> None:
    """Raise where the only misfits are first dimensions that are the task's class count in the network."""
    counts = {found.shape[0] if found.ndim else 0 for found in misfits.values()}
    heads = all(
        found.shape[1:] == expected[key].shape[1:] and expected[key].shape[:1] == (task.num_classes,)
        for key, found in misfits.items()
    )
    if heads and len(counts) == 1 and counts != {task.num_classes}:
        raise class_count_error(counts.pop(), task, source)


def _count_and_show(what: str, items: list[str]) -> str:
    shown = ", ".join(items[:_SHOWN]) + (", …" if len(items) > _SHOWN else "")
    return f"{len(items)} {what} ({shown})" if items else ""
