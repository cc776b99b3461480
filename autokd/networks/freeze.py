"""Freezing a network into a teacher, whatever input it was trained on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from autokd import batching
from autokd.errors import TeacherError, UserError, one_line
from autokd.networks.fed import AS_THE_DATA, Frozen, InputForm
from autokd.networks.hooks import hooked
from autokd.networks.inputs import feed_of, kind_of
from autokd.networks.models import NetworkTeacher, answer_example, as_output
from autokd.networks.weights import class_count_error
from autokd.spec import fingerprint
from autokd.types import Task


class InputRefused(TeacherError):
    """A network does not take samples of the data's shape."""


def freeze(
    module: nn.Module,
    task: Task,
    *,
    source: str,
    identity: Mapping[str, Any],
    inputs: InputForm = AS_THE_DATA,
    features: Sequence[str] = (),
) -> NetworkTeacher:
    """Freeze a network into a teacher, after a dry run on two made-up samples.

    A network that answers with bare logits gets hooks that catch its features and pooled embedding.

    Args:
      module: [B, *input_shape] -> Output or logits [B, C].
      task: the task.
      source: where the network came from, for people and messages.
      identity: plain data that, with the weights, tells the network apart from others.
      inputs: what the network was trained on.
      features: paths of the modules whose outputs are the features; () for the last one at each spatial size.
    Raises:
      TeacherError: the network does not take the task's input, or its answer does not fit the task's classes.
    """
    options = {"mean": list(inputs.mean), "std": list(inputs.std), "input_size": inputs.size}
    network, bare = f"{type(module).__module__}.{type(module).__qualname__}", module
    centre, spread = normalisation(task, inputs, source)
    if inputs.size:
        resized_task(task, inputs.size)
        module = kind_of(task.modality).behind_resize(module, inputs.size)
    _dry_run(module, task, source)
    module = hooked(module.eval(), task, features)
    identity_text = fingerprint({"network": network, **identity, **options})
    teacher = NetworkTeacher([module], task, origin=source, mean=centre, std=spread, identity=identity_text)
    teacher.frozen = Frozen(bare, inputs)
    return teacher


def resized_task(task: Task, input_size: int) -> Task:
    """Return the task as a network behind a resize to `input_size` pixels sees it; 0 for no resizing.

    Raises:
      TeacherError: such samples are not resized, or the size is negative.
    """
    return kind_of(task.modality).resized_task(task, input_size) if input_size else task


@contextlib.contextmanager
def foreign(what: str, error_class: type[UserError] = TeacherError) -> Iterator[None]:
    """Turn whatever someone else's code raises in the block into an error of ours that says `what` was tried."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a user's or a library's network may raise anything; it becomes one clear line
        raise error_class(f"{what}: {type(error).__name__}: {one_line(error)}") from error


def normalisation(
    task: Task, inputs: InputForm, source: str
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Return mean and std per channel, the task's where not given; (None, None) where neither is.

    Args:
      task: whose samples a network sees.
      inputs: what it was trained on.
      source: where it came from, for messages.
    Raises:
      TeacherError: such samples have no mean and std, or these are not one a channel.
    """
    if not inputs.mean and not inputs.std:
        return None, None
    feed = feed_of(task)
    if not {"mean", "std"} <= feed.constants.keys():
        raise TeacherError(f"the teacher {source}: mean and std do not apply to {task.modality} data")
    channels = batching.single(feed.example(1, None)).shape[1]
    task_mean, task_std = task.mean or (0.0,) * channels, task.std or (1.0,) * channels
    mean, std = (
        _per_channel(values, channels, source) for values in (inputs.mean or task_mean, inputs.std or task_std)
    )
    if min(std) <= 0:
        raise TeacherError(f"the teacher {source}: std must be positive, got {list(inputs.std)}")
    return mean, std


def _per_channel(values: Sequence[float], channels: int, source: str) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise TeacherError(
            f"the teacher {source}: mean and std need 1 or {channels} values, one a channel, got {len(values)}"
        )
    return tuple(values) if len(values) == channels else tuple(values) * channels


def _dry_run(module: nn.Module, task: Task, source: str) -> None:
    """Check a network's answer to two made-up samples."""
    module.eval()
    shape = list(task.input_shape)
    with foreign(f"the teacher {source} does not take this data's samples of shape {shape}", InputRefused):
        answer = answer_example(module, task)
    logits = as_output(answer).logits
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != 2:
        seen = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise TeacherError(
            f"the teacher {source} must answer 2 samples with logits [2, {task.num_classes}] or an Output, got {seen}"
        )
    if logits.shape[1] != task.num_classes:
        raise class_count_error(logits.shape[1], task, source)
    if not logits.isfinite().all():
        raise TeacherError(f"the teacher {source} answers with NaN or infinity; its weights are damaged")
