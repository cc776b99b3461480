"""From image files to pixels: transparency, modes, levels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from autokd import data
from autokd.batching import single
from autokd.data_types import DataContext, Raw
from autokd.datasets._image_folder import ImageFolder
from autokd.errors import DataError
from autokd.modalities.images import Reading, decode
from tests.datasets.helpers import write_noise

CLEAR, INK, HALF = (0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 128)


def drawn() -> Image.Image:
    """A transparent picture with black ink at (1, 1) and half transparent red at (2, 2)."""
    image = Image.new("RGBA", (4, 4), CLEAR)
    image.putpixel((1, 1), INK)
    image.putpixel((2, 2), HALF)
    return image


def three(path: Path, **reading: Any) -> list[list[int]]:
    """The pixels of the corner, the ink and the half."""
    found = decode(path, (4, 4), 3, Reading(**reading))
    return [found[:, i, i].tolist() for i in range(3)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_transparent_colour_is_laid_on_white(tmp_path: Path, ending: str) -> None:
    drawn().save(tmp_path / f"a.{ending}", lossless=True, exact=True)
    assert three(tmp_path / f"a.{ending}") == [[255] * 3, [0] * 3, [255, 127, 127]]
    assert three(tmp_path / f"a.{ending}", ground="black") == [[0] * 3, [0] * 3, [128, 0, 0]]


@pytest.mark.filterwarnings("error")
def test_transparent_grey_and_palette_are_laid_on_white(tmp_path: Path) -> None:
    drawn().convert("LA").save(tmp_path / "grey.png")
    assert [pixel[0] for pixel in three(tmp_path / "grey.png")] == [255, 0, 165]
    drawn().quantize(8).save(tmp_path / "palette.png")
    with Image.open(tmp_path / "palette.png") as image:
        assert image.mode == "P" and "transparency" in image.info
    assert three(tmp_path / "palette.png") == [[255] * 3, [0] * 3, [255, 127, 127]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I;16", "P"])
def test_one_colour_that_stands_for_nothing(tmp_path: Path, mode: str) -> None:
    """PNG and GIF may say that all pixels of one colour are transparent."""
    file = tmp_path / ("a.gif" if mode == "P" else "a.png")
    image = Image.fromarray(np.diag([60000] * 4).astype(np.uint16)) if mode == "I;16" else None
    image = image or Image.fromarray(np.eye(4, dtype=np.uint8) * 255).convert(mode)
    image.save(file, transparency=(0, 0, 0) if mode == "RGB" else 0)
    on_black = decode(file, (4, 4), 1, Reading(ground="black"))[0]
    assert on_black[0, 1] == 0 and on_black[0, 0] > 200
    assert decode(file, (4, 4), 1)[0, 0, 1] == 255


def test_the_hidden_colour_does_not_matter(tmp_path: Path) -> None:
    for name, hidden in (("white", (255, 255, 255, 0)), ("black", CLEAR), ("green", (0, 255, 0, 0))):
        image = Image.new("RGBA", (8, 8), hidden)
        image.paste(INK, (2, 2, 5, 5))
        image.save(tmp_path / f"{name}.png")
    found = [decode(tmp_path / f"{name}.png", (6, 6), 3).tolist() for name in ("white", "black", "green")]
    assert found[0] == found[1] == found[2]


def test_ink_on_nothing_can_be_learned_from(tmp_path: Path) -> None:
    for i, name in enumerate(("disc", "box")):
        (tmp_path / "ink" / name).mkdir(parents=True)
        for j in range(12):
            image = Image.new("RGBA", (16, 16), CLEAR)
            image.paste((40, 40, 40, 255), (2, 2, 5 + j % 4, 5 + i))
            image = (image.convert("LA"), image.quantize(8), image)[j % 3]
            image.save(tmp_path / "ink" / name / f"{j}.png")
    dataset = data.load(tmp_path / "ink")
    assert dataset.task.input_shape == (1, 16, 16) and set(single(dataset.train.inputs).unique().tolist()) == {40, 255}
    black = data.load(tmp_path / "ink", data.DataOptions(ground="black"))
    assert black.reference["component"]["ground"] == "black"
    assert data.from_json(black.preprocess.to_json()) == black.preprocess
    assert black.preprocess.to_json()["ground"] == "black" and "ground" not in dataset.preprocess.to_json()
    raw = data.read_inputs(black.preprocess, [tmp_path / "ink"])
    assert set(raw.inputs.unique().tolist()) == {0, 40}
    with pytest.raises(DataError, match="ground is one of white, black, got 'grey'"):
        data.load(tmp_path / "ink", data.DataOptions(ground="grey"))
    with pytest.raises(DataError, match="ground does not apply to digits"):
        data.load("digits", data.DataOptions(ground="white"))


def write(folder: Path, arrays: dict[str, list[np.ndarray]], ending: str = "tif") -> None:
    """Write arrays as pictures, by class."""
    for name, pictures in arrays.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, array in enumerate(pictures):
            Image.fromarray(array).save(folder / name / f"{i}.{ending}")


def read(folder: Path, **options: Any) -> Raw:
    return ImageFolder(root=str(folder)).build(DataContext(cache=folder.parent / "cache", **options))


@pytest.mark.parametrize(
    ("dtype", "low", "high", "ending"),
    [
        (np.uint16, 0, 4095, "png"),  # 12 bits in 16
        (np.uint16, 7000, 9000, "tif"),  # a thermal camera
        (np.int32, -500, 1500, "tif"),
        (np.int32, 0, 200, "tif"),
        (np.float32, 0, 1, "tif"),
        (np.float32, -3.5, 2.5, "tif"),
    ],
)
def test_one_range_for_the_whole_set(tmp_path: Path, dtype: Any, low: float, high: float, ending: str) -> None:
    """Pictures keep their order: the same level is the same in a dark and in a bright picture."""
    ramp = np.linspace(low, high, 64).reshape(8, 8)
    dark, bright = np.minimum(ramp, (low + high) / 2), np.maximum(ramp, (low + high) / 2)
    turned = [picture.T for picture in (dark, bright, ramp)]
    pictures = {"a": [dark, bright, ramp], "b": turned}
    write(tmp_path / "set", {name: [(p + 0).astype(dtype) for p in row] for name, row in pictures.items()}, ending)
    raw = read(tmp_path / "set")
    pixels = raw.train.inputs[:3, 0].reshape(3, 64).long()
    assert raw.train.inputs.shape[1] == 1 and pixels[2].min() == 0 and pixels[2].max() == 255
    assert (pixels[2].diff() >= 0).all() and len(pixels[2].unique()) >= 60
    assert (pixels[0] <= pixels[2]).all() and (pixels[2] <= pixels[1]).all()
    assert pixels[0, 0] == pixels[2, 0] == 0 and pixels[1, -1] == pixels[2, -1] == 255
    assert raw.remarks == (f"the pictures have more than 8 bits a level: {low:g} to {high:g} become 0 to 255",)


def test_levels_are_kept_for_predictions(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {name: [rng.integers(100, 4000, (8, 8)).astype(np.uint16) for _ in range(12)] for name in "ab"}
    arrays["a"][0][0, :2] = 100, 4000
    write(tmp_path / "set", arrays, "png")
    preprocess = data.load(tmp_path / "set").preprocess
    assert preprocess.to_json()["levels"] == [100.0, 4000.0]
    assert data.from_json(preprocess.to_json()) == preprocess
    new = np.array([[0, 100, 2050, 4000, 60000] + [100] * 3] * 8, np.uint16)
    write(tmp_path, {"new": [new]}, "png")
    assert data.read_inputs(preprocess, [tmp_path / "new"]).inputs[0, 0, 0, :5].tolist() == [0, 0, 128, 255, 255]
    write_noise(tmp_path, ("eight",), each=1)
    with pytest.raises(DataError, match="it has 8 bits a level, and the other pictures have more: 100 to 4000"):
        data.read_inputs(preprocess, [tmp_path / "eight"])


def test_pictures_without_a_range_in_common_are_refused(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"), each=3)
    write(tmp_path / "set", {"b": [np.full((8, 8), 4000, np.uint16)]}, "tiff")
    with pytest.raises(
        DataError, match=r"1 pictures have more than 8 bits .*0\.tiff\) and 6 have 8 .*save all of them"
    ):
        data.load(tmp_path / "set")


def test_levels_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "set", {name: [np.full((8, 8), i, np.float32) for i in range(6)] for name in "ab"})
    write(tmp_path / "set", {"b": [np.full((8, 8), np.nan, np.float32)]}, "tiff")
    with pytest.raises(DataError, match=r"0\.tiff: not a readable image \(it has levels that are no finite numbers\)"):
        data.load(tmp_path / "set")
    assert len(read(tmp_path / "set", skip_bad=True).train) == 12


def test_a_student_of_8_bits_says_how_it_reads_more(tmp_path: Path) -> None:
    write_noise(tmp_path / "set", ("a", "b"))
    preprocess = data.load(tmp_path / "set").preprocess
    write(tmp_path, {"new": [np.full((8, 8), 25700, np.uint16)], "real": [np.full((8, 8), 0.5, np.float32)]})
    raw = data.read_inputs(preprocess, [tmp_path / "new"])
    assert int(raw.inputs.max()) == 100
    assert raw.remarks == ("1 of 1 pictures have more than 8 bits a level; 0 to 65535 become 0 to 255",)
    with pytest.raises(DataError, match=r"it has the levels 0\.5 to 0\.5, and the other pictures have 8 bits"):
        data.read_inputs(preprocess, [tmp_path / "real"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("mode", "ending"),
    [
        *[("1", "png"), ("L", "bmp"), ("P", "gif"), ("RGB", "jpg"), ("CMYK", "jpg"), ("CMYK", "tif"), ("YCbCr", "tif")],
        *[("LAB", "tif"), ("RGBA", "png"), ("LA", "png")],
    ],
)
def test_modes_keep_the_order_of_their_levels(tmp_path: Path, mode: str, ending: str) -> None:
    grey = Image.fromarray(np.repeat(np.linspace(0, 255, 8).astype(np.uint8)[None], 8, 0))
    image = grey.convert("RGB") if mode not in ("1", "L", "LA") else grey
    if mode == "LAB":
        image = Image.merge("LAB", (grey, Image.new("L", (8, 8), 128), Image.new("L", (8, 8), 128)))
    else:
        image = image.convert(mode)
    image.save(tmp_path / f"a.{ending}")
    row = decode(tmp_path / f"a.{ending}", (8, 8), 1)[0].mean(0)
    assert row[0] < 40 and row[-1] > 215 and row[:4].mean() + 60 < row[4:].mean()


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_torch_datasets_of_wide_pictures_are_refused(mode: str) -> None:
    level = np.uint16(4000) if mode == "I;16" else np.float32(40.5)
    items = [(Image.fromarray(np.full((4, 4), level) + i), i % 2) for i in range(20)]
    with pytest.raises(DataError, match="expected whole numbers in 0 to 255"):
        data.load(_Items(items))


class _Items(TorchDataset[Any]):
    def __init__(self, items: list[tuple[Image.Image, int]]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return self.items[index]
