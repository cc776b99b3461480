"""The dual head: what each classifier learns from, and what the student answers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from autokd import spec
from autokd.batching import single
from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.errors import ComponentError
from autokd.heads._dho import ALPHAS, BETAS, DualHeadStudent, dual_head
from autokd.networks.models import as_output, seeded
from autokd.space import parse
from autokd.spec import make
from autokd.types import Shapes, Task
from tests.engine.helpers import context, pipeline, teacher, trained
from tests.search.spaces import SPACE

TASK = Task(dataset="rows", modality="table", input_shape=(6,), classes=tuple("abc"), train_size=100)
OURS, THEIRS = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 3.0]])


def student(**fields: Any) -> Any:
    with seeded(2):
        return build_student(make("students", "mlp", {"width": 8}), TASK, head=make("heads", "dho", fields))


def test_the_mixture_by_hand() -> None:
    p, q = np.exp([2.0, 1.0, 0.0]), np.exp([0.0, 0.5, 1.5])
    expected = 0.25 * p / p.sum() + 0.75 * q / q.sum()
    found = dual_head(OURS, THEIRS, alpha=0.25, beta=2.0)
    torch.testing.assert_close(found.exp(), torch.tensor(expected[None]).float())
    assert torch.equal(dual_head(OURS, THEIRS, alpha=1.0), OURS.log_softmax(-1))
    for beta in (0.5, 1.0, 4.0):  # only how sure it is
        assert dual_head(OURS, THEIRS, alpha=0.0, beta=beta).argmax() == THEIRS.argmax()
    same = [dual_head(OURS, OURS, alpha=alpha, beta=1.0) for alpha in (0.0, 0.3, 1.0)]
    torch.testing.assert_close(torch.cat(same), OURS.log_softmax(-1).expand(3, 3))
    extreme = dual_head(1000 * OURS, -1000 * THEIRS)
    assert extreme.isfinite().all() and extreme.exp().sum().item() == pytest.approx(1)


def test_a_student_answers_with_both_in_training_and_with_the_mixture_after_it() -> None:
    network, inputs = student(alpha=0.25, beta=2.0), torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    both, after = as_output(network.train()(inputs)), as_output(network.eval()(inputs))
    assert both.taught is not None and after.taught is None
    torch.testing.assert_close(after.logits, dual_head(both.logits, both.taught, alpha=0.25, beta=2.0))
    assert math.isclose(after.logits.exp().sum().item(), 5, rel_tol=1e-5)


def test_labels_do_not_reach_the_teachers_classifier_nor_the_teacher_that_of_the_labels(digits: Dataset) -> None:
    """Exactly: with the weight of one loss, the other's classifier is what it was."""
    start = trained_with(digits, ce=1.0, kd=1.0, rate=1e-30)
    labels, both = trained_with(digits, ce=1.0, kd=0.0), trained_with(digits, ce=1.0, kd=1.0)
    assert torch.equal(labels["taught.weight"], start["taught.weight"])
    assert not torch.equal(labels["student.fc.weight"], start["student.fc.weight"])
    taught = trained_with(digits, ce=0.0, kd=1.0)
    assert torch.equal(taught["student.fc.weight"], start["student.fc.weight"])
    assert not torch.equal(taught["taught.weight"], start["taught.weight"])
    assert not torch.equal(both["taught.weight"], taught["taught.weight"])  # through the embedding that they share


def trained_with(digits: Dataset, *, ce: float, kd: float, rate: float = 0.1) -> Any:
    losses = {"ce": make("losses", "ce", {"weight": ce}), "kd": make("losses", "kd", {"weight": kd})}
    optimizer = ("sgd", {"learning_rate": rate, "weight_decay": 0.0})
    dual = pipeline(losses=losses, head=make("heads", "dho", {}), optimizer=optimizer)
    return trained(context(digits, teacher(digits.task)), dual, epochs=1)[1]["student"]


def test_both_classifiers_learn_and_their_mixture_is_scored(digits: Dataset) -> None:
    losses = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {"temperature": 2.0})}
    dual = pipeline(losses=losses, head=make("heads", "dho", {}))
    result, state = trained(context(digits, teacher(digits.task)), dual, epochs=8)
    network = build_student(dual.student, digits.task, head=dual.head)
    network.load_state_dict(state["student"])
    assert isinstance(network, DualHeadStudent)
    inputs = digits.validation.inputs
    assert isinstance(inputs, torch.Tensor)
    with torch.no_grad():
        logits = as_output(network.eval()(_normalised(inputs, digits.task))).logits
    assert result.loss == pytest.approx(F.cross_entropy(logits, digits.validation.labels).item(), rel=1e-4)


@pytest.mark.parametrize("settles", [True, False])
def test_alpha_and_beta_are_chosen_on_validation_where_that_is_held_out(digits: Dataset, settles: bool) -> None:
    losses = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {"temperature": 2.0})}
    dual = pipeline(losses=losses, head=make("heads", "dho", {"alpha": None, "beta": None}))
    held = dataclasses.replace(context(digits, teacher(digits.task)), settles=settles)
    result, state = trained(held, dual, epochs=4)
    network = build_student(dual.student, digits.task, head=dual.head)
    network.load_state_dict(state["student"])
    assert isinstance(network, DualHeadStudent)
    with torch.no_grad():
        output, taught = network.eval().both(_normalised(single(digits.validation.inputs), digits.task))
        logits, labels = (
            as_output(network(_normalised(single(digits.validation.inputs), digits.task))).logits,
            digits.validation.labels,
        )
    losses_by = {
        (a, b): F.cross_entropy(dual_head(output.logits, taught, alpha=a, beta=b), labels).item()
        for a in ALPHAS
        for b in BETAS
    }
    alpha, beta = state["student"]["mixture"].tolist()
    expected = min(losses_by, key=lambda choice: losses_by[choice]) if settles else (0.5, 0.5)
    assert (alpha, beta) == pytest.approx(expected)
    torch.testing.assert_close(logits, dual_head(output.logits, taught, alpha=alpha, beta=beta), atol=1e-4, rtol=0)
    assert result.loss == pytest.approx(losses_by[expected], rel=1e-3)


def test_only_what_is_none_is_chosen() -> None:
    network = student(alpha=None, beta=2.0)
    rows = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    output, _ = network.eval().both(rows)
    network.settle([rows[:30], rows[30:]], output.logits.argmax(1))  # the labels' classifier is always right
    assert network.mixture.tolist() == [1.0, 2.0]
    with pytest.raises(ComponentError, match="alpha from 0 to 1"):
        make("heads", "dho", {"alpha": 1.5, "beta": None})


def _normalised(pixels: torch.Tensor, task: Task) -> torch.Tensor:
    mean, std = (torch.tensor(each).reshape(1, -1, 1, 1) for each in (task.mean, task.std))
    return (pixels.float() / 255 - mean) / std


def test_a_space_brings_kd_with_it(digits: Dataset) -> None:
    text = "head: {one_of: {plain: {}, dho: {alpha: null, beta: {choice: [0.5, 1.0]}}}}" + SPACE
    space = parse(text).resolve(digits.task, Shapes())
    draws = [space.sample(np.random.default_rng(seed), seed).plain for seed in range(30)]
    dual = [plain for plain in draws if plain["head"]["use"] == "dho"]
    assert dual and all("kd" in plain["losses"] and plain["head"]["alpha"] is None for plain in dual)
    assert all(spec.to_plain(spec.from_plain(plain)) == plain for plain in draws)
