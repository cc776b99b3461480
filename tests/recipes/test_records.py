import dataclasses

import pytest

from autokd.errors import StudyError
from autokd.recipes.records import RunRow, append_row, read_rows

ROW = RunRow(
    dataset="letter-2000",
    family="letter",
    n_train=2000,
    classes=26,
    kind="table",
    limit={"params": 3000.0},
    side="recipe",
    recipe="kd",
    pipeline={"format": 1, "student": {"use": "mlp", "width": 8}},
    epochs=20,
    seed=3,
    validation=0.75,
    seconds=2.5,
    versions={"torch": "2.6"},
)


def test_rows_come_back_as_they_were_written_in_order(tmp_path):
    path = tmp_path / "new" / "runs.jsonl"
    second = dataclasses.replace(ROW, seed=4, recipe=None, side="random", test=0.7)
    append_row(path, ROW)
    append_row(path, second)
    assert read_rows(path) == [ROW, second]


def test_no_file_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "runs.jsonl") == []


def test_what_a_killed_writer_left_is_passed_over_and_cut_off(tmp_path):
    path = tmp_path / "runs.jsonl"
    append_row(path, ROW)
    path.write_bytes(path.read_bytes() + b'{"dataset": "let')
    assert read_rows(path) == [ROW]
    append_row(path, ROW)
    assert read_rows(path) == [ROW, ROW]


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "runs.jsonl"
    append_row(path, ROW)
    path.write_bytes(path.read_bytes() + b'{"dataset": "letter"}\n')
    with pytest.raises(StudyError, match="line 2 is no record"):
        read_rows(path)
