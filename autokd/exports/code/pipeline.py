"""A whole pipeline as plain code: its parts, or in one line what of it has no plain form."""

from __future__ import annotations

import ast
import contextlib
import inspect
import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from autokd import batching
from autokd.engine.build import MAX_NORM
from autokd.engine.precision import threads_for
from autokd.errors import ComponentError
from autokd.exports.code.augments import write_augment
from autokd.exports.code.parts import PROVIDED, WrittenLoss, write_loss, write_schedule, write_student
from autokd.exports.code.plain import RunningAverage
from autokd.exports.code.source import Code, place_of
from autokd.networks.inputs import feed_of
from autokd.networks.models import seeded, shapes_of
from autokd.spec import PipelineSpec, Slot, component_to_plain, read_by, slots
from autokd.types import BuildContext, Shapes, Task

_NOTHING = {"head": "plain", "init": "random", "selection": "all", "qat": 1.0, "unlabelled": 0.0}
"""By slot the component, or the number, that changes nothing."""
_WRITTEN = {"student", "augment", "losses", "optimizer", "schedule", "batch_size", "ema"}
"""Slots that have a plain form."""


_APART = {"lr", "weight_decay", "foreach"}
"""Arguments of an optimizer that are written elsewhere, or make no difference."""


class WrittenOptimizer(NamedTuple):
    """An optimizer of torch: class, arguments, peak learning rate, and the decay of weights (all else has none)."""

    name: str
    options: dict[str, Any]
    rate: float
    decay: float


class WrittenPipeline(NamedTuple):
    """A pipeline as code.

    Args:
      imports: statements that the code needs, by the name that each binds.
      sections: definitions by what they are for: "student", "augmentation", "losses", "schedule", "average".
      student: how the network is made.
      augment: lines that change `inputs` and `targets`.
      losses: in the order of the pipeline.
      optimizer: with which.
      max_norm: to which gradients are cut; None: they are not.
      one_thread: on a CPU more are not faster.
      stages: how many features the student offers.
    """

    imports: Mapping[str, str]
    sections: dict[str, str]
    student: str
    augment: tuple[str, ...]
    losses: tuple[WrittenLoss, ...]
    optimizer: WrittenOptimizer
    max_norm: float | None
    one_thread: bool
    stages: int


def write_pipeline(
    spec: PipelineSpec,
    task: Task,
    teacher: Shapes | None,
    *,
    longest: float = math.inf,
    without: AbstractSet[str] = frozenset(),
) -> WrittenPipeline:
    """Write a pipeline as plain code.

    Args:
      spec: the pipeline.
      task: what it is trained on.
      teacher: what the teacher offers; None without one.
      longest: lines that the code of a loss may have.
      without: losses that are left out, by their names in the pipeline.

    Raises:
      ComponentError: parts of it have no plain form; names each, and why.
    """
    code, refused, sections = Code(PROVIDED), list(_refused_slots(spec)), dict[str, str]()
    with seeded(0):
        network = spec.student.build(BuildContext(task=task))
    context = BuildContext(task=task, student=shapes_of(network, task), teacher=teacher)
    student, augment, losses = "", list[str](), list[WrittenLoss]()
    with _section(code, sections, "student"), _refusals(refused, "student", spec.student):
        student = write_student(code, spec.student, task)
    with _section(code, sections, "augmentation"), _refusals(refused, "augment", spec.augment):
        augment = write_augment(code, spec.augment, task)
    with _section(code, sections, "losses"):
        for key, loss in ((key, loss) for key, loss in spec.losses.items() if key not in without):
            with _refusals(refused, f"losses.{key}", loss), _bounded(code, longest):
                losses.append(write_loss(code, key, loss, context))
    with _section(code, sections, "schedule"), _refusals(refused, "schedule", spec.schedule):
        write_schedule(code, spec.schedule, context, "rate_factor")
    with _section(code, sections, "average"):
        if spec.ema:
            code.require(place_of(RunningAverage))
    optimizer = None
    with _refusals(refused, "optimizer", spec.optimizer):
        optimizer = _optimizer(spec, network, context)
    if refused or optimizer is None:
        raise ComponentError(f"no plain code for {'; '.join(refused)}")
    exploding = any(read_by(loss) or loss.declares.student_reads for loss in spec.losses.values())
    return WrittenPipeline(
        imports=code.imports,
        sections=sections,
        student=student,
        augment=tuple(augment),
        losses=tuple(losses),
        optimizer=optimizer,
        max_norm=MAX_NORM if exploding else None,
        one_thread=threads_for(spec, task, 2) == 1,
        stages=0 if context.student is None else len(context.student.features),
    )


def _refused_slots(spec: PipelineSpec) -> Iterator[str]:
    for name, slot in slots().items():
        value = getattr(spec, name)
        if name in _WRITTEN or value is None:
            continue
        use = component_to_plain(value)["use"] if isinstance(slot, Slot) else value
        if _NOTHING.get(name) != use:
            yield f"{name} ({use})"


@contextlib.contextmanager
def _refusals(refused: list[str], path: str, component: Any) -> Iterator[None]:
    """Note what is refused in place of raising it."""
    try:
        yield
    except ComponentError as error:
        refused.append(f"{path} ({component_to_plain(component)['use']}: {error})")


@contextlib.contextmanager
def _bounded(code: Code, longest: float) -> Iterator[None]:
    """Refuse what adds too many lines."""
    before = set(code.snippets)
    yield
    lines = sum(snippet.text.count("\n") + 1 for place, snippet in code.snippets.items() if place not in before)
    if lines > longest:
        raise ComponentError(f"its code has {lines} lines, and the whole is for people to read")


@contextlib.contextmanager
def _section(code: Code, sections: dict[str, str], title: str) -> Iterator[None]:
    """Keep what is added to the code as a section of its own: constants first."""
    before = set(code.snippets)
    yield
    added = [snippet for place, snippet in code.snippets.items() if place not in before]
    names = {snippet.name for snippet in added}
    first = [each.text for each in added if not _defines(each.text) and not names & _names_in(each.text)]
    rest = [each.text for each in added if each.text not in first]
    sections[title] = "\n\n\n".join(["\n".join(first), *rest] if first else rest)


def _defines(text: str) -> bool:
    return text.startswith(("def ", "class ", "@"))


def _names_in(text: str) -> set[str]:
    """Names that the value of a constant is made with."""
    return {
        node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def _optimizer(spec: PipelineSpec, network: nn.Module, context: BuildContext) -> WrittenOptimizer:
    """Read an optimizer's class and arguments off a live one."""
    live = spec.optimizer.build(context)(list(network.parameters()))
    kind = type(live)
    if getattr(torch.optim, kind.__name__, None) is not kind:
        raise ComponentError(f"{kind.__name__} is none of torch.optim")
    usual = inspect.signature(kind).parameters
    given = {k: v for k, v in live.defaults.items() if k in usual and k not in _APART and v != usual[k].default}
    return WrittenOptimizer(kind.__name__, given, live.defaults["lr"], _decay(live))


def _decay(live: torch.optim.Optimizer) -> float:
    """The decay of the weights, parameters of more than one dimension, where all others have none."""
    decays = [(p.ndim > 1, group["weight_decay"]) for group in live.param_groups for p in group["params"]]
    weights = {decay for is_weight, decay in decays if is_weight}
    if len(weights) > 1 or any(decay for is_weight, decay in decays if not is_weight):
        raise ComponentError("its parameter groups are others than weights with decay and the rest without")
    return float(next(iter(weights), 0.0))


def channels_last(task: Task) -> bool:
    """Whether networks for a task's samples are laid out with the channels of a pixel side by side."""
    probe = feed_of(task).lay_out(nn.Conv2d(2, 2, 3))
    return next(probe.parameters()).stride(1) == 1


def to_view(task: Task, stored: Tensor) -> str:
    """Return what is done to stored samples before they are augmented, as code that follows their name.

    Raises:
      ComponentError: something else than nothing, or than to divide levels by the largest one.
    """
    feed, few = feed_of(task), stored[:1]
    view = batching.single(feed.to_view(few))
    if view.dtype == few.dtype and torch.equal(view, few):
        return ""
    most = torch.iinfo(few.dtype).max if not few.is_floating_point() else 1
    if not torch.equal(view, few.float() / most):
        raise ComponentError(f"inputs of the kind {task.modality}: they have no plain form")
    return f".float() / {most}"
