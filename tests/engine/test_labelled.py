"""Samples without a label: losses on labels pass over them, losses on the teacher's answers do not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import catalog
from autokd.batching import take_split
from autokd.data import Dataset
from autokd.engine.epoch import Passes
from autokd.engine.profile import OFF
from autokd.engine.step import LiveRun, train_step
from autokd.engine.trained import STUDENT, TrainedNetwork, WeightedTerm
from autokd.spec import TEACHER, make
from autokd.testing.losses import build
from autokd.testing.made_up import CLASSES, MAPS, WIDER_MAPS, context_of, output_of
from autokd.testing.suite import task_of
from autokd.types import Augment, Batch, Output, Selection
from tests.engine.helpers import NotingLoss, assert_same, context, pipeline, teacher, trained

N = 12
KNOWN = torch.tensor([1, 0, 1, 1, 0, 0, 1, 1, 0, 1, 0, 1], dtype=torch.bool)
CONTEXT = context_of(task_of((3, 8, 8), train_size=N), MAPS, WIDER_MAPS)
ON_LABELS = [name for name in catalog.names("losses") if catalog.load("losses", name).declares.reads_labels]
ON_LOGITS = ["kd", "ttm", "wttm", "dist", "ctkd", "mlkd", "sinkhorn"]


class Looked(nn.Module):
    """A network whose outputs are parameters, looked up by number, in float64."""

    def __init__(self) -> None:
        super().__init__()
        output = output_of(MAPS, torch.Generator().manual_seed(1), N)
        self.parts = nn.ParameterList([output.logits.double(), *(f.double() for f in output.features)])
        assert output.pooled is not None
        self.pooled = nn.Parameter(output.pooled.double())

    def forward(self, index: Tensor) -> Output:
        logits, *features = (part[index] for part in self.parts)
        return Output(logits, tuple(features), self.pooled[index])


def step(name: str, rows: Tensor, known: Tensor | None, targets: Tensor, *, parts: int = 1) -> tuple[Tensor, Looked]:
    """One step on some samples: the raw loss, and the network with its gradient."""
    network, loss = Looked(), catalog.load("losses", name)
    term = build(loss, CONTEXT)
    term = term.double() if isinstance(term, nn.Module) else term
    weighted = WeightedTerm(term, 1.0, TEACHER if loss.declares.teacher != "none" else "", loss.declares.reads_labels)
    trained_network = TrainedNetwork(
        network=network,
        terms={name: weighted},
        term_modules=nn.ModuleDict({name: term} if isinstance(term, nn.Module) else {}),
        optimizer=torch.optim.SGD(network.parameters(), lr=0.0),
        peak_rates=(0.0,),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        dtype=torch.float32,
    )
    augment = Augment(lambda generator, n, u: {}, lambda view, rows, partner, partner_rows: view)
    run = LiveRun(
        {STUDENT: trained_network}, lambda u: 1.0, augment, Selection(N), Passes(N, N, N), micro_batches=parts
    )
    answer = output_of(WIDER_MAPS, torch.Generator().manual_seed(2), N).map(lambda x: x.double()[rows])
    weight = torch.rand(N, generator=torch.Generator().manual_seed(3), dtype=torch.float64)[rows] + 0.1
    batch = Batch(rows, targets[rows], weight, rows, None if known is None else known[rows])
    return train_step(run, batch, {TEACHER: answer}, 0.5, OFF)[0], network


def soft_targets(seed: int) -> Tensor:
    return torch.randn(N, CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).softmax(-1)


EVERY = torch.arange(N)
SOME = KNOWN.nonzero().squeeze(1)
JUNK = torch.where(KNOWN[:, None], soft_targets(5), soft_targets(6))


def test_the_losses_on_labels() -> None:
    imbalanced = ["focal", "logit_adjusted", "weighted_ce"]
    assert sorted([*imbalanced, "camkd", "ce", "crd", "dkd", "nkd", "ofa", "tfkd", "uskd"]) == ON_LABELS


@pytest.mark.parametrize("name", ON_LABELS)
def test_unlabelled_samples_change_no_loss_on_labels(name: str) -> None:
    without, alone = step(name, SOME, None, soft_targets(5))
    for targets in (soft_targets(5), JUNK):
        beside, network = step(name, EVERY, KNOWN, targets)
        torch.testing.assert_close(beside, without, rtol=0, atol=1e-12)
        for own, other in zip(network.parameters(), alone.parameters(), strict=True):
            if own.grad is not None or other.grad is not None:
                assert own.grad is not None and other.grad is not None
                torch.testing.assert_close(own.grad, other.grad, rtol=0, atol=1e-12)
                assert own.grad[~KNOWN].abs().max() == 0


@pytest.mark.parametrize("name", ON_LOGITS)
def test_unlabelled_samples_count_in_losses_on_the_teachers_answers(name: str) -> None:
    everything, network = step(name, EVERY, KNOWN, JUNK)
    assert torch.equal(everything, step(name, EVERY, None, soft_targets(5))[0])
    assert (everything - step(name, SOME, None, soft_targets(5))[0]).abs() > 1e-3
    assert network.parts[0].grad[~KNOWN].abs().amax(1).min() > 0


@pytest.mark.parametrize("name", ["ce", "dkd", "nkd", "kd"])
@pytest.mark.parametrize("known", [KNOWN, torch.arange(N) < 3, None], ids=["some", "the first", "all"])
def test_a_batch_cut_into_parts_has_the_loss_of_the_whole(name: str, known: Tensor | None) -> None:
    whole, network = step(name, EVERY, known, JUNK)
    cut, other = step(name, EVERY, known, JUNK, parts=4)
    torch.testing.assert_close(cut, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(other.parts[0].grad, network.parts[0].grad, rtol=0, atol=1e-12)


def test_a_batch_without_a_label_has_no_loss_on_labels() -> None:
    found, network = step("ce", EVERY, torch.zeros(N, dtype=torch.bool), JUNK)
    assert found == 0 and network.parts[0].grad.abs().max() == 0


def half_labelled(data: Dataset, *, junk: int) -> Dataset:
    known = torch.arange(len(data.train)) % 2 == 0
    labels = torch.where(known, data.train.labels, junk)
    return dataclasses.replace(data, train=dataclasses.replace(data.train, labels=labels, labelled=known))


@pytest.mark.parametrize("augment", [("none", {}), ("mixup", {"alpha": 0.4})], ids=["as they are", "mixed"])
def test_a_run_does_not_see_the_labels_that_are_not_known(augment: Any, digits: Dataset) -> None:
    spec = pipeline(losses={"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}, augment=augment)
    network = teacher(digits.task)
    (_, one), (_, other) = (trained(context(half_labelled(digits, junk=junk), network), spec) for junk in (0, 7))
    assert_same(one, other)
    assert not torch.equal(
        one["student"]["fc.weight"], trained(context(digits, network), spec)[1]["student"]["fc.weight"]
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_nor_does_a_run_on_a_gpu(digits: Dataset) -> None:
    """`ce` reads the labelled rows of a batch on the GPU, `kd` all of them; sums there are not the same to the bit."""
    cuda = torch.device("cuda")
    spec = pipeline(losses={"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})})
    network = teacher(digits.task).to(cuda)

    def weights(data: Dataset) -> Tensor:
        state = trained(dataclasses.replace(context(data, network), device=cuda), spec)[1]["student"]
        return torch.cat([value.double().flatten().cpu() for value in state.values()])

    one, other = (weights(half_labelled(digits, junk=junk)) for junk in (0, 7))
    every = weights(digits)
    assert (one - other).norm() < 0.01 * (one - every).norm()


def test_a_mixed_sample_is_labelled_where_both_are(digits: Dataset) -> None:
    loss = NotingLoss(teacher="stored")
    data = half_labelled(digits, junk=0)
    trained(context(data, teacher(data.task)), pipeline(losses={"kd": loss}, augment=("mixup", {"alpha": 0.4})))
    labelled = torch.cat([step.labelled for step in loss.steps if step.labelled is not None])
    assert 0 < labelled.float().mean() < 0.4  # a quarter is expected; not the half that has a label


def test_where_all_labels_are_known_a_step_says_nothing(digits: Dataset) -> None:
    loss = NotingLoss()
    trained(context(digits), pipeline(losses={"ce": loss}), epochs=1)
    assert all(step.labelled is None for step in loss.steps)


def test_a_part_of_a_split_knows_which_of_its_samples_are_labelled(digits: Dataset) -> None:
    part = take_split(half_labelled(digits, junk=0).train, slice(3, 8))
    assert part.labelled is not None and part.labelled.tolist() == [False, True, False, True, False]
    assert take_split(digits.train, slice(3)).labelled is None
