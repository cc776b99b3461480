"""A teacher is frozen: in eval mode, without gradients, bit-identical after any use; a network given in is copied."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autokd.errors import TeacherError
from autokd.networks.models import NetworkTeacher, state_fingerprint
from autokd.networks.reference import describe, load_teacher
from autokd.types import Output, Shapes, Task


def network() -> nn.Sequential:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(4, 3))


class Holder(nn.Module):
    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.child = child


def test_any_use_leaves_the_teacher_bit_identical(task: Task, inputs: Tensor) -> None:
    teacher = load_teacher(network().train(), task)
    assert isinstance(teacher, NetworkTeacher)
    state = {key: value.clone() for key, value in teacher.modules.state_dict().items()}
    first = teacher.predict(inputs).logits
    parent = Holder(teacher.modules).train()
    for _ in range(3):
        assert torch.equal(teacher.predict(inputs).logits, first)  # dropout would differ
    assert parent.training and not any(module.training for module in teacher.modules.modules())
    assert all(torch.equal(value, teacher.modules.state_dict()[key]) for key, value in state.items())
    assert teacher.fingerprint == load_teacher(teacher.modules.get_submodule("0.network"), task).fingerprint


def test_no_gradient_reaches_the_teacher(task: Task, inputs: Tensor) -> None:
    teacher = load_teacher(network(), task)
    assert isinstance(teacher, NetworkTeacher)
    assert not any(parameter.requires_grad for parameter in teacher.modules.parameters())
    assert not teacher.predict(inputs.requires_grad_()).logits.requires_grad


def test_the_callers_network_stays_the_callers(task: Task, inputs: Tensor) -> None:
    own = network().train()
    before = state_fingerprint(own.state_dict())
    teacher = load_teacher(own, task)
    answer = teacher.predict(inputs).logits
    assert own.training and own[1].training and all(p.requires_grad for p in own.parameters())
    assert state_fingerprint(own.state_dict()) == before
    own(inputs)  # moves its batch statistics
    own.get_parameter("5.bias").data += 1
    assert torch.equal(teacher.predict(inputs).logits, answer)


def test_a_network_that_returns_an_output_or_something_else(task: Task) -> None:
    class Answer(nn.Module):
        def __init__(self, answer: object) -> None:
            super().__init__()
            self.answer = answer

        def forward(self, x: Tensor) -> object:
            return self.answer

    teacher = load_teacher(Answer(Output(torch.ones(2, 3), (torch.ones(2, 4, 5, 5),), torch.ones(2, 7))), task)
    assert teacher.offers == Shapes(((4, 5, 5),), 7)
    with pytest.raises(TeacherError, match=r"logits \[2, 3\] or an Output, got dict"):
        load_teacher(Answer({"logits": torch.ones(2, 3)}), task)
    with pytest.raises(TeacherError, match=r"or an Output, got \[3\]"):
        load_teacher(Answer(torch.ones(3)), task)
    with pytest.raises(TeacherError, match="tells 4 classes apart, but shapes has 3"):
        load_teacher(Answer(torch.ones(2, 4)), task)


def test_a_described_network_must_be_handed_over_again(task: Task) -> None:
    own = network()
    plain = describe(own)
    assert plain["use"] == "module" and plain["fingerprint"] == state_fingerprint(own.state_dict())
    with pytest.raises(TeacherError, match=r"handed over in Python \(torch.nn.modules.container.Sequential\)"):
        load_teacher(plain, task)


def test_normalisation_where_the_task_has_none(inputs: Tensor) -> None:
    task = Task(dataset="raw", modality="image", input_shape=(3, 16, 16), classes=("a", "b", "c"), train_size=9)
    own = network().eval()
    teacher = NetworkTeacher([own], task, origin="test", mean=(0.1, 0.2, 0.3), std=(0.5, 0.5, 0.5))
    expected = own((inputs - torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)) / 0.5)
    torch.testing.assert_close(teacher.predict(inputs).logits, expected)
