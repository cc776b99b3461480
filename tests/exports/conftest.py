"""A table file with a column of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pandas import DataFrame

from autokd.data import DataOptions, Dataset, load


@pytest.fixture(scope="session")
def mixed_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """520 rows: numbers with gaps and with decimal commas, dates, categories that are words or numbers, a label.

    One column is called like an output of an exported model, and one like the input of its network.
    """
    rng, n = np.random.default_rng(0), 520
    days = np.datetime64("1995-02-27T22:13:05") + rng.integers(0, 10**9, n).astype("m8[s]")
    prices = [
        f"{whole}.{part:03d},{cent:02d} €" for whole, part, cent in rng.integers(1, [9, 999, 99], (n, 3)).tolist()
    ]
    frame = DataFrame(
        {
            "height": rng.normal(170, 9, n).round(2),
            "label": rng.choice(["red", "green", "light blue"], n),
            "seen": [str(day).replace("T", " ") for day in days],
            "price": prices,
            "input": rng.choice(["1", "2", "a 3"], n),
            "code": 10**9 + rng.integers(0, 999, n),
            "class": np.where(rng.random(n) < 0.4, "no", "yes"),
        }
    )
    for name, step in (("height", 7), ("label", 9), ("seen", 11)):
        frame[name] = frame[name].astype(object)
        frame.loc[::step, name] = "NA" if step == 9 else ""
    file = tmp_path_factory.mktemp("mixed") / "mixed.csv"
    frame.to_csv(file, index=False, sep=";")
    return file


@pytest.fixture(scope="session")
def mixed(mixed_file: Path) -> Dataset:
    return load(mixed_file, DataOptions(target="class"))
