"""Models that take five lines to write answer as scikit-learn's own do."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from autokd.batching import first_of, single
from autokd.data import Dataset
from autokd.data.numbers import numbers_of
from autokd.input_kind import InputKind
from autokd.modalities._image import Image
from autokd.search.confirm import plain_models
from autokd.search.confirm.plain_models import plain_logits


def test_their_answers_on_digits(digits: Dataset) -> None:
    found = dict(plain_logits(digits, {"validation": digits.validation}))
    names = ["majority", "logistic regression", "nearest neighbour", "boosted trees"]
    assert list(found) == [f"{name}/validation" for name in names]
    labels, train = digits.validation.labels, single(digits.train.inputs).float().flatten(1) / 255
    right = {name.split("/")[0]: float((each.argmax(1) == labels).double().mean()) for name, each in found.items()}
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(
        train.numpy(), digits.train.labels.numpy()
    )
    held = single(digits.validation.inputs).float().flatten(1) / 255
    assert right["logistic regression"] == model.score(held.numpy(), labels.numpy()) > 0.8
    assert right["nearest neighbour"] > 0.8 and right["boosted trees"] > 0.6
    commonest = int(digits.train.labels.bincount().argmax())
    assert right["majority"] == pytest.approx(float((labels == commonest).double().mean()))
    assert all(torch.allclose(each.exp().sum(1), torch.ones(len(labels)), atol=1e-4) for each in found.values())


def test_a_class_without_training_rows_is_never_given(digits: Dataset) -> None:
    rows = torch.nonzero(digits.train.labels != 4)[:, 0]
    train = dataclasses.replace(
        digits.train, inputs=single(digits.train.inputs)[rows], labels=digits.train.labels[rows]
    )
    found = dict(plain_logits(dataclasses.replace(digits, train=train), {"test": digits.validation}))
    assert all(each.shape[1] == 10 and not (each.argmax(1) == 4).any() for each in found.values())


def test_large_images_are_seen_as_a_grid_and_trees_are_left_out_where_they_take_long(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_models, "MOST_WORK", 1000)
    big = torch.nn.functional.interpolate(single(digits.train.inputs)[:100].float(), size=40).to(torch.uint8)
    train = dataclasses.replace(digits.train, inputs=big, labels=digits.train.labels[:100])
    data = dataclasses.replace(digits, train=train)
    found = dict(plain_logits(data, {"test": train}))
    assert list(found) == ["majority/test", "logistic regression/test", "nearest neighbour/test"]
    assert bool((found["nearest neighbour/test"].argmax(1) == train.labels).all())
    numbers = numbers_of(train, data.task.modality)
    assert numbers is not None and numbers.shape == (100, 256)


def test_a_kind_without_numbers_has_none(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "numbers", InputKind.numbers)
    assert dict(plain_logits(digits, {"test": digits.validation})) == {}


def test_one_class_has_none(digits: Dataset) -> None:
    train = first_of(digits.train, 20)
    same = dataclasses.replace(train, labels=torch.zeros_like(train.labels))
    assert dict(plain_logits(dataclasses.replace(digits, train=same), {"test": train})) == {}
