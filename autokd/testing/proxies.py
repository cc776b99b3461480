"""What every training-free proxy must do."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from autokd import catalog
from autokd.batching import single
from autokd.components import StudentComponent
from autokd.networks.models import NetworkTeacher, seeded
from autokd.spec import make
from autokd.testing.suite import Suite, task_of, values_of
from autokd.types import BuildContext, Proxy, ScreenInput, Task

BATCH = 16
STUDENTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "image": [("cnn", {"width": 4}), ("mobilenet", {"width": 4}), ("resnet", {"depth": 8, "width": 8})],
    "table": [("mlp", {"width": 16, "dropout": 0.5})],
}
"""Students that are scored, by kind of input."""


class ProxySuite(Suite):
    """What every training-free proxy must do.

    Args:
      measures: names of those that measure, and so differ from run to run.
    """

    kind = "proxies"
    tasks = (task_of((1, 8, 8)), task_of((6,), classes=2))

    measures: ClassVar[AbstractSet[str]] = frozenset()

    def test_scores_are_finite(self, component: Any, task: Task) -> None:
        score = build(component, task)
        for name, fields in STUDENTS[task.modality]:
            value = score(screened(task, student(task, name, **fields)))
            assert isinstance(value, float)
            assert math.isfinite(value)

    def test_same_seed_same_score_and_the_order_of_students_does_not_matter(self, component: Any, task: Task) -> None:
        if catalog.name_of(component) in self.measures:
            pytest.skip("it measures, and so differs from run to run")
        score, name = build(component, task), STUDENTS[task.modality][0][0]
        population = [screened(task, student(task, name, width=width)) for width in (8, 12, 16)]
        forward = [score(each) for each in population]
        assert [score(each) for each in reversed(population)] == forward[::-1]

    def test_leaves_random_state_teacher_and_batch_alone(self, component: Any, task: Task) -> None:
        name, fields = STUDENTS[task.modality][-1]
        seen = screened(task, student(task, name, **fields))
        assert isinstance(seen.teacher, NetworkTeacher)
        teacher = seen.teacher.modules
        before = {key: value.clone() for key, value in teacher.state_dict().items()}
        inputs, labels, state = single(seen.inputs).clone(), seen.labels.clone(), torch.get_rng_state()
        build(component, task)(seen)
        assert torch.equal(state, torch.get_rng_state())
        assert torch.equal(inputs, single(seen.inputs)) and torch.equal(labels, seen.labels)
        after = teacher.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert all(parameter.grad is None for parameter in teacher.parameters())
        assert not any(module.training for module in teacher.modules())


def build(component: type[Any], task: Task, **fields: Any) -> Proxy:
    """Return a score; one that trains does so for ten steps."""
    score: Proxy = values_of(component, **{"steps": 10, **fields}).build(
        BuildContext(task=task, teacher=teacher_of(task).offers)
    )
    return score


def student(task: Task, name: str, **fields: Any) -> Callable[[int], nn.Module]:
    """Return what makes one of autokd's students from a seed."""
    component: StudentComponent = make("students", name, fields)

    def build_with(seed: int) -> nn.Module:
        with seeded(seed):
            return component.build(BuildContext(task=task))

    return build_with


def screened(task: Task, builder: Callable[[int], nn.Module], teacher: NetworkTeacher | None = None) -> ScreenInput:
    """Return what a proxy sees of a student: a random batch, and a teacher."""
    generator = torch.Generator().manual_seed(0)
    return ScreenInput(
        build=builder,
        task=task,
        inputs=torch.randn(BATCH, *task.input_shape, generator=generator),
        labels=torch.randint(task.num_classes, (BATCH,), generator=generator),
        teacher=teacher or teacher_of(task),
        seed=3,
    )


def teacher_of(task: Task) -> NetworkTeacher:
    """Return a teacher for the task, untrained."""
    network = student(task, "resnet" if task.modality == "image" else "mlp", width=8)(9)
    return NetworkTeacher([network], task, origin="made up")
