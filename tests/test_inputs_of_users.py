"""What people bring, kind by kind: each is read as it was meant, or refused in one line that says what to do."""

from __future__ import annotations

import io
import os
import random
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

from autokd import data
from autokd.batching import single
from autokd.cli.commands import run_command
from autokd.data import DataOptions, Dataset
from autokd.errors import UserError
from autokd.modalities.decoding import decode
from autokd.modalities.numerals import number
from autokd.modalities.tables import read_table

N = 24
"""Samples of most sets here."""


def noise(path: Path, size: tuple[int, int] = (12, 12), *, top: int = 255) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32("/".join(path.parts[-3:]).encode()))
    Image.fromarray(rng.integers(0, top, (size[1], size[0]), dtype=np.uint8)).save(path)


def two_classes(root: Path, names: tuple[str, str] = ("a", "b")) -> Path:
    for name in names:
        for place in range(N // 2):
            noise(root / name / f"{place}.png")
    return root


def pixels_of(dataset: Dataset) -> np.ndarray:
    parts = (dataset.train, dataset.validation, dataset.read_test())
    return np.concatenate([single(part.inputs).numpy() for part in parts])


def samples(dataset: Dataset) -> int:
    return sum(dataset.card["samples"].values())


def message(call: Callable[[], Any]) -> str:
    """The one line that is said of what cannot be used."""
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Pictures that are not square


def strip(kind: str, place: int) -> Image.Image:
    """A strip of 100 with a box of 255 near one end."""
    image = np.full((24, 96), 100, np.uint8)
    image[6:18, slice(4, 12) if place % 2 else slice(84, 92)] = 255
    turned = {"lying": image, "standing": image.T, "square": np.full((24, 24), 255, np.uint8)}[kind]
    return Image.fromarray(turned)


@pytest.mark.parametrize("kinds", [("lying",), ("standing",), ("lying", "standing")], ids=" and ".join)
@pytest.mark.parametrize("orientation", [1, 6])
def test_marks_at_the_ends_of_long_pictures_are_seen(tmp_path: Path, kinds: tuple[str, ...], orientation: int) -> None:
    for place in range(N):
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = tmp_path / "set" / ("left", "right")[place % 2] / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        strip(kinds[place // 2 % len(kinds)], place).save(file, exif=exif)
    dataset = data.load(tmp_path / "set")
    assert (pixels_of(dataset).reshape(N, -1).max(1) > 200).all()
    assert any("a centre crop would cut" in remark for remark in dataset.card["remarks"])


# Transparent pictures


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "gif"])
@pytest.mark.parametrize("hidden", [0, 77])
def test_black_ink_on_nothing_is_black_on_white(tmp_path: Path, ending: str, hidden: int) -> None:
    image = np.full((8, 8, 4), (hidden, hidden, hidden, 0), np.uint8)
    image[2:4, 2:4] = (0, 0, 0, 255)
    options: dict[str, Any] = {"lossless": True, "exact": True} if ending == "webp" else {}
    Image.fromarray(image, "RGBA").save(tmp_path / f"a.{ending}", **options)
    levels = decode(tmp_path / f"a.{ending}", (8, 8), 1)[0]
    assert levels[2, 2] == 0 and levels[0, 0] == 255 and int((levels == 0).sum()) == 4


class Items(TorchDataset[Any]):
    def __init__(self, items: list[tuple[Any, int]]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        return self.items[place]


def test_transparent_pictures_of_a_torch_dataset_lie_on_white() -> None:
    images = [Image.new("RGBA", (6, 6), (0, 0, 0, 0)) for _ in range(N)]
    for place, image in enumerate(images):
        image.putpixel((place % 6, place // 6), (0, 0, 0, 255))
    levels = pixels_of(data.load(Items([(image, place % 2) for place, image in enumerate(images)])))
    assert sorted(np.unique(levels)) == [0, 255] and int((levels == 255).sum()) > int((levels == 0).sum())


# Links, what programs leave behind, names of splits


def test_a_split_and_a_table_whose_files_are_links(tmp_path: Path) -> None:
    store = two_classes(tmp_path / "store")
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        (tmp_path / "set" / split).symlink_to(store)
    assert samples(data.load(tmp_path / "set")) == 2 * N
    (tmp_path / "links").mkdir()
    for place in range(N):
        (tmp_path / "links" / f"{place}.png").symlink_to(store / "ab"[place % 2] / f"{place // 2}.png")
    rows = "".join(f"links/{place}.png,{'ab'[place % 2]}\n" for place in range(N))
    (tmp_path / "list.csv").write_text(f"file,label\n{rows}")
    assert samples(data.load(tmp_path / "list.csv", DataOptions(target="label"))) == N


@pytest.mark.parametrize("name", ["~$1.png", "._1.jpg", ".AppleDouble/1.png", "@eaDir/1.png/SYNO.jpg", ".git/x.png"])
def test_files_that_programs_leave_behind_are_no_pictures(tmp_path: Path, name: str) -> None:
    root = two_classes(tmp_path / "set")
    for folder in (root, root / "a"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    dataset = data.load(root)
    assert (samples(dataset), dataset.task.classes) == (N, ("a", "b"))


@pytest.mark.parametrize("names", [("Validation", "Verification"), ("dev", "prod"), ("holdout", "kept"), ("test", "x")])
def test_classes_that_are_called_like_splits(tmp_path: Path, names: tuple[str, str]) -> None:
    dataset = data.load(two_classes(tmp_path / "set", names))
    assert (samples(dataset), dataset.task.classes) == (N, names)


# Tables as other programs write them


def rows() -> pd.DataFrame:
    draw = random.Random(0)
    return pd.DataFrame(
        {
            "dose": [round(draw.gauss(place % 2 * 3, 1), 3) for place in range(60)],
            "marker": [draw.randint(0, 1) for _ in range(60)],
            "outcome": ["sick" if place % 2 else "well" for place in range(60)],
        }
    )


def of_r(frame: pd.DataFrame, *, sep: str, comma: bool) -> str:
    """As write.table does: names of rows, and no heading above them."""
    cells = [[f"r {place}", *map(str, row)] for place, row in enumerate(frame.itertuples(index=False))]
    cells = [[row[0], row[1].replace(".", "," if comma else "."), *row[2:]] for row in cells]
    lines = [sep.join(f'"{name}"' for name in frame.columns)]
    lines += [sep.join([f'"{row[0]}"', row[1], row[2], f'"{row[3]}"']) for row in cells]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("sep", "comma"), [(",", False), (";", True), ("\t", False), (" ", False), ("\t", True)])
def test_names_of_rows_without_a_heading_shift_nothing(tmp_path: Path, sep: str, comma: bool) -> None:
    frame = rows()
    frame.to_csv(tmp_path / "plain.csv", index=False)
    (tmp_path / "r.txt").write_text(of_r(frame, sep=sep, comma=comma))
    plain, of_rows = (data.load(tmp_path / name, DataOptions(target="outcome")) for name in ("plain.csv", "r.txt"))
    assert of_rows.task.classes == plain.task.classes == ("sick", "well")
    assert torch.equal(single(of_rows.train.inputs), single(plain.train.inputs))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a;b;y\n1,5;2,5;x\n3,5;4,5;z\n", ["a", "b", "y"]),
        ("#id,age\nr1,7,1\nr2,8,2\n", ["#id", "age"]),
        ("Size, cm;y\n1,5;x\n2,5;z\n", ["Size, cm", "y"]),
    ],
)
def test_the_heading_is_found(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert list(read_table(tmp_path / "t.csv").columns) == names


@pytest.mark.parametrize("cell", ["1_000", "12_5", "1_0"])
def test_names_with_an_underscore_are_no_numbers(tmp_path: Path, cell: str) -> None:
    assert np.isnan(number(cell))
    other = cell.replace("_", "")
    rows().assign(outcome=[cell, other] * 30).to_csv(tmp_path / "t.csv", index=False)
    assert set(data.load(tmp_path / "t.csv", DataOptions(target="outcome")).task.classes) == {cell, other}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"PK\x03\x04rest", "a workbook or a zip archive: save the sheet as CSV"),
        ("t.csv", b"\x1f\x8b\x08rest", "it is compressed: unpack it"),
        ("t.csv", b'[{"a": 1}, {"a": 2}]', "it is JSON: save it as CSV or Parquet"),
        ("t.csv", b"<html><table></table></html>", "it is a page or XML"),
        ("t.csv", b"PAR1....PAR1", "a Parquet file: call it .parquet"),
        ("t.feather", b"ARROW1\0\0\xff\xff", "it is a Feather file: save it as Parquet"),
        ("t.pkl", b"\x80\x04\x95", "it is a pickle: save the table as CSV or Parquet"),
        ("t.npy", b"\x93NUMPY\x01\0", "it is a NumPy array: give arrays in Python"),
        ("t.npz", b"PK\x03\x04 x_train.npy", "it holds NumPy arrays: give them in Python"),
        ("t.h5", b"\x89HDF\r\n", "it is an HDF5 file"),
        ("t.arff", b"% made by hand\n@RELATION x\n@data\n1,2\n", "it is an ARFF file: save it as CSV"),
        ("t.csv", "値、,y\n東京,1\n".encode("shift_jis"), "save as UTF-8"),
    ],
)
def test_other_kinds_of_files_are_called_what_they_are(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in message(lambda: read_table(tmp_path / name))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_texts_of_several_bytes_a_letter_without_a_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes("größe;y\n1,5;ja\n2,5;nein\n".encode(encoding))
    frame = read_table(tmp_path / "t.csv")
    assert list(frame.columns) == ["größe", "y"] and list(frame["größe"]) == ["1,5", "2,5"]


@pytest.mark.parametrize("mark", [":", "~", "\x01"])
def test_cells_between_other_marks_are_one_line(tmp_path: Path, mark: str) -> None:
    (tmp_path / "t.csv").write_text("\n".join(mark.join(row) for row in ["aby", *["127"] * 40]))
    said = message(lambda: data.load(tmp_path / "t.csv", DataOptions(target="y")))
    assert "put a comma, semicolon, tab or | between the cells" in said


@pytest.mark.parametrize("name", ["1\nb", "a\r\nb", "x\u2028y"])
def test_names_of_several_lines_are_no_messages_of_several(tmp_path: Path, name: str) -> None:
    frame = rows().set_axis([name, f"{name} ", "outcome"], axis=1)
    frame.to_csv(tmp_path / "t.csv", index=False)
    for target in (f"{name} ", "outcome"):
        said = message(lambda target=target: data.load(tmp_path / "t.csv", DataOptions(target=target)))  # type: ignore[misc]
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("cell", ["1e301", "-1e200", "9" * 160])
def test_numbers_too_large_to_square_are_one_line(tmp_path: Path, cell: str) -> None:
    rows().assign(dose=[cell, "1", "2"] * 20).to_csv(tmp_path / "t.csv", index=False)
    said = message(lambda: data.load(tmp_path / "t.csv", DataOptions(target="outcome")))
    assert "column 'dose'" in said and "too large" in said


@pytest.mark.parametrize("pattern", ["%Y%m%d%H%M%S", "%Y%m%dT%H%M%SZ", "%m/%Y", "%b %Y", "%a, %d %b %Y %H:%M:%S +0100"])
def test_dates_of_logs_mails_and_months(tmp_path: Path, pattern: str) -> None:
    days = pd.date_range("2023-02-01", periods=60, freq="37D")
    rows().assign(when=days.strftime(pattern)).to_csv(tmp_path / "t.csv", index=False)
    when = data.load(tmp_path / "t.csv", DataOptions(target="outcome")).preprocess.columns[-1]  # type: ignore[attr-defined]
    assert when.type == "date" and {"year", "month"} <= set(when.parts)


@pytest.mark.parametrize("unit", [" cm", "kg", "°C", " Fr."])
def test_numbers_with_a_unit_are_not_called_identifiers(
    tmp_path: Path, unit: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows().assign(size=[f"{row}.5{unit}" for row in range(60)]).to_csv(tmp_path / "t.csv", index=False)
    data.load(tmp_path / "t.csv", DataOptions(target="outcome"))
    assert f"numbers with {unit.strip()} behind them; write the numbers alone" in caplog.text


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("images/train", "images/val", "labels/train"), "boxes or masks"),
        (("train/images", "train/labels", "valid/images", "valid/labels"), "boxes or masks"),
        (("JPEGImages", "Annotations", "ImageSets"), "boxes or masks"),
        (("images", "masks"), "boxes or masks"),
        (("data/cat", "data/dog"), "one folder only, data, and folders in it"),
        (("data/train/cat", "data/train/dog"), "one folder only, data, and folders in it"),
    ],
)
def test_folders_of_other_tasks_and_one_folder_more(tmp_path: Path, folders: tuple[str, ...], said: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
        for shade in range(4):
            Image.new("L", (8, 8), shade).save(tmp_path / folder / f"{shade}.png")
    assert said in message(lambda: data.load(tmp_path))


def test_an_index_of_a_parquet_file_is_a_column_where_it_has_a_name(tmp_path: Path) -> None:
    for index in ("marker", "outcome", ["marker", "outcome"]):
        rows().set_index(index).to_parquet(tmp_path / "t.parquet")
        assert set(read_table(tmp_path / "t.parquet").columns) == {"dose", "marker", "outcome"}
    rows().set_axis([f"p{place}" for place in range(60)]).to_parquet(tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet").columns) == ["dose", "marker", "outcome"]


@pytest.mark.parametrize("cell", [[1, 2], np.zeros(2), {"x": 1}, (1, 2)], ids=lambda cell: type(cell).__name__)
def test_lists_in_cells_are_told(tmp_path: Path, cell: Any) -> None:
    frame = rows().assign(nested=[cell] * 60)
    assert "column 'nested' holds a" in message(lambda: data.load((frame, [0, 1] * 30)))
    frame.to_parquet(tmp_path / "t.parquet")
    assert "column 'nested' holds a" in message(
        lambda: data.load(tmp_path / "t.parquet", DataOptions(target="outcome"))
    )


# Data and labels in Python


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "X is a NoneType; expected a DataFrame, an array or a tensor"),
        ({"a": [1, 2]}, "X is a dict"),
        (scipy.sparse.eye(N), "X.toarray() makes one of a sparse matrix"),
        ([[1], [2, 3]], "X has rows of different lengths"),
        ([np.zeros((4, 4)), np.zeros((5, 4))], "inputs of several shapes [(4, 4), (5, 4)]"),
        (pd.DataFrame({"z": [1j] * N}), "column 'z' holds complex numbers"),
    ],
)
def test_what_is_no_data_in_python_is_called_what_it_is(given: Any, said: str) -> None:
    assert said in message(lambda: data.load((given, [0, 1] * (N // 2))))


def test_lists_of_images_are_images() -> None:
    images = np.random.default_rng(0).integers(0, 255, (N, 6, 6), dtype=np.uint8)
    expected = sorted(map(bytes, pixels_of(data.load((images, [0, 1] * (N // 2))))))
    for given in ([Image.fromarray(image) for image in images], list(images), list(torch.from_numpy(images))):
        assert sorted(map(bytes, pixels_of(data.load((given, [0, 1] * (N // 2)))))) == expected


@pytest.mark.parametrize("labels", [np.arange(8) + 2000, np.arange(8) / 2, np.float32(np.arange(8)), -np.arange(8)])
def test_few_of_many_numbered_classes_of_images_are_classes(labels: np.ndarray) -> None:
    images = np.random.default_rng(0).integers(0, 255, (24, 6, 6), dtype=np.uint8)
    assert data.load((images, np.repeat(labels, 3))).task.num_classes == 8


# No console


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


class Silent:
    """A stream that takes no text."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")

    def flush(self) -> None:
        """Nothing to do."""


@pytest.mark.parametrize("made", [closed, lambda: None], ids=["closed", "none"])
@pytest.mark.parametrize("names", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_streams_that_are_gone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: Callable[[], Any], names: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in names:
        monkeypatch.setattr(sys, name, made())
    assert run_command(["studies"]) == 0
    assert run_command(["trials", "nothing"]) == 2


def test_progress_into_a_stream_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    from autokd.lines import LineNotifier
    from autokd.search.run import Progress

    for stream in (closed(), Silent()):
        monkeypatch.setattr(sys, "stderr", stream)
        LineNotifier()(Progress(stage="explore", done=1, total=2))


@pytest.mark.parametrize("place", ["~nobody-of-this-name/kd", __file__, "/proc/kd"])
def test_a_cache_folder_that_cannot_be_is_one_line(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    if place.startswith("/proc") and not os.path.isdir("/proc/self"):  # noqa: PTH112
        pytest.skip("no such file system")
    monkeypatch.setenv("AUTOKD_CACHE", place)
    images = np.random.default_rng(0).integers(0, 255, (N, 6, 6), dtype=np.uint8)
    assert "AUTOKD_CACHE" in message(lambda: data.load((images, [0, 1] * (N // 2))))
