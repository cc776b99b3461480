"""The running average of the student's weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from autokd.data import Dataset
from autokd.engine.checkpoint import delivered_state
from autokd.engine.ema import RunningAverage
from autokd.engine.evaluate import predict
from autokd.errors import ComponentError
from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.metrics import accuracy, predictions
from autokd.search.baselines import matched_baseline
from autokd.spec import PipelineSpec, from_plain, problems, to_plain
from autokd.study.arms import ARM_KINDS
from tests.engine.helpers import assert_same, context, losses_of, pipeline, through_a_file, trained


def averaged(share: float | None, **parts: Any) -> PipelineSpec:
    return dataclasses.replace(pipeline(**parts), ema=share)


class Values(nn.Module):
    """A parameter, a statistic and a counter that follow a given path."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([7.0]))
        self.register_buffer("mean", torch.tensor([7.0]))
        self.register_buffer("count", torch.tensor(7))

    def set(self, value: float) -> None:
        self.weight.data.fill_(value)
        self.get_buffer("mean").fill_(value)
        self.get_buffer("count").fill_(int(value))


def along(path: list[tuple[int, float]], share: float) -> RunningAverage:
    """The average after steps of so many samples, each with the value after it."""
    network = Values()
    average = RunningAverage(network, share)
    for samples, value in path:
        network.set(value)
        average.update(samples)
    return average


def value(average: RunningAverage) -> float:
    weight = average.network.get_parameter("weight")
    assert torch.equal(weight, average.network.get_buffer("mean")) and not weight.requires_grad
    return float(weight)


def test_a_share_of_one_is_the_mean_over_all_samples() -> None:
    path = [(4, 1.0), (4, 2.0), (2, 6.0)]
    average = along(path, 1.0)
    assert value(average) == pytest.approx((4 * 1.0 + 4 * 2.0 + 2 * 6.0) / 10)
    assert int(average.network.get_buffer("count")) == 6  # not averaged


def test_a_step_counts_by_its_samples_and_its_place() -> None:
    """Share 0.5: the power is 3, so steps up to 2, 5 and 6 samples weigh 8, 125 - 8 and 216 - 125 of 216."""
    assert value(along([(2, 1.0), (3, 10.0), (1, 100.0)], 0.5)) == pytest.approx((8 + 117 * 10 + 91 * 100) / 216)


def test_the_first_step_is_the_weights_themselves() -> None:
    assert value(along([(5, 3.0)], 0.1)) == 3.0


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("samples", [800, 4000])
def test_the_mean_age_is_that_of_the_last_share_whatever_length_and_batch(
    share: float, batch: int, samples: int
) -> None:
    path = [(batch, float(seen)) for seen in range(batch, samples + 1, batch)]
    assert 1 - value(along(path, share)) / samples == pytest.approx(share / 2, abs=0.01)


def test_it_changes_what_is_scored_and_not_how_is_trained(digits: Dataset) -> None:
    where = context(digits)
    plain, last = trained(where, pipeline(), epochs=3)
    result, checkpoint = trained(where, averaged(0.5), epochs=3)
    assert losses_of(result) == losses_of(plain)
    assert_same(checkpoint["student"], last["student"])
    assert_same(dict(delivered_state(last)), dict(last["student"]))
    kept: dict[str, Tensor] = dict(delivered_state(checkpoint))
    assert kept.keys() == last["student"].keys()
    changed = [key for key in kept if not torch.equal(kept[key], last["student"][key])]
    assert any("running_var" in key for key in changed) and any("weight" in key for key in changed)
    assert not any("num_batches" in key for key in changed)


def test_the_score_is_that_of_the_average(digits: Dataset) -> None:
    where, spec = context(digits), averaged(0.5)
    result, checkpoint = trained(where, spec, epochs=3)
    student = spec.student.build(_build(digits))
    student.load_state_dict(dict(delivered_state(checkpoint)))
    logits = predict(student, where.validation_data)
    assert result.score == accuracy(predictions(logits, where.validation_data.labels))
    assert result.loss == float(nn.functional.cross_entropy(logits, where.validation_data.labels))


def _build(data: Dataset) -> Any:
    from autokd.types import BuildContext

    return BuildContext(task=data.task)


@pytest.mark.parametrize("branch", [0.0, 0.25])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(digits: Dataset, branch: float) -> None:
    where, spec = context(digits), averaged(0.3)
    _, whole = trained(where, spec, epochs=3)
    _, half = trained(where, spec, epochs=3, until=2, branch=branch)
    assert half["average"]["seen"] == 2 * len(digits.train)  # without the branch
    _, rest = trained(where, spec, epochs=3, start=through_a_file(half))
    assert_same(rest, whole)


def test_a_claimed_student_is_the_average(digits: Dataset, tmp_path: Path) -> None:
    job = RungJob(
        pipeline=to_plain(averaged(0.5)), seed=1, view_seed=2, horizon=2, until=2, student=tmp_path / "student.st"
    )
    assert run_job(context(digits), job).result is not None
    _, checkpoint = trained(context(digits), averaged(0.5), epochs=2, seed=1, view_seed=2)
    kept = load_file(tmp_path / "student.st")
    assert_same(dict(kept), dict(delivered_state(checkpoint)))


def test_it_is_a_number_of_the_pipeline() -> None:
    spec = averaged(0.25)
    assert to_plain(spec)["ema"] == 0.25 and from_plain(to_plain(spec)) == spec
    assert "ema" not in to_plain(pipeline())
    line = "ema: expected a number of at least 0 and at most 1, got 2"
    assert problems({**to_plain(spec), "ema": 2}) == [line]
    with pytest.raises(ComponentError, match=line):
        from_plain({**to_plain(spec), "ema": 2})
    assert all(matched_baseline(spec, ARM_KINDS[kind]).ema == 0.25 for kind in ("alone", "kd"))
