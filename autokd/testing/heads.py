"""What every head must do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from autokd.engine.build import build_student
from autokd.networks.models import NetworkTeacher, as_output, seeded, shapes_of
from autokd.spec import make
from autokd.testing.suite import Suite, task_of
from autokd.types import Task


class HeadSuite(Suite):
    """What every head must do, on a small student and a wider teacher of autokd's own."""

    kind = "heads"
    tasks = (task_of((3, 16, 16)), task_of((6,), classes=3))

    def test_declares_what_can_be(self, component: Any) -> None:
        declares = component.declares
        assert not declares.reads or declares.teacher != "none"

    def test_a_student_answers_through_it(self, component: Any, task: Task) -> None:
        student = headed(component, task, teacher_on(task))
        output = as_output(student(inputs_of(task, 5)))
        assert output.logits.shape == (5, task.num_classes)
        assert output.logits.isfinite().all()

    def test_keeps_what_the_student_offers(self, component: Any, task: Task) -> None:
        bare, offers = shapes_of(bare_student(task), task), shapes_of(headed(component, task, teacher_on(task)), task)
        assert offers.features[: len(bare.features)] == bare.features

    def test_eval_mode_repeats_itself_and_keeps_samples_apart(self, component: Any, task: Task) -> None:
        student, inputs = headed(component, task, teacher_on(task)).eval(), inputs_of(task, 5)
        whole = as_output(student(inputs)).logits
        assert torch.equal(whole, as_output(student(inputs)).logits)
        torch.testing.assert_close(as_output(student(inputs[2:3])).logits, whole[2:3], rtol=1e-4, atol=1e-5)

    def test_gradient_reaches_every_parameter_that_trains(self, component: Any, task: Task) -> None:
        student = headed(component, task, teacher_on(task)).train()
        output = as_output(student(inputs_of(task, 8)))
        taught = 0.0 if output.taught is None else output.taught.logsumexp(1).sum()
        features = sum(feature.square().sum() for feature in output.features)
        torch.autograd.backward(output.logits.logsumexp(1).sum() + taught + features)
        assert [key for key, p in student.named_parameters() if p.requires_grad and p.grad is None] == []

    def test_its_form_needs_no_weights_of_the_teacher(self, component: Any, task: Task) -> None:
        """A bundle is loaded that way: built on what the teacher offered, its weights come from the file."""
        teacher = teacher_on(task)
        student = headed(component, task, teacher)
        with seeded(5):
            teaches = component.declares.teacher != "none"
            form = build_student(_student(task), task, head=component(), teacher=teacher.offers if teaches else None)
        form.load_state_dict(student.state_dict())
        inputs = inputs_of(task, 5)
        assert torch.equal(as_output(form.eval()(inputs)).logits, as_output(student.eval()(inputs)).logits)


def teacher_on(task: Task) -> NetworkTeacher:
    """Return a teacher that lends its head, with batch statistics of its own."""
    name, fields = ("resnet", {"depth": 8, "width": 8}) if task.modality == "image" else ("mlp", {"width": 24})
    with seeded(1):
        network = build_student(make("students", name, fields), task)
        for _ in range(3):
            network(torch.randn(16, *task.input_shape))
    return NetworkTeacher([network.eval()], task, origin="made up")


def bare_student(task: Task) -> nn.Module:
    """Return the student without the head."""
    with seeded(2):
        return build_student(_student(task), task)


def headed(component: type[Any], task: Task, teacher: NetworkTeacher) -> nn.Module:
    """Return the student with the head."""
    with seeded(2):
        return build_student(_student(task), task, head=component(), teacher=teacher.offers, teacher_head=teacher.head)


def inputs_of(task: Task, batch: int) -> Tensor:
    """Return random inputs, the same every time."""
    return torch.randn(batch, *task.input_shape, generator=torch.Generator().manual_seed(3))


def _student(task: Task) -> Any:
    return make("students", "cnn" if task.modality == "image" else "mlp", {"width": 8})
