"""Columns that give the class away, and pictures that hold nothing, as loading the data finds them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from autokd import data
from autokd.modalities.likeness import plain_pictures


def table(folder: Path, **columns: object) -> Path:
    """A table of 400 rows whose class depends on `x` but for noise, with more columns."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    label = np.where(x + rng.normal(0, 0.4, 400) > 0, "yes", "no")
    made = {name: make(label, rng) if callable(make) else make for name, make in columns.items()}
    frame = pd.DataFrame({"x": x, "noise": rng.normal(size=400), **made, "label": label})
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def test_columns_that_are_the_class_under_another_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def code(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.where(label == "yes", rng.choice(["p", "q", "r"], 400), rng.choice(["s", "t"], 400))

    def amount(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.where(label == "yes", rng.uniform(5, 9, 400), 0.0)

    with caplog.at_level(logging.WARNING, "autokd"):
        dataset = data.load(str(table(tmp_path, paid=amount, code=code, site="here")), data.DataOptions(target="label"))
    assert dataset.card["telling_inputs"] == {"paid": 1.0, "code": 1.0}
    assert dataset.card["constant_inputs"] == [] and dataset.card["dropped_columns"] == {"site": "constant"}
    assert "paid alone tells the class of 100.0 % of the validation samples" in caplog.text


def test_a_column_that_tells_much_is_none_of_them(tmp_path: Path) -> None:
    assert data.load(str(table(tmp_path)), data.DataOptions(target="label")).card["telling_inputs"] == {}


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_known_tables_have_none(name: str) -> None:
    assert data.load(name).card["telling_inputs"] == {}


def test_pictures_of_one_colour_are_counted(tmp_path: Path) -> None:
    images = torch.randint(0, 255, (50, 1, 8, 8), dtype=torch.uint8)
    assert plain_pictures(images) == (0, 50)
    images[:3] = 7
    assert plain_pictures(images) == (3, 50)
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(20):
            pixels = np.full((8, 8), i) if label == "a" and i < 10 else rng.integers(0, 255, (8, 8))
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / label / f"{i}.png")
    (said,) = data.load(str(tmp_path)).card["constant_inputs"]
    assert said.endswith("training pictures are of one single colour") and int(said.split()[0]) > 0
