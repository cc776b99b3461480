"""What `check` says of files that are no search space."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.cli.conftest import Run

PIPELINE = Path(__file__).parents[1] / "old" / "pipeline.yaml"


def test_a_pipeline_file_is_checked_as_such(run: Run, here: Path) -> None:
    shutil.copy(PIPELINE, here / "exported.yaml")
    ran = run("check", "exported.yaml")
    assert (ran.code, ran.out) == (0, "exported.yaml: no mistakes; a pipeline file: autokd train exported.yaml\n")
    assert json.loads(run("check", "exported.yaml", "--json").out)["problems"] == []
    text = PIPELINE.read_text().replace("batch_size", "batchsize")
    (here / "wrong.yaml").write_text(text)
    ran = run("check", "wrong.yaml")
    assert ran.code == 2 and "pipeline.batch_size" in ran.err and "budget" not in ran.err


def test_a_pipeline_file_is_no_space(run: Run, here: Path) -> None:
    shutil.copy(PIPELINE, here / "exported.yaml")
    ran = run("search", "--dataset", "wine", "--space", "exported.yaml", "--dry-run")
    assert ran.code == 2 and "this is a pipeline file" in ran.err and "autokd train" in ran.err
    assert len(ran.err.strip().splitlines()) <= 2


def test_a_folder_called_like_a_dataset_is_named(here: Path, caplog) -> None:
    from autokd import data

    (here / "wine").mkdir()
    assert data.load("wine").task.dataset == "wine"
    assert "wine is the dataset of that name; write ./wine for the one in this folder" in caplog.messages
