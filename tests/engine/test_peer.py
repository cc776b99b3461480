"""A network that trains beside the student: what each learns from, and that it goes wherever a run goes."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd.data import Dataset
from autokd.engine.build import MAX_NORM, build_run, losses_of
from autokd.engine.loop import Stopped, train_rung
from autokd.engine.profile import OFF
from autokd.engine.rung import Rung
from autokd.engine.step import gradient_norms, train_step
from autokd.engine.trained import PEER, STUDENT
from autokd.errors import TrialFailure
from autokd.networks.models import as_output, seeded
from autokd.spec import make
from autokd.types import Batch, Step
from tests.engine.helpers import (
    FittingLoss,
    NotingStudent,
    assert_same,
    context,
    pipeline,
    table_pipeline,
    teacher,
    through_a_file,
    trained,
)
from tests.engine.helpers import (
    losses_of as lines_of,
)

PEERS = make("students", "cnn", {"layers": 2, "width": 8})
CE, DML, KD = (make("losses", name, {}) for name in ("ce", "dml", "kd"))
MUTUAL = {"ce": CE, "dml": DML}


def mutual(**parts: Any) -> Any:
    return pipeline(**{"peer": PEERS, "losses": MUTUAL, **parts})


def images(samples: int = 40) -> Batch:
    generator = torch.Generator().manual_seed(1)
    index, inputs = torch.arange(samples), torch.randn(samples, 1, 8, 8, generator=generator)
    return Batch(inputs, torch.eye(10)[index % 10], torch.ones(samples), index)


def test_a_step_is_that_of_two_networks_each_with_the_other_as_a_constant(digits: Dataset) -> None:
    with seeded(2):
        run = build_run(context(digits), mutual(), 129)
    assert list(run.networks) == [STUDENT, PEER]
    alone = {name: copy.deepcopy(trained.network) for name, trained in run.networks.items()}
    for trained_network in run.networks.values():  # momentum by Nesterov changes the gradients in place
        trained_network.optimizer = torch.optim.SGD(trained_network.network.parameters(), 0.1)
        trained_network.peak_rates = (0.1,)
    batch = images()
    logits = {name: as_output(network(batch.inputs)).logits for name, network in alone.items()}
    expected: dict[str, Tensor] = {}
    for name, other in ((STUDENT, PEER), (PEER, STUDENT)):
        own, theirs = logits[name].log_softmax(-1), logits[other].detach().log_softmax(-1)
        ce = -(batch.targets * own).sum(-1).mean()
        kl = (theirs.exp() * (theirs - own)).sum(-1).mean()
        (ce + kl).backward()
        expected |= {f"{name} ce": ce, f"{name} dml": kl, f"{name} total": ce + kl}
    values = train_step(run, batch, {}, 0.0, OFF)
    torch.testing.assert_close(values, torch.stack(list(expected.values())).detach(), rtol=1e-5, atol=1e-6)
    for name, network in alone.items():
        for mine, theirs in zip(run.networks[name].network.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-6)
            assert not torch.equal(mine, theirs)  # it took its step


def test_equal_networks_learn_nothing_from_each_other(digits: Dataset) -> None:
    with seeded(2):
        run = build_run(context(digits), mutual(peer=make("students", "cnn", {"layers": 2, "width": 4})), 129)
    run.networks[PEER].network.load_state_dict(run.student.network.state_dict())
    values = train_step(run, images(), {}, 0.0, OFF)
    assert values[1].abs() < 1e-6 and torch.equal(values[:3], values[3:])


def test_what_each_network_learns_from() -> None:
    spec = mutual(losses={**MUTUAL, "kd": KD, "uskd": make("losses", "uskd", {})})
    reads = {name: {key: read for key, (_, read) in losses_of(spec, name).items()} for name in (STUDENT, PEER)}
    assert reads[STUDENT] == {"ce": "", "dml": "peer", "kd": "teacher", "uskd": ""}
    assert reads[PEER] == {"ce": "", "dml": "student", "uskd": ""}


def test_the_student_begins_with_the_weights_that_it_has_alone(digits: Dataset) -> None:
    starts = []
    for spec in (pipeline(), mutual()):
        with seeded(4):
            starts.append(build_run(context(digits), spec, 129).student.network.state_dict())
    assert_same(starts[0], starts[1])


def test_no_teacher_is_needed_and_both_learn(digits: Dataset) -> None:
    result, checkpoint = trained(context(digits), mutual(), epochs=6)
    first, last = result.curve[0], result.curve[-1]
    assert set(first["terms"]) == set(first["peer"]["terms"]) == {"ce", "dml"}
    assert last["terms"]["ce"] < first["terms"]["ce"] and last["peer"]["terms"]["ce"] < first["peer"]["terms"]["ce"]
    assert last["peer"]["loss"] == pytest.approx(sum(last["peer"]["terms"].values()), rel=1e-5)
    assert set(last["gradient_norms"]) == {"ce", "dml"}
    assert set(checkpoint) == {"format", "seen", "student", "losses", "optimizer", "scaler", "peer"}


def test_a_peer_beside_a_teacher(digits: Dataset) -> None:
    where = context(digits, teacher(digits.task))
    result, _ = trained(where, mutual(losses={**MUTUAL, "kd": KD}))
    assert list(result.curve[-1]["terms"]) == ["ce", "dml", "kd"]
    assert list(result.curve[-1]["peer"]["terms"]) == ["ce", "dml"]
    assert where.bank.counts.computed


def test_any_loss_reads_the_peer_where_the_pipeline_says_so(digits: Dataset) -> None:
    names = {"dml": ("dml", {}), "kd": ("kd", {"temperature": 1.0, "teacher": "peer"})}
    runs = []
    for key, (use, values) in names.items():
        spec = mutual(losses={"ce": CE, key: make("losses", use, values)})
        assert not spec.needs_teacher and losses_of(spec, PEER)[key][1] == "student"
        runs.append(trained(context(digits), spec)[1])
    assert_same(runs[0], runs[1])


def test_a_loss_on_features_with_parameters_is_built_for_each_network(digits: Dataset) -> None:
    hint = make("losses", "hint", {"teacher": "peer"})
    with seeded(2):
        run = build_run(context(digits), mutual(losses={"ce": CE, "hint": hint}), 129)
    widths = [{tuple(p.shape) for p in t.term_modules.parameters() if p.dim() > 1} for t in run.networks.values()]
    assert widths == [{(8, 4, 1, 1)}, {(4, 8, 1, 1)}]
    assert train_step(run, images(), {}, 0.0, OFF).isfinite().all()


def test_a_peer_rests_once_nobody_reads_it_and_trains_before_somebody_does(digits: Dataset) -> None:
    first, last = (make("losses", "dml", keys) for keys in ({"end": 0.5}, {"begin": 0.5}))
    result, _ = trained(context(digits), mutual(losses={"ce": CE, "dml": first}), epochs=4)
    assert [sorted(line["terms"]) for line in result.curve] == [["ce", "dml"]] * 2 + [["ce"]] * 2
    assert [sorted(line["peer"]["terms"]) for line in result.curve] == [["ce", "dml"]] * 2 + [[]] * 2
    _, half_way = trained(context(digits), mutual(losses={"ce": CE, "dml": first}), epochs=4, until=2)
    _, at_end = trained(context(digits), mutual(losses={"ce": CE, "dml": first}), epochs=4, start=half_way)
    assert_same(half_way["peer"]["network"], at_end["peer"]["network"])
    result, _ = trained(context(digits), mutual(losses={"ce": CE, "dml": last}), epochs=4)
    assert [sorted(line["peer"]["terms"]) for line in result.curve] == [["ce"]] * 2 + [["ce", "dml"]] * 2


CASES: dict[str, tuple[dict[str, Any], float]] = {
    "images": ({}, 0.0),
    "a loss with parameters on both": ({"losses": {**MUTUAL, "uskd": make("losses", "uskd", {})}}, 0.0),
    "side branch": ({"augment": ("mixup", {})}, 0.5),
    "adamw": ({"optimizer": ("adamw", {})}, 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_goes_on_is_bit_identical(digits: Dataset, case: str) -> None:
    parts, branch = CASES[case]
    spec = mutual(**parts)
    whole, at_end = trained(context(digits), spec, epochs=4)
    _, half_way = trained(context(digits), spec, epochs=4, until=2, branch=branch)
    rest, at_end_too = trained(context(digits), spec, epochs=4, start=through_a_file(half_way))
    assert_same(at_end, at_end_too)
    assert lines_of(whole)[2:] == lines_of(rest)
    assert [line["peer"] for line in whole.curve[2:]] == [line["peer"] for line in rest.curve]


def test_dropout_in_both_networks_goes_on_as_well(cancer: Dataset) -> None:
    spec = table_pipeline(losses=MUTUAL, peer=make("students", "mlp", {"depth": 1, "width": 8, "dropout": 0.2}))
    _, at_end = trained(context(cancer), spec, epochs=4)
    _, half_way = trained(context(cancer), spec, epochs=4, until=2)
    assert_same(at_end, trained(context(cancer), spec, epochs=4, start=through_a_file(half_way))[1])


def test_a_rung_left_before_its_end_gives_the_same_branch(digits: Dataset) -> None:
    whole, _ = trained(context(digits), mutual(), epochs=6, until=3, branch=0.25)
    rung = Rung(seed=3, view_seed=7, horizon=6 * 129, until=3 * 129, branch=0.25)
    with pytest.raises(Stopped) as left:
        train_rung(context(digits), mutual(), rung, stop=lambda: True)
    rest, _ = trained(context(digits), mutual(), epochs=6, until=3, branch=0.25, start=left.value.checkpoint)
    assert (whole.score, whole.loss) == (rest.score, rest.loss)


def test_a_batch_that_does_not_fit_is_cut_for_both(digits: Dataset) -> None:
    students = NotingStudent(), NotingStudent()
    spec = mutual(student=students[0], peer=students[1], losses={"ce": FittingLoss(most=16), "dml": DML})
    result, _ = trained(context(digits), spec, epochs=1)
    assert result.curve[0]["micro_batches"] == 2
    sizes = [[len(inputs) for inputs in student.inputs] for student in students]
    assert sizes[0] == sizes[1] and sizes[0][:3] == [26, 13, 13]


def test_the_parts_of_a_batch_add_up_for_both(digits: Dataset) -> None:
    gradients = []
    for parts in (1, 4):
        with seeded(2):
            run = build_run(context(digits), mutual(), 129)
        for trained_network in run.networks.values():
            trained_network.network.eval()  # batch normalisation is about the part
        run.micro_batches = parts
        values = train_step(run, images(), {}, 0.0, OFF)
        every = [p.grad for t in run.networks.values() for p in t.network.parameters() if p.grad is not None]
        gradients.append([values, *every])
    for whole, cut in zip(*gradients, strict=True):
        torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-6)


def test_gradient_norms_are_the_students_and_move_neither_network(digits: Dataset) -> None:
    with seeded(2):
        run = build_run(context(digits), mutual(), 129)
    before = copy.deepcopy([trained.network.state_dict() for trained in run.networks.values()])
    norms = gradient_norms(run, images(), {}, 0.0)
    assert list(norms) == ["ce", "dml"] and all(norm > 0 for norm in norms.values())
    assert_same([trained.network.state_dict() for trained in run.networks.values()], before)
    assert all(p.grad is None for trained in run.networks.values() for p in trained.network.parameters())


def test_both_are_clipped_apart_and_half_precision_reaches_both(digits: Dataset) -> None:
    where = dataclasses.replace(context(digits), precision="bfloat16")
    with seeded(2):
        run = build_run(where, mutual(), 129)
    assert [t.max_norm for t in run.networks.values()] == [MAX_NORM, MAX_NORM]
    assert [t.dtype for t in run.networks.values()] == [torch.bfloat16, torch.bfloat16]
    result, _ = trained(where, mutual(), epochs=3)
    assert result.curve[-1]["loss"] < result.curve[0]["loss"]


def test_a_peer_that_diverges_fails_the_rung(digits: Dataset) -> None:
    class Diverging(nn.Module):
        def forward(self, step: Step) -> Tensor:
            wide = step.student.features[0].shape[1] == 8
            return step.student.logits.sum(-1) * (float("inf") if wide else 0.0)

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Loss:
        declares = CE.declares
        weight: float = 1.0

        def build(self, context: Any) -> Any:
            return Diverging()

    with pytest.raises(TrialFailure, match="training loss became"):
        trained(context(digits), mutual(losses={**MUTUAL, "bad": Loss()}), epochs=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_two_networks_train_on_a_gpu(digits: Dataset) -> None:
    where = dataclasses.replace(context(digits), device=torch.device("cuda"))
    result, _ = trained(where, mutual(), epochs=3)
    assert result.curve[-1]["loss"] < result.curve[0]["loss"]
