"""`autokd export-model`: which exports there are, what it refuses, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import autokd
from autokd import catalog
from autokd.data import Dataset
from autokd.delivery import pipeline_file
from autokd.errors import BundleError, UserError
from autokd.testing import ExportSuite
from tests.delivery.helpers import pipeline_for
from tests.exports.helpers import bundle_of


class TestExports(ExportSuite):
    components = tuple(catalog.load("exports", name) for name in catalog.names("exports"))


def test_what_is_already_there_is_kept_unless_asked(digits: Dataset, tmp_path: Path) -> None:
    bundle, output = bundle_of(tmp_path / "student", digits), tmp_path / "there.pt2"
    output.write_text("mine")
    with pytest.raises(BundleError, match=r"there\.pt2 is already there; give another place with -o, or --overwrite"):
        autokd.export_model(bundle, format="pt2", output=output)
    assert output.read_text() == "mine"
    autokd.export_model(bundle, format="pt2", output=output, overwrite=True)
    assert output.read_bytes()[:2] == b"PK"


def test_a_pipeline_file_is_no_trained_student(digits: Dataset, tmp_path: Path) -> None:
    pipeline_file.write(tmp_path / "pipeline.yaml", pipeline_for(digits).to_plain())
    with pytest.raises(BundleError, match="is a pipeline file; autokd train makes a student of it"):
        autokd.export_model(tmp_path / "pipeline.yaml", format="pt2", output=tmp_path / "it.pt2")


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("nothing", {"format": "pt2"}, "nothing does not exist; give a student bundle"),
        ("", {"format": "onxx"}, "--format onxx: there is no such export"),
        ("", {"format": "pt2", "int8": True}, "--int8 is not for --format pt2; it is for"),
    ],
)
def test_bad_input_is_one_line(source: str, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        autokd.export_model(tmp_path / source, output=tmp_path / "it", **options)
    assert said in str(error.value) and "\n" not in str(error.value)
