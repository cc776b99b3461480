"""What a student is to see, in the forms in which people bring it: read as the search read its data, or one line."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from autokd import data
from autokd.batching import single
from autokd.data import DataOptions, Dataset, read_inputs
from autokd.errors import UserError
from autokd.input_values import Preprocess
from autokd.modalities.rows import given_rows

N = 60


def german(value: float, digits: int = 3) -> str:
    return f"{value:,.{digits}f}".translate(str.maketrans(",.", ".,"))


def typed() -> pd.DataFrame:
    """Rows as a program holds them; more than a third of `lab` is missing."""
    draw = random.Random(0)
    days = [pd.Timestamp("2024-01-01") + pd.Timedelta(days=draw.randint(0, 600)) for _ in range(N)]
    return pd.DataFrame(
        {
            "income": [round(draw.uniform(1, 9000), 3) for _ in range(N)],
            "ratio": [round(draw.uniform(1, 9), 3) for _ in range(N)],
            "share": [round(draw.random(), 3) for _ in range(N)],
            "colour": [draw.choice(["red", "green", "blue"]) for _ in range(N)],
            "day": days,
            "seen": [float("nan") if place % 7 == 0 else float(f"{day:%Y%m%d}") for place, day in enumerate(days)],
            "lab": [float("nan") if place % 3 == 0 else round(draw.gauss(0, 1), 3) for place in range(N)],
            "outcome": ["sick" if place % 2 else "well" for place in range(N)],
        }
    )


def written(frame: pd.DataFrame, *, missing: str = "unknown") -> pd.DataFrame:
    """The same as a German spreadsheet writes them, with a word for what is missing."""
    return frame.assign(
        income=[german(value) for value in frame["income"]],
        ratio=[german(value) for value in frame["ratio"]],
        share=[f"{german(100 * value, 1)} %" for value in frame["share"]],
        day=[f"{day:%d.%m.%Y}" for day in frame["day"]],
        seen=["" if pd.isna(value) else f"{value:.0f}" for value in frame["seen"]],
        lab=[missing if pd.isna(value) else german(value) for value in frame["lab"]],
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    file = tmp_path_factory.mktemp("trained") / "table.csv"
    written(typed()).to_csv(file, sep=";", index=False)
    return data.load(file, DataOptions(target="outcome"))


def stored(dataset: Dataset) -> list[bytes]:
    """Every sample as the search reads it."""
    parts = (dataset.train, dataset.validation, dataset.read_test())
    return in_any_order(torch.cat([single(part.inputs)[:] for part in parts]))


def in_any_order(samples: Tensor) -> list[bytes]:
    return sorted(row.tobytes() for row in samples.numpy())


def read(preprocess: Preprocess, *paths: Path, skip_bad: bool = False) -> Tensor:
    return single(preprocess.apply(read_inputs(preprocess, paths, skip_bad=skip_bad).inputs))


def refusal(preprocess: Preprocess, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(preprocess, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Tables


@pytest.mark.parametrize("options", [{"sep": ";"}, {"sep": "\t"}, {"sep": ","}, {"sep": "|", "encoding": "utf-16"},
                                     {"encoding": "utf-8-sig"}])  # fmt: skip
@pytest.mark.parametrize("missing", ["unknown", ""])
def test_the_training_table_is_read_as_in_training(
    table: Dataset, tmp_path: Path, options: dict[str, Any], missing: str
) -> None:
    frame = written(typed(), missing=missing)[[*typed().columns[::-1]]].assign(extra="?")
    frame.to_csv(tmp_path / "new.csv", index=False, **options)
    assert in_any_order(read(table.preprocess, tmp_path / "new.csv")) == stored(table)


def in_forms(folder: Path) -> dict[str, Any]:
    frame = typed().drop(columns="outcome")
    decimals = frame.assign(ratio=pd.Series([Decimal(str(value)) for value in frame["ratio"]], dtype=object))
    frame.to_parquet(folder / "typed.parquet")
    decimals.to_parquet(folder / "decimals.parquet")
    written(typed().iloc[:45]).to_csv(folder / "part.csv", index=False)
    frame.iloc[45:].to_parquet(folder / "part.parquet")
    return {
        "Parquet": [folder / "typed.parquet"],
        "Parquet with decimals": [folder / "decimals.parquet"],
        "text and Parquet": [folder / "part.csv", folder / "part.parquet"],
        "a table": frame,
        "a table of objects": frame.astype(object),
        "rows": [row for _, row in frame.iterrows()],
        "dicts": frame.to_dict("records"),
    }


def test_numbers_as_such_are_not_read_as_text_is(table: Dataset, tmp_path: Path) -> None:
    """1.234 as a number is no 1,234, though text was written with decimal commas."""
    preprocess: Any = table.preprocess
    assert {"lab": "numeric", "seen": "date"}.items() <= {
        column.name: column.type for column in preprocess.columns
    }.items()
    for name, form in in_forms(tmp_path).items():
        paths = isinstance(form, list) and isinstance(form[0], Path)
        found = (
            read(preprocess, *form) if paths else preprocess.apply(given_rows(preprocess, form, skip_bad=False).inputs)
        )
        assert in_any_order(found) == stored(table), name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"income": "dear"}, "'income': 'dear' in row 1 .line 2. is not a number"),
        ({"day": "soon"}, "'day': 'soon' in row 1 .line 2. is not a date"),
        ({"lab": "lost"}, "'lab': 'lost' in row 1 .line 2. is not a number"),
        ({"colour": "violet"}, "'violet' was never seen in training; known: blue, green, red"),
    ],
)
def test_cells_that_are_not_as_in_training(
    table: Dataset, tmp_path: Path, change: dict[str, str], message: str
) -> None:
    written(typed()).assign(**change).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(UserError, match=message):
        read(table.preprocess, tmp_path / "new.csv")
    assert len(read(table.preprocess, tmp_path / "new.csv", skip_bad=True)) == N


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tif", "webp", "csv"])
def test_a_picture_is_no_table(table: Dataset, tmp_path: Path, ending: str) -> None:
    Image.new("RGB", (9, 9), (200, 10, 3)).save(tmp_path / f"a.{ending}", "PNG" if ending == "csv" else None)
    assert refusal(table.preprocess, tmp_path / f"a.{ending}").endswith("not a readable table (it is a picture)")


# Pictures


def alter(picture: Image.Image, place: int) -> Image.Image:
    """Pictures of many kinds in one set."""
    alpha = Image.new("LA", picture.size)
    alpha.putalpha(picture)
    coloured = Image.merge("RGB", (picture, picture.rotate(90), picture))
    kinds = (picture, coloured, coloured.quantize(8), alpha, picture.resize((7, 15)), picture.convert("1"), picture)
    return kinds[place % len(kinds)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for place in range(N):
        file = folder / "set" / "ab"[place % 2] / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        alter(Image.fromarray(draw.integers(0, 256, (9, 9), dtype=np.uint8)), place).save(file)
    return folder


@pytest.mark.parametrize("resize", [None, "crop", "pad", "squash"])
def test_a_folder_is_read_as_in_training(pictures: Path, resize: str | None) -> None:
    dataset = data.load(pictures / "set", DataOptions(resize=resize, image_size=8))
    assert in_any_order(read(dataset.preprocess, pictures / "set")) == stored(dataset)


def listed(pictures: Path) -> list[str]:
    return [file.relative_to(pictures).as_posix() for file in sorted((pictures / "set").rglob("*.png"))]


def test_what_names_no_pictures_is_told_of_as_such(pictures: Path) -> None:
    preprocess = data.load(pictures / "set").preprocess
    rows = "".join(f"{name},a\n" for name in listed(pictures))
    for content, message in (
        ("Some prose, in\ntwo lines.\nOr more, even, than\n", "neither a picture nor a table of pictures"),
        ("", "neither a picture nor a table of pictures"),
        ("a,b\n1,2\n", "neither a picture nor a table of pictures"),
        (f"file,label\n{rows},a\n", f"column 'file' names image files, but none in row {N + 1} (line {N + 2})"),
        (f"file,label\n{rows}notes.txt,a\n", f"'file' names image files, but notes.txt in row {N + 1}"),
        (rows, "the first line names the picture set/a/0.png, and should name the columns"),
    ):
        (pictures / "list.txt").write_text(content)
        assert message in refusal(preprocess, pictures / "list.txt")
    rows = "".join(f"a;train;{name}\n" for name in listed(pictures))
    (pictures / "list.csv").write_text(f"label;split;file\n{rows}")
    assert torch.equal(read(preprocess, pictures / "list.csv"), read(preprocess, pictures / "set"))


def test_a_list_without_a_heading_loses_no_picture(pictures: Path) -> None:
    (pictures / "bare.csv").write_text("".join(f"{name},{name[4]}\n" for name in listed(pictures)))
    with pytest.raises(UserError, match=r"the first line names the picture set/a/0.png"):
        data.load(pictures / "bare.csv")
