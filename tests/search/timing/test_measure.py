"""What is said where the default pipeline does not train."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from autokd.errors import TrialFailure
from autokd.execution.executor import Outcome
from autokd.search.timing import measure
from autokd.search.timing.measure import Probe
from autokd.search.timing.samples import Sample
from autokd.types import RungResult, Split, Task


@pytest.mark.parametrize(
    ("largest", "remedy"), [(20, "--image-size 16 fits"), (4, "give a smaller --image-size, or more memory")]
)
def test_without_memory_the_size_that_fits_is_named(monkeypatch: pytest.MonkeyPatch, largest: int, remedy: str) -> None:
    split = Split(torch.zeros(4, 3, 64, 64, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    task = Task(dataset="photos", modality="image", input_shape=(3, 64, 64), classes=("a", "b"), train_size=4)
    trained = RungResult(score=0.5, loss=1.0, seen=4, seconds=1.0, curve=())

    def run(probe: Probe, pipeline: Any, data: Sample) -> Outcome:
        assert cast(torch.Tensor, data.train.inputs).shape[1:] == data.task.input_shape
        side = data.task.input_shape[-1]
        return (
            Outcome(result=trained) if side <= largest else Outcome(failure={"kind": "out_of_memory", "reason": "no"})
        )

    monkeypatch.setattr(measure, "_run", run)
    said = measure._why(cast(Probe, None), {}, Sample(task, split, split), TrialFailure("out_of_memory", "no"))
    assert said.startswith("training on samples of 3 × 64 × 64 takes more memory than the ") and said.endswith(remedy)


def test_another_reason_is_passed_on() -> None:
    split = Split(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64))
    task = Task(dataset="table", modality="table", input_shape=(3,), classes=("a", "b"), train_size=4)
    said = measure._why(cast(Probe, None), {}, Sample(task, split, split), TrialFailure("out_of_memory", "no"))
    assert said == "the space's default pipeline does not train: out_of_memory: no"
