"""Every kind of input, the one of the tests included, does what a kind of input must."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from autokd import catalog
from autokd.errors import DataError, TeacherError
from autokd.networks.inputs import kind_of
from autokd.teaching.trees import KINDS
from autokd.testing import ModalitySuite
from autokd.types import Task
from tests.modalities import words


class TestModalities(ModalitySuite):
    components = (*(catalog.load("modalities", name) for name in ("image", "table")), words.Words)
    samples: ClassVar[dict[str, Any]] = {
        "image": torch.arange(3 * 3 * 4 * 5, dtype=torch.uint8).reshape(3, 3, 4, 5),
        "table": pd.DataFrame({"x": [1.0, 2.0, 6.0], "c": ["a", "b", None]}),
        "words": np.array(["one two", "three", "one three two two"], dtype=object),
    }


def test_the_kinds_that_come_with_autokd() -> None:
    assert {"image", "table"} <= set(catalog.names("modalities"))


def test_a_kind_without_a_side_says_so() -> None:
    table = kind_of("table")
    with pytest.raises(DataError, match="image_size does not apply to wine, which is a table"):
        table.resize(pd.DataFrame(), 8, "wine")
    task = Task(dataset="rows", modality="table", input_shape=(4,), classes=("a", "b"), train_size=9)
    with pytest.raises(TeacherError, match="input_size is for images and positive, got 8 for table data"):
        table.resized_task(task, 8)


def test_the_trees_of_a_default_teacher_are_those_that_there_are() -> None:
    task = Task(dataset="rows", modality="table", input_shape=(4,), classes=("a", "b"), train_size=9)
    assert kind_of("table").teacher_recipe(task, "large").trees == tuple(KINDS)
