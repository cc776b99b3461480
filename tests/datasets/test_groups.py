"""Groups in folders of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autokd import data
from autokd.batching import single
from autokd.errors import DataError
from autokd.types import Split
from tests.datasets.helpers import write_noise

PEOPLE, COPIES = 40, 5


def write_people(root: Path, name: str) -> None:
    """Write noisy copies of a picture a person, classes at random; the red channel is the person's number."""
    rng = np.random.default_rng(0)
    for person, label in enumerate(rng.permutation(["a", "b"] * (PEOPLE // 2))):
        base = rng.integers(0, 200, (16, 16, 3), dtype=np.uint8)
        for copy in range(COPIES):
            file = root / str(label) / name.format(person=person, copy=copy)
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = base + rng.integers(0, 20, base.shape, dtype=np.uint8)
            pixels[..., 0] = person
            Image.fromarray(pixels).save(file)


def people(split: Split) -> set[int]:
    return set(single(split.inputs)[:, 0, 0, 0].tolist())


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("p{person:02}_{copy}.png", r"p\d+"),
        ("p{person:02}_{copy}.png", r"^p(\d+)_"),
        ("scan-{copy}-of-{person}.png", r"(?P<copy>\d)-of-(?P<group>\d+)"),
        ("p{person:02}/{copy}.png", "folder"),
        ("p{person:02}/left/{copy}.png", "folder"),
    ],
)
def test_people_stay_in_one_split(tmp_path: Path, name: str, group: str) -> None:
    write_people(tmp_path / "set", name)
    mixed = data.load(tmp_path / "set")
    assert people(mixed.train) & people(mixed.read_test())
    dataset = data.load(tmp_path / "set", data.DataOptions(group=group))
    parts = [people(split) for split in (dataset.train, dataset.validation, dataset.read_test())]
    assert set.union(*parts) == set(range(PEOPLE)) and sum(map(len, parts)) == PEOPLE
    assert data.load_again(dataset.reference).task == dataset.task


def test_groups_in_splits_that_are_given(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_people(tmp_path / "train", "p{person:02}_{copy}.png")
    for name in ("a", "b"):
        write_noise(tmp_path / "test", (name,), each=1, size=(16, 16))
        first = sorted((tmp_path / "train" / name).iterdir())[0].name
        (tmp_path / "test" / name / "0.png").rename(tmp_path / "test" / name / first)
    data.load(tmp_path, data.DataOptions(group=r"p\d+"))
    assert "2 group(s) of the test split are in training too" in caplog.text


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (r"q\d+", r"group 'q\\d\+' matches nothing in p\d\d_0\.png; every picture needs a group"),
        ("(", "is no regular expression .*and not the word folder"),
        ("folder", r"lies in no folder below its class"),
        ("x*", "matches nothing in"),
        ("p", r"1 group\(s\) cannot be split"),
    ],
)
def test_groups_that_there_are_not(tmp_path: Path, group: str, message: str) -> None:
    write_people(tmp_path / "set", "p{person:02}_{copy}.png")
    with pytest.raises(DataError, match=message) as caught:
        data.load(tmp_path / "set", data.DataOptions(group=group))
    assert "\n" not in str(caught.value)
