"""The teacher that a request names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from autokd.errors import TeacherError, UserError
from autokd.networks.class_names import ByName
from autokd.search.given_teacher import load_given, plain_reference
from autokd.search.request import Request
from autokd.teaching.recipe import Effort
from autokd.types import Samples, Task

TASK = Task(dataset="rows", modality="table", input_shape=(4,), classes=("a", "b"), train_size=9)


def test_names_of_classes_come_with_the_teacher(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("c\nb\na\n")
    network, inputs = nn.Linear(4, 3), torch.ones(2, 4)
    asked = Request(teacher=network, teacher_classes=names)
    teacher = load_given(asked, TASK)
    assert isinstance(teacher, ByName)
    assert torch.equal(teacher.predict(inputs).logits, network(inputs)[:, [2, 1]].detach())
    assert plain_reference(asked, Effort(3))["classes"] == ["c", "b", "a"]
    assert "classes" not in plain_reference(Request(teacher=network), Effort(3))


def test_without_a_teacher() -> None:
    assert load_given(Request(), TASK) is None
    assert plain_reference(Request(), Effort(3))["use"] == "trained"
    with pytest.raises(TeacherError, match="give one with --teacher"):
        load_given(Request(teacher_classes=["a", "b"]), TASK)


def test_predictions_are_a_teacher_too(tmp_path: Path) -> None:
    file = tmp_path / "p.npy"
    np.save(file, np.full((9, 2), 0.5))
    asked = Request(teacher_predictions=file)
    teacher = load_given(asked, TASK, Samples(numbers=range(9), total=9))
    assert teacher is not None and not teacher.offers.views
    assert plain_reference(asked, Effort(3))["use"] == "predictions"
    with pytest.raises(UserError, match="--teacher and --teacher-predictions are two teachers; give one of them"):
        load_given(Request(teacher="resnet20@x.pt", teacher_predictions=file), TASK)
