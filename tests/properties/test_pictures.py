"""Pictures are read as they were written, or refused in one line."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from autokd import data
from autokd.data_types import DataContext, Part
from autokd.datasets import arrays
from autokd.datasets._image_folder import ImageFolder
from autokd.datasets.layout import SPLITS
from autokd.modalities.images import ImagePreprocess
from autokd.networks.inputs import kind_of
from tests.properties.outcomes import Outcomes
from tests.properties.written_pictures import EIGHT_BITS, Picture, PictureSet, picture_sets


def in_three(part: Part) -> NDArray[np.int64]:
    """The pictures of a split [N, H, W, 3]."""
    images: torch.Tensor = part.inputs
    return images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy().astype(np.int64)


def meant(picture: Picture, span: tuple[float, float] | None) -> NDArray[Any]:
    if span is None:
        return picture.means
    low, high = span
    levels = np.rint((picture.means.astype(float).clip(low, high) - low) * 255 / ((high - low) or 1))
    return np.repeat(levels[..., None], 3, 2)


def check_part(
    found: NDArray[np.int64], pictures: list[tuple[Path, Picture]], span: tuple[float, float] | None
) -> None:
    """Check that the pictures of a class are those that were written, each once."""
    assert len(found) == len(pictures)
    left = list(range(len(found)))
    for path, picture in pictures:
        expected = meant(picture, span)
        near = [place for place in left if np.abs(found[place] - expected).max() <= picture.near]
        assert near, (path, picture.image.mode, picture.options, expected[0, :3], found[left][:, 0, :3])
        left.remove(near[0])


def check(written: PictureSet) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        written.save(root)
        context = DataContext(cache=Path(folder) / "cache", image_size=written.side)
        raw = ImageFolder(root=str(root)).build(context)
        names = sorted({name for classes in written.parts.values() for name in classes})
        assert raw.classes == tuple(names)
        training = [p for split, classes in written.parts.items() if SPLITS.get(split.lower(), "train") == "train"
                    for pictures in classes.values() for _, p in pictures]  # fmt: skip
        levels = [level for picture in training for level in (picture.means.min(), picture.means.max())]
        span = (float(min(levels)), float(max(levels))) if written.deep else None
        for split, classes in written.parts.items():
            part: Part = getattr(raw, SPLITS.get(split.lower(), "train"))
            for name, pictures in classes.items():
                check_part(in_three(part)[part.labels == names.index(name)], pictures, span)
        fitted, _ = kind_of("image").fit(raw.train.inputs, raw.classes)
        preprocess = data.from_json(kind_of("image").kept(fitted, raw.reading).to_json())
        homes = [root / split for split in written.parts if SPLITS.get(split.lower(), "train") == "train"]
        again = data.read_inputs(preprocess, homes).inputs
        assert Counter(map(bytes, again.numpy())) == Counter(map(bytes, raw.train.inputs.numpy())), "as predict reads"


def test_folders_of_pictures() -> None:
    outcomes = Outcomes()

    @given(picture_sets())
    def run(written: PictureSet) -> None:
        with outcomes.one():
            check(written)

    run()
    outcomes.check()


@st.composite
def single_pictures(draw: st.DrawFn) -> Picture:
    rng = random.Random(draw(st.integers(0, 2**32)))
    return draw(st.sampled_from(EIGHT_BITS))(rng, draw(st.sampled_from((1, 3, 8))))


@given(single_pictures(), st.integers(1, 8), st.sampled_from(["crop", "pad", "squash"]))
def test_a_picture_is_the_same_from_a_file_and_from_pil(picture: Picture, turned: int, rule: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"a{picture.ending}"
        picture.save(file, turned if picture.may_be_turned else 1)
        for channels in (1, 3):
            reading = dataclasses.replace(ImagePreprocess.reading, resize=rule)
            preprocess = ImagePreprocess(
                classes=("a", "b"), channels=channels, size=(8, 8), mean=(0.0,) * channels, std=(1.0,) * channels,
                reading=reading,
            )  # fmt: skip
            kind = kind_of("image")
            expected = data.read_inputs(preprocess, [file]).inputs
            with Image.open(file) as opened:
                given_ = kind.given(preprocess, opened, skip_bad=False).inputs
            assert torch.equal(expected, given_)


FORMS: dict[str, Any] = {
    "uint8": lambda images: images,
    "int64": lambda images: images.astype(np.int64),
    "float32": lambda images: (images / 255).astype(np.float32),
    "float64": lambda images: images / 255,
    "tensor": torch.from_numpy,
    "float tensor": lambda images: torch.from_numpy(images) / 255,
    "fortran": np.asfortranarray,
    "read-only": lambda images: np.frombuffer(images.tobytes(), np.uint8).reshape(images.shape),
}


@st.composite
def stacks(draw: st.DrawFn) -> tuple[NDArray[np.uint8], str, str]:
    n, height, width = draw(st.integers(5, 9)), draw(st.integers(5, 9)), draw(st.integers(5, 9))
    channels = draw(st.sampled_from((1, 3)))
    seed = draw(st.integers(0, 2**32 - 1))
    images = np.random.default_rng(seed).integers(0, 256, (n, channels, height, width), dtype=np.uint8)
    layouts = ("NCHW", "NHWC", "NHW") if channels == 1 else ("NCHW", "NHWC")
    return images, draw(st.sampled_from(layouts)), draw(st.sampled_from(sorted(FORMS)))


@given(stacks())
def test_arrays_are_the_same_in_training_and_in_use(stack: tuple[NDArray[np.uint8], str, str]) -> None:
    images, layout, form = stack
    laid = {"NCHW": images, "NHWC": images.transpose(0, 2, 3, 1), "NHW": images[:, 0]}[layout]
    given_ = FORMS[form](np.ascontiguousarray(laid))
    with tempfile.TemporaryDirectory() as folder:
        component = arrays.from_arrays(given_, np.arange(len(images)) % 2, Path(folder))
        raw = component.build(DataContext(cache=Path(folder)))
        assert np.array_equal(raw.train.inputs.numpy(), images)
        assert raw.train.labels.tolist() == [row % 2 for row in range(len(images))]
        fitted, _ = kind_of("image").fit(raw.train.inputs, raw.classes)
        assert np.array_equal(kind_of("image").given(fitted, given_, skip_bad=False).inputs.numpy(), images)
