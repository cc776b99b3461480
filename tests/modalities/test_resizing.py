"""Crop, pad or squash: what each does, and which suits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from autokd import data
from autokd.batching import single
from autokd.errors import DataError
from autokd.modalities import images, resizing
from autokd.modalities.images import Reading, decode
from autokd.networks.inputs import kind_of
from tests.datasets.helpers import write_noise

SIZES = st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), min_size=1, max_size=30)
OLD = {
    "format": 1,
    "kind": "image",
    "resize": "shorter side to size, bilinear with antialias, centre crop",
    "classes": ["a", "b"],
    "channels": 1,
    "size": [8, 8],
    "mean": [0.5],
    "std": [0.25],
}
"""`preprocess.json` as it was written while there was one rule."""


def strip(folder: Path, name: str, x: int, size: tuple[int, int] = (200, 40), each: int = 12) -> None:
    """Write pictures of 100 and a little more with a box of some 255 at x."""
    (folder / name).mkdir(parents=True)
    for i in range(each):
        image = Image.new("L", size, 100 + i)
        ImageDraw.Draw(image).rectangle([x, 8, x + 20, 30], fill=255 - i)
        image.save(folder / name / f"{i}.png")


@pytest.mark.parametrize(
    ("sizes", "labels", "rule"),
    [
        ([(32, 32)] * 20, [0, 1] * 10, "crop"),
        ([(32, 30)] * 20, [0, 1] * 10, "crop"),
        ([(200, 40)] * 20, [0, 1] * 10, "squash"),
        ([(40, 30)] * 20, [0, 1] * 10, "squash"),
        ([(40, 30), (30, 40)] * 10, [0, 0, 1, 1] * 5, "squash"),
        ([(200, 40), (40, 200)] * 10, [0, 0, 1, 1] * 5, "pad"),
        ([(64, 64), (200, 40)] * 10, [0, 1] * 10, "pad"),
        ([(64, 64)] * 99 + [(200, 40)], [0] * 50 + [1] * 50, "crop"),  # one odd picture of fifty
        ([(64, 64)] * 99 + [(200, 40)], [0] * 99 + [1], "squash"),  # all of a rare class
    ],
)
def test_which_rule_suits(sizes: list[tuple[int, int]], labels: list[int], rule: str) -> None:
    assert resizing.suited(sizes, labels) == rule


@given(SIZES)
def test_a_rule_is_chosen_and_said_whatever_the_sizes(sizes: list[tuple[int, int]]) -> None:
    rule = resizing.suited(sizes, [0] * len(sizes))
    said = resizing.said(rule, sizes, chosen=True)
    assert rule in resizing.RULES and (rule == "crop" or len(said) == 1)
    assert resizing.suited([(height, width) for width, height in sizes], [0] * len(sizes)) == rule
    sides = [min(size) for size in sizes], [max(size) for size in sizes]
    assert np.median(sides[0]) - 1 <= resizing.default_side(sizes, rule) <= np.median(sides[1]) + 1


@pytest.mark.parametrize("rule", sorted(resizing.RULES))
@given(st.tuples(st.integers(1, 300), st.integers(1, 300)), st.integers(1, 20))
@example((300, 1), 4)
def test_every_rule_gives_the_form_that_is_asked_for(rule: str, size: tuple[int, int], side: int) -> None:
    assert resizing.resized(Image.new("RGB", size), (side, side), rule).size == (side, side)


def test_known_values() -> None:
    picture = Image.fromarray(np.array([[10, 20, 30, 40], [10, 20, 30, 40]], np.uint8))
    found = {rule: np.asarray(resizing.resized(picture, (2, 2), rule)).tolist() for rule in resizing.RULES}
    assert found["crop"] == [[20, 30], [20, 30]]
    assert np.asarray(resizing.resized(picture, (4, 4), "pad")).tolist() == [
        [128] * 4,
        [10, 20, 30, 40],
        [10, 20, 30, 40],
        [128] * 4,
    ]
    low, high = found["squash"][0]
    assert 10 < low < 20 and 30 < high < 40 and low + high == 50
    assert resizing.cut((200, 40)) == 0.8 and resizing.cut((3, 4)) == 0.25 and resizing.cut((40, 20), (2, 1)) == 0


def test_long_pictures_are_kept_whole_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    strip(tmp_path / "wide", "left", 8)
    strip(tmp_path / "wide", "right", 170)
    dataset = data.load(tmp_path / "wide")
    said = (
        "a centre crop would cut 80 % off 24 of 24 pictures, so all are squashed to squares; --resize decides otherwise"
    )
    assert dataset.card["remarks"] == [said] and said in caplog.text
    assert (single(dataset.train.inputs).flatten(1).amax(1) > 200).all()
    sides = single(dataset.train.inputs).float().mean((1, 2))
    left = sides[:, : sides.shape[1] // 2].mean(1) > sides[:, sides.shape[1] // 2 :].mean(1)
    assert (left == (dataset.train.labels == 0)).all()
    again = data.from_json(dataset.preprocess.to_json())
    assert again == dataset.preprocess and again.to_json()["resize"] == "both sides to size, bilinear with antialias"
    raw = data.read_inputs(again, [tmp_path / "wide"])
    assert (raw.inputs.flatten(1).amax(1) > 200).all() and raw.remarks == ()


@pytest.mark.parametrize("rule", ["pad", "squash", "crop"])
def test_a_rule_that_is_asked_for_is_kept(tmp_path: Path, rule: str, caplog: pytest.LogCaptureFixture) -> None:
    strip(tmp_path / "wide", "left", 8)
    strip(tmp_path / "wide", "right", 170)
    dataset = data.load(tmp_path / "wide", data.DataOptions(resize=rule, image_size=40))
    assert dataset.reference["resize"] == rule
    assert data.load_again(dataset.reference).task == dataset.task
    kept = bool((single(dataset.train.inputs).flatten(1).amax(1) > 200).all())
    assert kept == (rule != "crop")
    assert ("the centre crop cuts 80 % off 24 of 24 pictures; --resize pad or squash" in caplog.text) == (not kept)
    new = data.read_inputs(dataset.preprocess, [tmp_path / "wide" / "left" / "0.png"])
    everything = torch.cat([single(dataset.train.inputs), single(dataset.validation.inputs)])
    everything = torch.cat([everything, single(dataset.read_test().inputs)])
    assert any(torch.equal(new.inputs[0], picture) for picture in everything)


def test_a_bundle_that_crops_says_what_it_cuts_off_new_pictures(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"))
    preprocess = data.load(tmp_path / "set").preprocess
    strip(tmp_path, "new", 8, each=3)
    raw = data.read_inputs(preprocess, [tmp_path / "new", tmp_path / "set" / "a"])
    assert raw.remarks == ("the centre crop that the student was trained with cuts 80 % off 3 of 23 pictures",)


@pytest.mark.parametrize("size", [(64, 48), (48, 64)])
def test_photos_that_are_stored_turned_are_kept_whole(tmp_path: Path, size: tuple[int, int]) -> None:
    """A mark at the far end of a 4:3 photo with an orientation tag."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, level in (("a", 0), ("b", 255)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(8):
            image = Image.new("RGB", size, (120 + i, 120, 120))
            long = (0, 8, 3, size[1] - 8) if size[0] > size[1] else (8, 0, size[0] - 8, 3)
            ImageDraw.Draw(image).rectangle(long, fill=(level,) * 3)
            image.save(tmp_path / "set" / name / f"{i}.jpg", exif=exif, quality=95)
    dataset = data.load(tmp_path / "set")
    assert dataset.preprocess.to_json()["resize"].startswith("both sides")
    for picture, label in zip(single(dataset.train.inputs), dataset.train.labels, strict=True):
        assert (picture.max() > 230) if label == 1 else (picture.min() < 30)


def test_old_bundles_are_read_as_crop() -> None:
    preprocess = data.from_json(OLD)
    assert isinstance(preprocess, images.ImagePreprocess) and preprocess.reading == Reading()
    assert {**preprocess.to_json()} == OLD
    with pytest.raises(DataError, match=r"preprocessing with resize 'stretch'.* is not known"):
        data.from_json({**OLD, "resize": "stretch"})


def test_arrays_that_are_not_square(caplog: pytest.LogCaptureFixture) -> None:
    pictures = np.arange(80, 120, dtype=np.uint8)[:, None, None].repeat(10, 1).repeat(50, 2)
    pictures[::2, :, :4], pictures[1::2, :, -4:] = 255, 255
    given = (pictures, [0, 1] * 20)
    assert data.load(given).task.input_shape == (1, 10, 50) and "crop" not in caplog.text
    small = data.load(given, data.DataOptions(image_size=20))
    assert "a centre crop would cut 80 % off 40 of 40 pictures" in caplog.text
    assert (single(small.train.inputs).flatten(1).amax(1) > 200).all()
    padded = data.load(given, data.DataOptions(image_size=20, resize="pad"))
    assert padded.preprocess.to_json()["resize"].startswith("longer side")
    new = single(padded.preprocess.apply(torch.from_numpy(pictures[:1, None])))
    assert torch.equal(new[0, 0, 0], torch.full((20,), 128))


def test_a_rule_that_there_is_not(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"))
    for reference in (tmp_path / "set", "digits"):
        with pytest.raises(
            DataError, match=r"resize is one of crop, pad, squash, got 'sqash'; did you mean 'squash'\?"
        ):
            data.load(reference, data.DataOptions(resize="sqash"))
    with pytest.raises(DataError, match="resize does not apply to wine, which is a table"):
        data.load("wine", data.DataOptions(resize="pad"))


def test_square_pictures_are_the_same_under_every_rule(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"), size=(16, 16))
    found = [data.load(tmp_path / "set", data.DataOptions(resize=rule)) for rule in (None, *resizing.RULES)]
    assert all(torch.equal(single(found[0].train.inputs), single(other.train.inputs)) for other in found)
    assert found[0].task == found[1].task != found[2].task


def test_decode_by_each_rule(tmp_path: Path) -> None:
    strip(tmp_path, "one", 8, each=1)
    bright = {
        rule: int(decode(tmp_path / "one" / "0.png", (40, 40), 1, Reading(resize=rule)).max())
        for rule in resizing.RULES
    }
    assert bright["crop"] == 100 and bright["pad"] > 200 and bright["squash"] > 200
    assert kind_of("image").kept(data.from_json(OLD), Reading(resize="pad")).to_json()["resize"].startswith("longer")
