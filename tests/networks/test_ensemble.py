"""Several teachers as one: what it says, in which order, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd.errors import ComponentError, TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.ensemble import EnsembleTeacher, describe_together
from autokd.networks.models import NetworkTeacher, seeded
from autokd.networks.reference import describe, load_teacher
from autokd.types import Task

TASK = Task(dataset="rows", modality="table", input_shape=(2,), classes=("a", "b"), train_size=9)


def network(weight: list[list[float]]) -> NetworkTeacher:
    layer = nn.Linear(2, 2, bias=False)
    layer.weight.data = torch.tensor(weight)
    return NetworkTeacher([layer], TASK, origin=f"weights {weight[0][0]}")


def test_logits_are_the_logarithm_of_the_mean_probability() -> None:
    ln3, ln9 = 1.0986123, 2.1972246
    one, other = network([[ln3, 0.0], [0.0, 0.0]]), network([[0.0, 0.0], [ln9, 0.0]])
    both = EnsembleTeacher([one, other])
    said = both.predict(torch.tensor([[1.0, 0.0], [0.0, 5.0]]))
    # 3/4 and 1/4 by one, 1/10 and 9/10 by the other: (0.75 + 0.1) / 2 = 0.425; both say 1/2 of the second sample
    assert torch.allclose(said.logits.exp(), torch.tensor([[0.425, 0.575], [0.5, 0.5]]), atol=1e-6)
    assert said.features == () and both.head is None and both.params == 8
    assert both.offers.views and not both.offers.features and both.offers.pooled is None
    turned = EnsembleTeacher([other, one])
    inputs = torch.randn(50, 2)
    assert turned.fingerprint == both.fingerprint != one.fingerprint
    assert torch.equal(turned.predict(inputs).logits, both.predict(inputs).logits)


def test_with_stored_answers_it_answers_about_samples_alone() -> None:
    stored = AnsweredTeacher(torch.tensor([[0.8, 0.2], [0.4, 0.6]]).log(), origin="a file", fingerprint="f" * 16)
    both = EnsembleTeacher([stored, network([[0.0, 0.0], [0.0, 0.0]])])
    assert not both.offers.views and both.params == 0
    said = both.answer(torch.tensor([1, 0]), torch.ones(2, 2))
    assert torch.allclose(said.logits.exp(), torch.tensor([[0.45, 0.55], [0.65, 0.35]]), atol=1e-6)
    with pytest.raises(ComponentError, match="answers about the samples of its dataset"):
        both.predict(torch.ones(2, 2))


def test_a_plain_reference_loads_the_same_members_each_fed_in_its_own_way(
    student: Callable[..., nn.Module], saved: Callable[..., str], task: Task, inputs: Tensor
) -> None:
    files = []
    for seed in (1, 2):
        with seeded(seed):
            net = student("cnn")
            for parameter in net.parameters():
                parameter.data += 0.05 * torch.randn(parameter.shape)
        files.append(saved(net.state_dict(), f"{seed}.pt"))
    texts = [f"cnn@{files[0]}", f"cnn:mean=0.2,0.3,0.4,std=0.1,0.2,0.3,classes=star,disc,ring@{files[1]}"]
    members = [load_teacher(text, task) for text in texts]
    plain: dict[str, Any] = json.loads(json.dumps(describe_together([describe(text) for text in texts])))
    assert plain == describe_together([describe(text) for text in texts[::-1]]) and set(plain) == {"use", "members"}
    loaded = load_teacher(plain, task)
    assert loaded.fingerprint == EnsembleTeacher(members).fingerprint
    one, other = (member.predict(inputs).logits.softmax(-1) for member in members)
    mean = (one + other) / 2
    assert not torch.allclose(one, other, atol=1e-3)
    assert torch.allclose(loaded.predict(inputs).logits.softmax(-1), mean, atol=1e-6)
    assert loaded.predict(inputs).features == ()


@pytest.mark.parametrize("members", [None, [], "resnet20@a.pt", ["resnet20@a.pt"]])
def test_a_reference_without_members_is_refused(members: Any) -> None:
    with pytest.raises(TeacherError, match="an ensemble of teachers needs `members`"):
        load_teacher({"use": "ensemble", "members": members}, TASK)


def test_a_member_of_other_classes_and_the_same_twice(
    student: Callable[..., nn.Module], saved: Callable[..., str], task: Task
) -> None:
    text = f"cnn@{saved(student('cnn').state_dict())}"
    other = f"cnn:classes=disc,ring,moon@{text.partition('@')[2]}"
    with pytest.raises(TeacherError, match="star"):
        load_teacher(describe_together([describe(text), describe(other)]), task)
    with pytest.raises(TeacherError, match=r"the same \(.*; .*\); give each of them once"):
        load_teacher(describe_together([describe(text), describe(text)]), task)
