"""What a network offers, and the frozen teacher around networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autokd.networks.models import NetworkTeacher, as_output, seeded, shapes_of, state_fingerprint
from autokd.types import Output, Shapes, Task

TASK = Task(
    dataset="d",
    modality="image",
    input_shape=(2, 4, 4),
    classes=("a", "b"),
    train_size=9,
    mean=(1.0, 2.0),
    std=(2.0, 4.0),
)
ROWS = Task(dataset="d", modality="table", input_shape=(3,), classes=("a", "b"), train_size=9)


class Fixed(nn.Module):
    """Answers with the same logits for every sample."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits.expand(len(x), -1)


class Seen(nn.Module):
    """Answers with the mean of each channel; offers a map and an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Output:
        return Output(x.mean((2, 3)), (self.norm(x),), x.flatten(1))


def test_a_bare_tensor_is_logits() -> None:
    logits = torch.ones(2, 3)
    assert as_output(logits) == Output(logits) and as_output(Output(logits)).pooled is None


def test_a_seeded_block_repeats_and_gives_the_random_state_back() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    with seeded(2**63 - 1):
        first = torch.rand(2)
    with pytest.raises(ZeroDivisionError), seeded(2**63 - 1):
        assert torch.equal(torch.rand(2), first)
        raise ZeroDivisionError
    with seeded(5):
        assert not torch.equal(torch.rand(2), first)
    assert torch.equal(torch.get_rng_state(), state)


def test_what_a_network_offers() -> None:
    network = Seen().train()
    before = state_fingerprint(network.state_dict())
    assert shapes_of(network, TASK) == Shapes(((2, 4, 4),), 32)
    assert network.training and state_fingerprint(network.state_dict()) == before
    assert shapes_of(nn.Linear(3, 2).eval(), ROWS) == Shapes()


def test_a_state_is_known_by_names_shapes_types_and_bytes() -> None:
    state = {"a": torch.arange(4.0), "b": torch.tensor(1)}
    prints = [
        state_fingerprint(other)
        for other in (
            state,
            {"a": torch.arange(4.0).reshape(2, 2), "b": state["b"]},
            {"a": torch.arange(4.0).double(), "b": state["b"]},
            {"c": state["a"], "b": state["b"]},
            {"a": state["a"] + 1e-6, "b": state["b"]},
            {"a": state["a"]},
        )
    ]
    assert len(set(prints)) == 6 and all(len(digits) == 16 for digits in prints)
    assert state_fingerprint({"b": state["b"], "a": state["a"].clone()}) == prints[0]
    turned = {"a": torch.arange(6.0).reshape(2, 3).t().contiguous().t(), "b": state["b"]}
    assert state_fingerprint(turned) == state_fingerprint({"a": torch.arange(6.0).reshape(2, 3), "b": state["b"]})


def test_an_ensemble_answers_with_the_log_of_the_mean_probability() -> None:
    """softmax(0, 0) is 0.5, 0.5; softmax(ln 9, 0) is 0.9, 0.1: the mean is 0.7, 0.3."""
    teacher = NetworkTeacher([Fixed(0.0, 0.0), Fixed(2.1972246, 0.0)], ROWS, origin="two")
    output = teacher.predict(torch.zeros(3, 3))
    assert torch.allclose(output.logits, torch.tensor([[0.7, 0.3]]).log().expand(3, -1), atol=1e-6)
    assert output.features == () and teacher.offers == Shapes() and teacher.params == 4
    sure = NetworkTeacher([Fixed(0.0, 200.0), Fixed(0.0, 200.0)], ROWS, origin="two")
    assert bool(torch.isfinite(sure.predict(torch.zeros(1, 3)).logits).all())


def test_inputs_are_normalised_as_the_teacher_learned_them() -> None:
    """A task of mean 1, 2 and deviation 2, 4; the teacher's are 3, 0 and 1, 2. Raw 5 in both channels."""
    teacher = NetworkTeacher([Seen()], TASK, origin="x", mean=(3.0, 0.0), std=(1.0, 2.0))
    raw = torch.full((1, 2, 4, 4), 5.0)
    given = (raw - torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)) / torch.tensor([2.0, 4.0]).view(1, 2, 1, 1)
    assert torch.allclose(teacher.predict(given).logits, torch.tensor([[2.0, 2.5]]))
    same = NetworkTeacher([Seen()], TASK, origin="x", mean=TASK.mean, std=TASK.std)
    assert torch.equal(same.predict(given).logits, given.mean((2, 3)))


def test_teachers_are_told_apart_by_weights_normalisation_and_identity() -> None:
    def fingerprint(value: float = 0.0, **others: object) -> str:
        return NetworkTeacher([Fixed(value, 1.0)], TASK, origin="x", **others).fingerprint  # type: ignore[arg-type]

    found = [
        fingerprint(),
        fingerprint(0.5),
        fingerprint(mean=(0.0, 0.0), std=(1.0, 1.0)),
        fingerprint(mean=(0.5, 0.0), std=(1.0, 1.0)),
        fingerprint(identity="resnet"),
    ]
    assert len(set(found)) == 5 and fingerprint() == found[0]
