"""The network of the epoch that is best on validation: the one that training had then, and no other."""

from __future__ import annotations

import dataclasses
import itertools
from functools import partial

import pytest
import torch

from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict
from autokd.engine.loop import train_rung
from autokd.engine.rung import Rung, curve_step
from autokd.engine.teacher_bank import TeacherBank
from autokd.spec import from_plain
from autokd.teaching.best_epoch import train_best
from autokd.teaching.recipe import Effort, recipe
from autokd.types import Split
from tests.search.spaces import CPU

EPOCHS = 6


def test_the_best_of_the_scored_epochs_is_kept(digits: Dataset) -> None:
    """Where validation labels are wrong, learning makes the score fall: then the best epoch is not the last."""
    wrong = Split(digits.validation.inputs, (digits.validation.labels + 1) % 10)
    for data in (digits, dataclasses.replace(digits, validation=wrong)):
        context = TrainContext(data=data, teacher=None, device=CPU, bank=TeacherBank())
        pipeline, told = recipe(data.task, Effort(40)).pipelines[2], itertools.count()
        best = train_best(context, from_plain(pipeline), 3, EPOCHS, partial(next, told))
        size, spec = len(data.train), from_plain(pipeline)
        step = curve_step(EPOCHS, size, len(data.validation))
        states, scores = {}, {}
        for epoch in (*range(step, EPOCHS, step), EPOCHS):
            rung = Rung(seed=3, view_seed=3, horizon=EPOCHS * size, until=epoch * size)
            _, checkpoint = train_rung(context, spec, rung)
            network = build_student(spec.student, data.task)
            states[epoch] = checkpoint["student"]
            network.load_state_dict(states[epoch])
            right = predict(network, context.validation_data).argmax(1) == data.validation.labels
            scores[epoch] = float(right.double().mean())
        assert next(told) == EPOCHS and len(scores) > 1
        assert best.score == pytest.approx(max(scores.values()))
        assert scores[best.epoch] == max(scores.values())
        assert all(torch.equal(value, best.state[key]) for key, value in states[best.epoch].items())
    assert best.epoch < EPOCHS
