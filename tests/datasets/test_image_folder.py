"""Folders of images: layouts, sizes, grey and colour, bad files, the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from autokd import data
from autokd.data_types import DataContext, Raw
from autokd.datasets._image_folder import ImageFolder
from autokd.errors import DataError
from autokd.modalities import decoding, images


def write_digits(folder: Path, classes: int = 2, each: int = 6, skip: int = 0) -> None:
    """Write digits as 8x8 grey PNGs, one folder a class."""
    digits = load_digits()
    for label in range(classes):
        (folder / str(label)).mkdir(parents=True)
        rows = np.flatnonzero(digits.target == label)[skip : skip + each]
        for row in rows:
            pixels = np.rint(digits.images[row] * (255 / 16)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(label) / f"{row:04}.png")


def read(folder: Path, **options: object) -> Raw:
    context = DataContext(cache=folder.parent / "cache", **options)  # type: ignore[arg-type]
    return ImageFolder(root=str(folder)).build(context)


def test_pixels_and_classes(tmp_path: Path) -> None:
    write_digits(tmp_path / "set")
    raw = read(tmp_path / "set")
    assert raw.classes == ("0", "1") and raw.train.labels.tolist() == [0] * 6 + [1] * 6
    assert isinstance(raw.train.inputs, torch.Tensor) and tuple(raw.train.inputs.shape) == (12, 1, 8, 8)
    first = np.rint(load_digits().images[0] * (255 / 16))
    assert (raw.train.inputs[0, 0].numpy() == first).all()


def test_official_parts(tmp_path: Path) -> None:
    write_digits(tmp_path / "set" / "train", each=10)
    write_digits(tmp_path / "set" / "val", each=3, skip=10)
    write_digits(tmp_path / "set" / "test", each=4, skip=13)
    dataset = data.load(tmp_path / "set")
    assert dataset.card["samples"] == {"train": 20, "validation": 6, "test": 8}
    assert dataset.card["official"] == {"validation": True, "test": True}


def test_validation_folder_given_apart(tmp_path: Path) -> None:
    write_digits(tmp_path / "set", each=10)
    write_digits(tmp_path / "more", each=5, skip=10)
    dataset = data.load(tmp_path / "set", data.DataOptions(validation=tmp_path / "more"))
    assert dataset.card["samples"] == {"train": 16, "validation": 10, "test": 4}
    assert data.load_again(dataset.reference).task == dataset.task


def test_side_is_that_of_the_median_image_at_most_64(tmp_path: Path) -> None:
    for i, (width, height) in enumerate([(10, 30), (20, 20), (90, 24)]):
        (tmp_path / "set" / str(i)).mkdir(parents=True)
        Image.new("L", (width, height), i).save(tmp_path / "set" / str(i) / "a.png")
    for rule, side in (("crop", 20), ("pad", 30), ("squash", 20)):  # of 10 20 24; of 20 30 90; of 17.3 20 46.5
        assert tuple(read(tmp_path / "set", resize=rule).train.inputs.shape) == (3, 1, side, side)
    assert tuple(read(tmp_path / "set", image_size=7).train.inputs.shape) == (3, 1, 7, 7)
    for i in range(3):
        Image.new("L", (200, 100), i).save(tmp_path / "set" / str(i) / "a.png")
    assert tuple(read(tmp_path / "set").train.inputs.shape) == (3, 1, 64, 64)


def test_colour_is_kept_and_grey_is_one_channel(tmp_path: Path) -> None:
    write_digits(tmp_path / "set")
    grey_as_rgb = np.full((8, 8, 3), 77, np.uint8)
    Image.fromarray(grey_as_rgb).save(tmp_path / "set" / "0" / "x.png")
    assert read(tmp_path / "set").train.inputs.shape[1] == 1
    Image.fromarray(grey_as_rgb * np.array([1, 1, 0], np.uint8)).save(tmp_path / "set" / "0" / "y.png")
    raw = read(tmp_path / "set")
    assert isinstance(raw.train.inputs, torch.Tensor)
    assert raw.train.inputs.shape[1] == 3
    assert raw.train.inputs[7, :, 0, 0].tolist() == [77, 77, 0]  # y.png is the eighth of its class


def test_sixteen_bit_grey_is_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 4), 257 * 100, np.uint16)).save(tmp_path / "b.png")
    assert [int(images.decode(tmp_path / f"{n}.png", (4, 4), 1)[0, 0, 0]) for n in "ab"] == [255, 100]


def test_orientation_tag_is_followed(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned: to be shown rotated by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert images.decode(tmp_path / "a.png", (2, 2), 1)[0].tolist() == [[0, 255], [0, 0]]


def test_unreadable_image_is_named_or_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_digits(tmp_path / "set")
    bad = tmp_path / "set" / "1" / "bad.png"
    whole = next((tmp_path / "set" / "1").glob("*.png")).read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"bad\.png: not a readable image .*--skip-bad") as caught:
        read(tmp_path / "set")
    assert "\n" not in str(caught.value)
    raw = read(tmp_path / "set", skip_bad=True)
    assert raw.skipped == (str(bad),) and len(raw.train) == 12
    assert data.load(tmp_path / "set", data.DataOptions(skip_bad=True)).card["skipped_files"] == [str(bad)]
    assert f"1 unreadable file(s) left out, the first is {bad}" in caplog.text


def test_decoded_once_and_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_digits(tmp_path / "set")
    count: list[Path] = []
    decode = decoding.decode

    def counted(path: Path, *how: Any) -> object:
        count.append(path)
        return decode(path, *how)

    monkeypatch.setattr(decoding, "decode", counted)
    first, second = read(tmp_path / "set"), read(tmp_path / "set")
    assert len(count) == 12 and torch.equal(first.train.inputs, second.train.inputs)
    Image.new("L", (8, 8), 9).save(sorted((tmp_path / "set" / "0").glob("*.png"))[0])
    changed = read(tmp_path / "set").train.inputs
    assert isinstance(changed, torch.Tensor) and int(changed[0, 0, 0, 0]) == 9
    assert len(count) == 24


def test_a_file_under_two_classes_is_said(tmp_path: Path) -> None:
    write_digits(tmp_path / "set")
    (tmp_path / "set" / "2").symlink_to(tmp_path / "set" / "1")
    first = sorted((tmp_path / "set" / "1").iterdir())[0]
    said = f"12 files are the same under two classes, the first is {first}"
    assert read(tmp_path / "set").remarks == (said,) == read(tmp_path / "set").remarks


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tif"])
def test_of_several_frames_the_first_is_taken_and_said(tmp_path: Path, ending: str) -> None:
    write_digits(tmp_path / "set")
    frames = [Image.fromarray(np.full((8, 8, 3), level, np.uint8)) for level in (200, 0, 100)]
    file = tmp_path / "set" / "0" / f"0.{ending}"
    frames[0].save(file, save_all=True, append_images=frames[1:])
    raw = read(tmp_path / "set")
    assert raw.remarks == (f"1 files have several frames, of which the first is taken: {file}",)
    assert isinstance(raw.train.inputs, torch.Tensor) and int(raw.train.inputs[0].min()) == 200


def test_damaged_cache_is_made_again(tmp_path: Path) -> None:
    write_digits(tmp_path / "set")
    first = read(tmp_path / "set").train.inputs.clone()
    (file,) = (tmp_path / "cache" / "images").iterdir()
    file.write_bytes(b"half a file")
    assert torch.equal(read(tmp_path / "set").train.inputs, first)
    assert [path.name for path in (tmp_path / "cache" / "images").iterdir()] == [file.name]  # no leftovers


def _empty(folder: Path) -> None:
    folder.mkdir()


def _flat(folder: Path) -> None:
    folder.mkdir()
    Image.new("L", (4, 4)).save(folder / "a.png")


def _empty_class(folder: Path) -> None:
    write_digits(folder)
    (folder / "2").mkdir()


def _strange_class(folder: Path) -> None:
    write_digits(folder / "train", classes=2)
    write_digits(folder / "test", classes=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_empty, "no image in it"),
        (_flat, "no class folder"),
        (_empty_class, r"2: no image in it"),
        (_strange_class, r"test/2: no such class"),
        (lambda folder: write_digits(folder, classes=1), "only one class"),
        (lambda folder: write_digits(folder, each=2), "class '0' has 2 sample.*at least 3"),
    ],
)
def test_bad_folder(make: object, message: str, tmp_path: Path) -> None:
    make(tmp_path / "set")  # type: ignore[operator]
    with pytest.raises(DataError, match=message) as caught:
        data.load(tmp_path / "set")
    assert "\n" not in str(caught.value)
