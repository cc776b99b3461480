"""The network of the epoch that is best on validation: the one that training had then, and no other."""

from __future__ import annotations

import dataclasses

import torch

from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.spec import from_plain
from autokd.teaching.best_epoch import train_best
from autokd.teaching.recipe import recipe
from autokd.types import Split
from tests.search.spaces import CPU

EPOCHS = 6


def test_the_best_of_the_scored_epochs_is_kept(digits: Dataset) -> None:
    """Validation labels are wrong, so learning makes the score fall: the best epoch is not the last."""
    wrong = Split(digits.validation.inputs, (digits.validation.labels + 1) % 10)
    for data in (digits, dataclasses.replace(digits, validation=wrong)):
        context = TrainContext(data=data, teacher=None, device=CPU, bank=TeacherBank())
        pipeline, told = recipe(data.task).pipelines[2], []
        best = train_best(context, pipeline, 3, EPOCHS, lambda told=told: told.append(1))
        size = len(data.train)
        rung = Rung(seed=3, view_seed=3, horizon=EPOCHS * size, until=EPOCHS * size)
        whole, _ = train_rung(context, from_plain(pipeline), rung)
        scores = {line["epoch"]: line["score"] for line in whole.curve if "score" in line}
        assert len(told) == EPOCHS and len(scores) > 1 and max(scores) == EPOCHS
        assert best.score == max(scores.values()) == scores[best.epoch]
        until = dataclasses.replace(rung, until=best.epoch * size)
        _, then = train_rung(context, from_plain(pipeline), until)
        assert all(torch.equal(value, best.state[key]) for key, value in then["student"].items())
    assert best.epoch < EPOCHS
