"""Made rows: what swap noise and MUNGE change of a row, and that they are read and asked about like a file's rows."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pandas import DataFrame
from sklearn.ensemble import RandomForestClassifier

from autokd.batching import single
from autokd.data import DataOptions, load, load_again
from autokd.errors import DataError
from autokd.modalities.fitting import fit_columns
from autokd.modalities.made_rows import Rows, make_rows, munge, neighbours, swap_noise
from autokd.modalities.rows import TablePreprocess
from autokd.networks.reference import load_teacher


def rows_of(frame: DataFrame) -> Rows:
    columns, _ = fit_columns(frame)
    return Rows(frame, columns, TablePreprocess(classes=("a", "b"), columns=columns).apply(frame))


def table(count: int = 60) -> DataFrame:
    draw = np.random.default_rng(3)
    age, weight = draw.integers(18, 90, count), draw.normal(70, 9, count).round(2)
    frame = DataFrame(
        {"age": age.astype(str), "weight": weight, "colour": draw.choice(["red", "green", "blue"], count)}
    )
    frame.loc[::7, "weight"] = np.nan
    return frame


FRAME, BASE = table(), np.arange(60).repeat(3)


def test_neighbours_of_a_known_set() -> None:
    i = np.arange(12)
    points = np.stack([np.sin(1.3 * i + 0.2), np.cos(0.9 * i), np.sin(0.4 * i)], 1)
    assert neighbours(torch.from_numpy(points), i).tolist() == [7, 6, 5, 4, 3, 2, 1, 0, 9, 8, 11, 10]


def test_without_changes_they_are_copies() -> None:
    rows, draw = rows_of(FRAME), np.random.default_rng(0)
    for made in (swap_noise(rows, BASE, draw, share=0), munge(rows, BASE, draw, change=0)):
        pd.testing.assert_frame_equal(made, FRAME.iloc[BASE].reset_index(drop=True))


def test_swap_noise_changes_one_column_of_few_by_a_cell_of_the_column() -> None:
    made = swap_noise(rows_of(FRAME), BASE, np.random.default_rng(0))
    old = FRAME.iloc[BASE].reset_index(drop=True)
    changed = (made.ne(old) & ~(made.isna() & old.isna())).sum(axis=1)
    assert changed.max() == 1 and changed.mean() > 0.7  # a tenth of three columns would be none
    for name in FRAME:
        assert set(made[name].dropna()) <= set(FRAME[name].dropna())
    assert made.dtypes.tolist() == FRAME.dtypes.tolist()


def test_munge_goes_towards_the_neighbour_and_leaves_no_range() -> None:
    rows = rows_of(FRAME)
    made, near = munge(rows, BASE, np.random.default_rng(0), change=1.0, spread=np.inf), neighbours(rows.encoded, BASE)
    other = FRAME.iloc[near].reset_index(drop=True)
    assert made["colour"].tolist() == other["colour"].tolist()
    assert [int(cell) for cell in made["age"]] == [int(cell) for cell in other["age"]]  # whole numbers stay whole
    np.testing.assert_array_equal(made["weight"], other["weight"])  # gaps too
    wild = munge(rows, BASE, np.random.default_rng(0), change=0.5, spread=0.1)
    assert wild["weight"].min() >= FRAME["weight"].min() and wild["weight"].max() <= FRAME["weight"].max()
    assert not set(wild["weight"].dropna()) <= set(FRAME["weight"].dropna())
    assert all(float(cell).is_integer() for cell in wild["age"])


def test_how_many_there_are_and_that_a_seed_decides_them() -> None:
    rows = rows_of(FRAME)
    assert [len(make_rows(rows, asked, 0)) for asked in ("swap_noise", "munge", "munge:2")] == [300, 300, 120]
    pd.testing.assert_frame_equal(make_rows(rows, "munge", 1), make_rows(rows, "munge", 1))
    assert not make_rows(rows, "munge", 1).equals(make_rows(rows, "munge", 2))
    for asked, why in (("mung", "did you mean 'munge'"), ("munge:0", "as in munge:5"), ("munge:x", "as in munge:5")):
        with pytest.raises(DataError, match=why):
            make_rows(rows, asked, 0)


def test_a_dataset_with_made_rows_and_a_teacher_of_another_library(tmp_path: Path) -> None:
    label = np.where(FRAME["age"].astype(int) > 50, "old", "young")
    FRAME.assign(label=label).to_csv(tmp_path / "few.csv", index=False)
    found = load(tmp_path / "few.csv", DataOptions(target="label", made_rows="munge"))
    assert found.unlabelled is not None and found.unlabelled.ids is not None and found.samples.table is not None
    assert found.card["unlabelled"] == {"samples": len(found.unlabelled), "made": "munge"}
    assert load_again(found.reference).task == found.task
    other = load(tmp_path / "few.csv", DataOptions(target="label", made_rows="munge", seed=1))
    assert other.task.fingerprint != found.task.fingerprint

    model = RandomForestClassifier(5, random_state=0)
    rows = found.samples.table()[["age"]]
    model.fit(rows[:60], label[np.asarray(found.samples.numbers[:60])])
    teacher = load_teacher(model, found.task, {}, found.samples)
    answers = teacher.answer(found.unlabelled.ids, single(found.unlabelled.inputs)).logits.softmax(1)  # type: ignore[attr-defined]
    said = model.predict_proba(rows.iloc[found.unlabelled.ids.tolist()])
    np.testing.assert_allclose(
        answers, said[:, [list(model.classes_).index(name) for name in found.task.classes]], atol=1e-6
    )


def test_they_are_for_tables_and_not_beside_real_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="made_rows is for tables"):
        load("digits", DataOptions(made_rows="munge"))
    FRAME.to_csv(tmp_path / "rest.csv", index=False)
    FRAME.assign(label=["a", "b"] * 30).to_csv(tmp_path / "few.csv", index=False)
    with pytest.raises(DataError, match="two kinds of samples without labels"):
        load(tmp_path / "few.csv", DataOptions(target="label", made_rows="munge", unlabelled=tmp_path / "rest.csv"))


def test_stored_predictions_leave_them_out_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    from autokd.search.given_teacher import without_unanswered
    from autokd.search.request import Request

    asked = Request(dataset="few.csv", made_rows="munge", teacher_predictions="answers.csv")
    with caplog.at_level(logging.WARNING, "autokd"):
        assert without_unanswered(asked).made_rows is None
    assert "the teacher's answers are stored" in caplog.text
    assert without_unanswered(Request(dataset="few.csv", made_rows="munge")).made_rows == "munge"
