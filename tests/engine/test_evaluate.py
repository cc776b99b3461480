"""Predictions and metrics, and the data as the networks get it."""

from __future__ import annotations

import dataclasses

import torch

from autokd.batching import single
from autokd.data import Dataset, load
from autokd.engine.build import build_student
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.views import augmented_view, fetch, normalise, raw_view, rows_key, to_device
from autokd.networks.models import seeded
from autokd.spec import make
from autokd.types import Augment, Split, View
from tests.engine.helpers import CPU, context, teacher


def test_predictions_are_in_eval_mode_and_the_mode_comes_back() -> None:
    data = load("digits")  # over a thousand images: several chunks
    with seeded(1):
        student = build_student(make("students", "cnn", {"layers": 2, "width": 4}), data.task)
    state = {name: value.clone() for name, value in student.state_dict().items()}
    where = context(data)
    student.train()
    answered = predict(student, where.train_data)
    assert student.training and all(torch.equal(state[name], value) for name, value in student.state_dict().items())
    images = (single(data.train.inputs).float() / 255 - data.task.mean[0]) / data.task.std[0]
    with torch.no_grad():
        expected = student.eval()(images).logits
    assert answered.shape == (len(data.train), 10) and len(data.train) > 1024
    torch.testing.assert_close(answered, expected, rtol=1e-4, atol=1e-4)


def test_teacher_and_student_predict_the_same_way(digits: Dataset) -> None:
    frozen = teacher(digits.task)
    where = context(digits)
    answered = predict_teacher(frozen, where.validation_data)
    torch.testing.assert_close(answered, predict(frozen.modules[0], where.validation_data))
    assert answered.dtype == torch.float32 and answered.device == CPU


def test_images_become_shares_and_are_normalised(digits: Dataset) -> None:
    task = dataclasses.replace(digits.task, mean=(0.5,), std=(0.25,))
    split = Split(torch.tensor([[[[0, 255]]]], dtype=torch.uint8), torch.tensor([3]))
    data = to_device(split, task, CPU)
    view = raw_view(data, torch.tensor([0]))
    assert single(view.inputs).flatten().tolist() == [0.0, 1.0]
    assert view.targets.tolist() == [[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]]
    assert single(normalise(data, view.inputs)).flatten().tolist() == [-2.0, 2.0]
    assert single(split.inputs).flatten().tolist() == [0, 255]


def test_a_view_gets_its_partner_with_the_partners_own_rows(digits: Dataset) -> None:
    seen: dict[str, list[int]] = {}

    def apply(view: View, rows: object, partner: View | None, partner_rows: object) -> View:
        assert partner is not None and isinstance(rows, dict) and isinstance(partner_rows, dict)
        seen["own"], seen["partner"] = rows["mark"].tolist(), partner_rows["mark"].tolist()
        return partner

    data = to_device(digits.train, digits.task, CPU)
    partners = torch.arange(129).roll(1)
    rows = {"partner": partners, "mark": 10 * torch.arange(129)}
    fetched = next(fetch(data, rows, [torch.tensor([5, 0])]))
    view = augmented_view(data, Augment(lambda *_: rows, apply), rows, fetched)
    assert seen == {"own": [50, 0], "partner": [40, 1280]}
    assert torch.equal(single(view.inputs), single(digits.train.inputs)[[4, 128]].float() / 255)
    assert view.targets.argmax(1).tolist() == digits.train.labels[[4, 128]].tolist()


def test_equal_tables_have_equal_keys_and_others_have_not() -> None:
    table = {"x": torch.tensor([1, 2]), "y": torch.tensor([0.5])}
    key = rows_key(table)
    assert key == rows_key({"y": torch.tensor([0.5]), "x": torch.tensor([1, 2])})
    others = [
        {"x": torch.tensor([1, 3]), "y": torch.tensor([0.5])},
        {"x": torch.tensor([1, 2], dtype=torch.int32), "y": torch.tensor([0.5])},
        {"x": torch.tensor([[1, 2]]), "y": torch.tensor([0.5])},
        {"z": torch.tensor([1, 2]), "y": torch.tensor([0.5])},
        {},
    ]
    assert len({key, *map(rows_key, others)}) == 6
