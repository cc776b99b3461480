"""Pipelines and contexts for the engine's tests, and components that note what they see of a training run."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from autokd.batching import single
from autokd.data import Dataset
from autokd.declarations import Augment as AugmentDeclaration
from autokd.declarations import Loss, Part, Scale, Schedule, Student
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.networks.models import NetworkTeacher, seeded
from autokd.spec import PipelineSpec, make
from autokd.types import (
    IMAGE,
    Augment,
    BuildContext,
    Checkpoint,
    Inputs,
    Output,
    RungResult,
    Shapes,
    Step,
    Task,
    Teacher,
    TeacherHead,
    Term,
)

CPU = torch.device("cpu")


def pipeline(*, losses: dict[str, Any] | None = None, **parts: Any) -> PipelineSpec:
    """A small pipeline for images, some of its parts replaced: a component, or (name, fields)."""
    kinds = {"student": "students", "augment": "augments", "optimizer": "optimizers", "schedule": "schedules"}
    chosen: dict[str, Any] = {
        "student": ("cnn", {"layers": 2, "width": 4}),
        "augment": ("none", {}),
        "optimizer": ("sgd", {"learning_rate": 0.1}),
        "schedule": ("cosine", {}),
        "batch_size": 32,
        **parts,
    }
    made = {key: make(kinds[key], *value) if isinstance(value, tuple) else value for key, value in chosen.items()}
    return PipelineSpec(losses=losses or {"ce": make("losses", "ce", {})}, **made)


def table_pipeline(*, losses: dict[str, Any] | None = None, **parts: Any) -> PipelineSpec:
    mlp = ("mlp", {"depth": 2, "width": 8, "dropout": 0.3})
    return pipeline(losses=losses, **{"student": mlp, "optimizer": ("adamw", {}), **parts})


def teacher(task: Task, *, seed: int = 1) -> NetworkTeacher:
    """A frozen network with features and an embedding, the same at every call."""
    image = len(task.input_shape) == 3
    component = make("students", "cnn", {"layers": 2, "width": 8}) if image else make("students", "mlp", {"width": 16})
    with seeded(seed):
        return NetworkTeacher([build_student(component, task)], task, origin="test")


def context(data: Dataset, teach: Teacher | None = None, bank: TeacherBank | None = None) -> TrainContext:
    return TrainContext(data=data, teacher=teach, device=CPU, bank=bank or TeacherBank())


def trained(
    where: TrainContext,
    spec: PipelineSpec,
    *,
    epochs: int = 2,
    until: int | None = None,
    start: Checkpoint | None = None,
    branch: float = 0.0,
    seed: int = 3,
    view_seed: int = 7,
) -> tuple[RungResult, Checkpoint]:
    """Train for `epochs` epochs, or until the end of epoch `until` of them."""
    size = len(where.data.train)
    rung = Rung(
        seed=seed,
        view_seed=view_seed,
        horizon=epochs * size,
        until=(epochs if until is None else until) * size,
        branch=branch,
    )
    list(prepare_artefacts(where, spec))
    return train_rung(where, spec, rung, start=start)


def through_a_file(checkpoint: Checkpoint) -> Checkpoint:
    """What is left of a checkpoint that was saved and read without executing code from the file."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    buffer.seek(0)
    loaded: Checkpoint = torch.load(buffer, weights_only=True)
    return loaded


def assert_same(one: Any, other: Any, where: str = "checkpoint") -> None:
    """Compare nested data bit for bit."""
    assert type(one) is type(other), where
    if isinstance(one, Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    else:
        assert one == other, where


def losses_of(result: RungResult) -> list[tuple[int, float, dict[str, float]]]:
    """An epoch's figures that do not depend on where rungs end."""
    return [(line["epoch"], line["loss"], dict(line["terms"])) for line in result.curve]


@dataclass(frozen=True, kw_only=True)
class NotingLoss:
    """Cross-entropy that notes every step it sees.

    Args:
      teacher, reads, scale: what it declares.
    """

    teacher: Literal["none", "stored", "live"] = "none"
    reads: frozenset[Part] = frozenset()
    weight: float = 1.0
    scale: float = 1.0
    steps: list[Step] = field(default_factory=list, compare=False)

    @property
    def declares(self) -> Loss:
        return Loss(teacher=self.teacher, reads=self.reads, scale=Scale(self.scale, "made up"))

    def build(self, context: BuildContext) -> Term:
        def term(step: Step) -> Tensor:
            self.steps.append(dataclasses.replace(step, student=_detached(step.student)))
            return -(step.targets * step.student.logits.log_softmax(-1)).sum(-1)

        return term


@dataclass(frozen=True, kw_only=True)
class FittingLoss:
    """Cross-entropy on a device that holds `most` samples."""

    declares = Loss(teacher="none", scale=Scale(1.0, "that of cross-entropy"))

    most: int
    weight: float = 1.0

    def build(self, context: BuildContext) -> Term:
        def term(step: Step) -> Tensor:
            if len(step.targets) > self.most:
                raise torch.OutOfMemoryError(f"tried to hold {len(step.targets)} samples")
            return -(step.targets * step.student.logits.log_softmax(-1)).sum(-1)

        return term


@dataclass(frozen=True, kw_only=True)
class IdleLoss:
    """A loss that applies to no sample."""

    declares = Loss(teacher="none", scale=Scale(1.0, "made up"))

    weight: float = 1.0

    def build(self, context: BuildContext) -> Term:
        return lambda step: torch.zeros_like(step.weight)


@dataclass(frozen=True, kw_only=True)
class NotingStudent:
    """The pipeline's usual small network; notes the inputs it is trained on."""

    declares = Student(modalities=IMAGE)

    inputs: list[Tensor] = field(default_factory=list, compare=False)

    def build(self, context: BuildContext) -> nn.Module:
        return _Noting(make("students", "cnn", {"layers": 2, "width": 4}).build(context), self.inputs)


class _Noting(nn.Module):
    def __init__(self, inner: nn.Module, seen: list[Tensor]) -> None:
        super().__init__()
        self.inner = inner
        self.seen = seen

    def forward(self, x: Tensor) -> Output:
        if self.training and x.device.type != "meta":
            self.seen.append(x.clone())
        output: Output = self.inner(x)
        return output


@dataclass
class NotingTeacher:
    """A teacher that notes what it is asked."""

    inner: NetworkTeacher
    inputs: list[Tensor] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    @property
    def offers(self) -> Shapes:
        return self.inner.offers

    @property
    def head(self) -> TeacherHead | None:
        return self.inner.head

    @property
    def origin(self) -> str:
        return self.inner.origin

    @property
    def params(self) -> int:
        return self.inner.params

    def predict(self, inputs: Inputs) -> Output:
        self.inputs.append(single(inputs).clone())
        return self.inner.predict(inputs)

    def to(self, device: torch.device) -> NotingTeacher:
        return self


@dataclass(frozen=True, kw_only=True)
class Shift:
    """An augmentation that adds a constant: it draws nothing, so all its tables are equal."""

    declares = AugmentDeclaration(modalities=IMAGE)

    by: float

    def build(self, context: BuildContext) -> Augment:
        return Augment(
            lambda generator, n, u: {},
            lambda view, rows, partner, partner_rows: view._replace(inputs=single(view.inputs) + self.by),
        )


@dataclass(frozen=True, kw_only=True)
class NotingSchedule:
    """A schedule of one's own that notes when it is asked."""

    declares = Schedule()

    factor: Callable[[float], float]
    asked: list[float] = field(default_factory=list, compare=False)

    def build(self, context: BuildContext) -> Callable[[float], float]:
        def schedule(u: float) -> float:
            self.asked.append(u)
            return self.factor(u)

        return schedule


def _detached(output: Output) -> Output:
    return Output(output.logits.detach().clone(), tuple(feature.detach().clone() for feature in output.features))
