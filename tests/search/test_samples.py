"""The samples that a study keeps are what a student sees."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from autokd.batching import single
from autokd.data import DataOptions, Dataset, load
from autokd.search.samples import keep_disputed, keep_samples
from autokd.study.samples import Sample, Samples, disputed_file, read_samples, samples_file, write_samples


def pixels(sample: Sample) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sample.picture))))


def test_pictures_are_the_stored_pixels_of_each_class(digits: Dataset, tmp_path: Path) -> None:
    keep_samples(tmp_path, digits)
    found = read_samples(samples_file(tmp_path))
    assert found is not None and [each.label for each in found.pictures] == [
        c for c in digits.task.classes for _ in "ab"
    ]
    first = torch.nonzero(digits.train.labels == 3)[0, 0]
    assert np.array_equal(pixels(found.pictures[6]), single(digits.train.inputs)[first, 0].numpy())


def test_large_pictures_are_made_smaller(digits: Dataset) -> None:
    from autokd.modalities.images import png

    shown = Image.open(io.BytesIO(png(torch.zeros(3, 100, 200, dtype=torch.uint8))))
    assert (shown.size, shown.mode) == ((64, 32), "RGB")


def test_of_a_table_the_columns_are_told(tmp_path: Path) -> None:
    known = [
        (20 + i % 40, ("Ulm", "Bonn")[i % 3 == 0], f"20{i % 20 + 10}-02-03", ("no", "yes")[i % 2]) for i in range(80)
    ]
    rows = [
        ("age", "town", "born", "label"),
        *known,
        *[("", "Ulm", "2011-02-03", label) for label in ("yes", "no") * 4],
    ]
    (tmp_path / "people.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    keep_samples(tmp_path, load(str(tmp_path / "people.csv"), DataOptions(target="label")))
    found = read_samples(samples_file(tmp_path))
    assert found is not None and found.pictures == ()
    columns = {name: (what, gap) for name, what, gap in found.columns}
    assert columns["age"][0] == "number" and columns["age"][1].startswith("the median, ")
    assert columns["town"] == ("category: Bonn, Ulm", "none of the categories")
    assert columns["born"][0].startswith("date") and columns["born"][1].startswith("the median of each part")


def test_disputed_samples_are_those_with_two_answers_the_surest_first(digits: Dataset, tmp_path: Path) -> None:
    test = digits.validation
    student = torch.nn.functional.one_hot(test.labels, 10).float()
    teacher = student.clone()
    for row, sure in ((5, 3.0), (9, 8.0)):
        teacher[row] = sure * torch.nn.functional.one_hot((test.labels[row] + 1) % 10, 10)
    keep_disputed(tmp_path, 0, digits, test, (student, teacher))
    assert not disputed_file(tmp_path, 0).exists(), "the study keeps no samples"
    keep_samples(tmp_path, digits)
    (tmp_path / "confirm").mkdir()
    keep_disputed(tmp_path, 0, digits, test, (student, teacher))
    found = read_samples(disputed_file(tmp_path, 0))
    assert found is not None and len(found.pictures) == 2
    for sample, row in zip(found.pictures, (9, 5), strict=True):
        label = int(test.labels[row])
        assert (sample.label, sample.student, sample.teacher) == (str(label), str(label), str((label + 1) % 10))
        assert np.array_equal(pixels(sample), single(test.inputs)[row, 0].numpy())


@pytest.mark.parametrize("change", [{"format": 2}, {"pictures": [{"label": "a", "picture": "<svg>"}]}, {"columns": 3}])
def test_a_file_that_is_something_else_is_not_shown(change: dict[str, object], tmp_path: Path) -> None:
    file = samples_file(tmp_path)
    write_samples(file, Samples((Sample("a", "aGk="),)))
    assert read_samples(file) is not None
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    assert read_samples(file) is None
