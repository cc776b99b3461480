"""Table files: formats, labels, groups, bad input."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_wine

from autokd import data
from autokd.batching import single
from autokd.errors import DataError
from autokd.modalities import tables


def wine() -> pd.DataFrame:
    frame = load_wine(as_frame=True).frame
    return frame.assign(target=frame["target"].map({0: "a", 1: "b", 2: "c"}))


def small(**columns: Sequence[object]) -> pd.DataFrame:
    return pd.DataFrame({"x": [1, 2, 3, 4, 5, 6, 7, 8], "label": ["p", "q"] * 4, **columns})


def refuse(path: Path, frame: pd.DataFrame, message: str, target: str | None = "label") -> None:
    frame.to_csv(path, index=False)
    with pytest.raises(DataError, match=message) as caught:
        data.load(path, data.DataOptions(target=target))
    assert "\n" not in str(caught.value)


def test_same_table_in_every_format(tmp_path: Path) -> None:
    frame = wine()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "b.csv", index=False, sep=";", encoding="utf-8-sig")
    frame.to_csv(tmp_path / "c.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "d.parquet")
    loaded = [data.load(path, data.DataOptions(target="target")) for path in sorted(tmp_path.iterdir())]
    assert len({dataset.task.fingerprint for dataset in loaded}) == 1
    assert loaded[0].task.classes == ("a", "b", "c") and loaded[0].task.input_shape == (13,)
    assert loaded[0].task.fingerprint != data.load("wine").task.fingerprint  # the class names differ


def test_whole_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    pd.DataFrame({"x": range(36), "y": [10, 9, 2] * 12}).to_csv(tmp_path / "a.csv", index=False)
    assert data.load(tmp_path / "a.csv", data.DataOptions(target="y")).task.classes == ("2", "9", "10")


def test_groups_stay_together_and_are_no_feature(tmp_path: Path) -> None:
    frame = wine().assign(person=[f"p{i % 30}" for i in range(178)])
    frame["person"] = frame["target"] + frame["person"]
    frame["marker"] = [float(name[2:]) for name in frame["person"]]
    frame.to_csv(tmp_path / "a.csv", index=False)
    dataset = data.load(tmp_path / "a.csv", data.DataOptions(target="target", group="person"))
    assert dataset.task.input_shape == (14,)
    parts = (dataset.train, dataset.validation, dataset.read_test())
    groups = [
        {(int(y), round(float(x), 4)) for x, y in zip(single(p.inputs)[:, 13], p.labels, strict=True)} for p in parts
    ]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    assert sum(map(len, groups)) == len(set(frame["person"]))
    assert all(15 <= len(part) <= 60 for part in parts[1:])


def test_class_in_one_group_is_refused(tmp_path: Path) -> None:
    small(g=["one", "two"] * 4).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match="2 group"):
        data.load(tmp_path / "a.csv", data.DataOptions(target="label", group="g"))


def test_validation_table(tmp_path: Path) -> None:
    frame = wine()
    frame.iloc[::2].to_csv(tmp_path / "a.csv", index=False)
    frame.iloc[1::2].to_csv(tmp_path / "b.csv", index=False)
    dataset = data.load(tmp_path / "a.csv", data.DataOptions(target="target", validation=tmp_path / "b.csv"))
    assert dataset.card["samples"] == {"train": 71, "validation": 89, "test": 18}
    frame.iloc[1::2].assign(target="aa").to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="'aa' is not in the training data; did you mean 'a'"):
        data.load(tmp_path / "a.csv", data.DataOptions(target="target", validation=tmp_path / "b.csv"))


def test_label_column_absent(tmp_path: Path) -> None:
    refuse(tmp_path / "a.csv", small(), r"no column 'labl'; did you mean 'label'\?", target="labl")
    refuse(tmp_path / "a.csv", small(), "--target which column is the label; columns: x, label", target=None)
    headless = small().rename(columns={"x": "39", "label": "p"})
    refuse(tmp_path / "a.csv", headless, "no column 'label'.* does the first line name the columns", target="label")


def test_labels_that_cannot_be_used(tmp_path: Path) -> None:
    refuse(
        tmp_path / "a.csv",
        small(label=["p", "q", None, "p", "q", "p", None, "q"]),
        r"2 row.* the first is row 3 \(line 4\)",
    )
    refuse(tmp_path / "a.csv", small(label=["p"] * 8), "only one class, 'p'")
    refuse(tmp_path / "a.csv", small(label=["p"] * 6 + ["q"] * 2), "class 'q' has 2 sample")
    many = pd.DataFrame({"x": range(60), "label": [i / 7 for i in range(60)]})
    refuse(tmp_path / "a.csv", many, "60 different numbers in 60 rows, .* only classification")


def test_text_none_is_a_class_but_empty_is_none(tmp_path: Path) -> None:
    small(label=["None", "mild"] * 4).to_csv(tmp_path / "a.csv", index=False)
    assert data.load(tmp_path / "a.csv", data.DataOptions(target="label")).task.classes == ("None", "mild")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: no such file"):
        data.load(tmp_path / "gone.csv", data.DataOptions(target="y"))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("x,label\n")
    (tmp_path / "ragged.csv").write_text("x,label\n1,a\n2,b,c,d\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81\x8d")
    (tmp_path / "wrong.parquet").write_text("x,label\n1,a\n")
    for file, message in [("empty.csv", "not a readable"), ("header.csv", "no rows"), ("ragged.csv", "line 3")]:
        with pytest.raises(DataError, match=message):
            data.load(tmp_path / file, data.DataOptions(target="label"))
    for file in ("binary.csv", "wrong.parquet"):
        with pytest.raises(DataError, match="not a readable table"):
            data.load(tmp_path / file, data.DataOptions(target="label"))


def test_cells() -> None:
    assert tables.texts(pd.Series([" a ", "?", None, "", "NaN", True, 3])) == ["a", None, None, None, None, "True", "3"]
    found, strays = tables.numbers(pd.Series(["1.5", " 2 ", "?", "x", "1e3"]))
    assert found[[0, 1, 4]].tolist() == [1.5, 2.0, 1000.0] and strays == [3]


def test_telco_churn(shared_data: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = shared_data / "telco_churn" / "Telco-Customer-Churn.csv"
    dataset = data.load(file, data.DataOptions(target="Churn"))
    assert sum(dataset.card["samples"].values()) == 7043
    assert dataset.card["dropped_columns"] == {"customerID": "identifier"}
    assert any("customerID" in record.getMessage() for record in caplog.records)
    columns = {column.name: column for column in vars(dataset.preprocess)["columns"]}
    assert columns["TotalCharges"].type == "numeric" and columns["TotalCharges"].missing  # 11 cells are a blank
    assert columns["Contract"].categories == ("Month-to-month", "One year", "Two year")


def test_adult_question_marks_are_missing(shared_data: Path, tmp_path: Path) -> None:
    names = (
        "age workclass fnlwgt education education-num marital-status occupation relationship race sex capital-gain "
        "capital-loss hours-per-week native-country income"
    )
    lines = (shared_data / "adult" / "adult-train.csv").read_text().splitlines()[:3000]
    (tmp_path / "adult.csv").write_text("\n".join([names.replace(" ", ","), *lines]))
    dataset = data.load(tmp_path / "adult.csv", data.DataOptions(target="income"))
    assert dataset.task.classes == ("<=50K", ">50K")
    columns = {column.name: column for column in vars(dataset.preprocess)["columns"]}
    assert [name for name, column in columns.items() if column.missing] == ["workclass", "occupation", "native-country"]
    assert columns["age"].type == "numeric" and columns["sex"].categories == ("Female", "Male")


def rows_of(sick: float = 3.0) -> list[tuple[str, str, str]]:
    draw = random.Random(0)
    made = []
    for _ in range(300):
        ill = draw.random() < 0.5
        made.append((f"{draw.gauss(sick if ill else 0, 1):.3f}", f"{draw.randint(0, 1)}", "sick" if ill else "well"))
    return made


def test_row_names_without_a_heading_are_no_column(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    control = "dose,marker,outcome\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows_of())
    from_r = '"dose","marker","outcome"\n' + "".join(f'"{i}",{a},{b},"{c}"\n' for i, (a, b, c) in enumerate(rows_of()))
    (tmp_path / "control.csv").write_text(control)
    (tmp_path / "from_r.csv").write_text(from_r)
    first, second = (
        data.load(tmp_path / f"{n}.csv", data.DataOptions(target="outcome")) for n in ("control", "from_r")
    )
    assert second.task.classes == ("sick", "well") and second.task.fingerprint == first.task.fingerprint
    assert [column.name for column in vars(second.preprocess)["columns"]] == ["dose", "marker"]
    said = [record.getMessage() for record in caplog.records if "training split" not in record.getMessage()]
    assert len(said) == 1 and "taken for the row's name" in said[0]
    new = data.read_inputs(first.preprocess, [tmp_path / "from_r.csv"]).inputs
    old = data.read_inputs(first.preprocess, [tmp_path / "control.csv"]).inputs
    assert single(first.preprocess.apply(new)).equal(single(first.preprocess.apply(old)))


@pytest.mark.parametrize("names", ["a,b,c,y ,y", "y ,a,b,c,y", "a,b,c,Y ,Y", "a, y,b,c,y", "a,y,b,c,y"])
def test_names_that_cannot_be_told_apart_are_one_line(tmp_path: Path, names: str) -> None:
    (tmp_path / "t.csv").write_text(names + "\n" + "1,2,3,4,5\n" * 9)
    with pytest.raises(DataError, match=r"column|both called") as caught:
        data.load(tmp_path / "t.csv", data.DataOptions(target="y"))
    assert "\n" not in str(caught.value) and str(caught.value).lower().count("'y") >= 1


@pytest.mark.parametrize("stray", ["abc", "12,5 kg", "see below", "1.2.3"])
def test_one_stray_cell_anywhere_drops_no_column(tmp_path: Path, caplog: pytest.LogCaptureFixture, stray: str) -> None:
    for row in (0, 150, 299):
        cells = [[a, c] for a, _, c in rows_of()]
        cells[row][0] = stray
        (tmp_path / "t.csv").write_text("dose,outcome\n" + "".join(f'"{a}",{c}\n' for a, c in cells))
        caplog.clear()
        dataset = data.load(tmp_path / "t.csv", data.DataOptions(target="outcome"))
        assert [column.type for column in vars(dataset.preprocess)["columns"]] == ["numeric"]
        assert f"first is {stray!r} in row {row + 1} (line {row + 2})" in caplog.records[0].getMessage()
        read = data.read_inputs(dataset.preprocess, [tmp_path / "t.csv"])
        assert len(single(dataset.preprocess.apply(read.inputs))) == 300
    (tmp_path / "one.csv").write_text("dose\nabc\n")
    with pytest.raises(
        DataError, match=r"'abc' in row 1 \(line 2\) is not a number, as it was in training; with --skip-bad"
    ):
        data.read_inputs(dataset.preprocess, [tmp_path / "one.csv"])
    assert (
        single(dataset.preprocess.apply(data.read_inputs(dataset.preprocess, [tmp_path / "one.csv"], skip_bad=True)[1]))
        .isfinite()
        .all()
    )


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (["1", "1.0", "2"], ("1", "2"), "'1' and '1.0' are the same number and count as one class"),
        (["0", "1", "01"], ("0", "1"), "'01' and '1' are the same number"),
        (["a", "3", "3.0"], ("3", "a"), "'3' and '3.0' are the same number"),
        (["Yes", "yes", "no"], ("Yes", "no", "yes"), "'Yes' and 'yes' differ only in how they are written"),
        (["a b", "a  b", "c"], ("a  b", "a b", "c"), "'a  b' and 'a b' differ only"),
        (["e\u0301", "\u00e9", "c"], ("c", "e\u0301", "\u00e9"), "differ only"),
        (["a", "a ", "c"], ("a", "c"), ""),
        (["1.0", "2.0", "2.0"], ("1.0", "2.0"), ""),
    ],
)
def test_classes_that_differ_only_in_spelling(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: list[str], classes: tuple[str, ...], said: str
) -> None:
    frame = pd.DataFrame({"x": [i * 7 % 11 for i in range(60)], "label": labels * 20})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert data.load(tmp_path / "t.csv", data.DataOptions(target="label")).task.classes == classes
    messages = [record.getMessage() for record in caplog.records if "training split" not in record.getMessage()]
    assert len(messages) == bool(said) and all(said in message for message in messages)


def test_a_validation_table_may_write_its_numbers_otherwise(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [i * 7 % 11 for i in range(60)], "label": ["1", "2"] * 30})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.assign(label=["2.0", "1.0"] * 30).to_csv(tmp_path / "b.csv", index=False)
    dataset = data.load(tmp_path / "a.csv", data.DataOptions(target="label", validation=tmp_path / "b.csv"))
    assert dataset.task.classes == ("1", "2") and dataset.validation.labels[:2].tolist() == [1, 0]


@pytest.mark.parametrize("labels", [[100 + i % 30 for i in range(120)], [i % 25 / 2 for i in range(1000)]])
def test_many_numbers_are_classes_where_that_is_said(tmp_path: Path, labels: list[float]) -> None:
    frame = pd.DataFrame({"x": [i % 31 for i in range(len(labels))], "label": labels})
    refuse(tmp_path / "a.csv", frame, "looks like a regression.*--classification")
    options = data.DataOptions(target="label", classification=True)
    dataset = data.load(tmp_path / "a.csv", options)
    assert dataset.task.num_classes == len(set(labels)) and data.load_again(dataset.reference).task == dataset.task
    assert data.load((frame[["x"]], labels), data.DataOptions(classification=True)).task.num_classes == len(set(labels))
    assert "classification" not in data.load("wine").reference["component"]


@pytest.mark.parametrize(
    "lines",
    [
        ["5.1,3.5,setosa", "4.9,3.0,setosa", "7.0,3.2,virginica"],
        ["p,x,s", "e,x,s", "p,b,y"],
        ["7,3,1", "1,2,0", "4,9,1"],
        ["id-0,2.5,yes", "id-{i},3.5,no", "id-x{i},1.5,yes"],
    ],
)
def test_a_file_without_a_heading_is_noticed(tmp_path: Path, lines: list[str]) -> None:
    text = "\n".join([lines[0], *(line.format(i=i) for i in range(1, 20) for line in lines)])
    (tmp_path / "t.csv").write_text(text + "\n")
    with pytest.raises(DataError, match=r"the first line .* looks like a row, .* put a line with the names above it"):
        data.load(tmp_path / "t.csv", data.DataOptions(target=lines[0].split(",")[-1]))


def test_names_that_count_up_are_a_heading(tmp_path: Path) -> None:
    pd.DataFrame({0: range(36), 1: [7, 9, 4] * 12, 2: [10, 9, 2] * 12}).to_csv(tmp_path / "a.csv", index=False)
    assert data.load(tmp_path / "a.csv", data.DataOptions(target="2")).task.classes == ("2", "9", "10")


def test_a_column_that_is_the_label_again_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"x": [i % 7 for i in range(60)], "label": ["p", "q", "r"] * 20})
    frame = frame.assign(again=frame["label"], code=frame["label"].map({"p": 7, "q": 9, "r": 2}))
    frame.to_csv(tmp_path / "a.csv", index=False)
    dataset = data.load(tmp_path / "a.csv", data.DataOptions(target="label"))
    assert [column.name for column in vars(dataset.preprocess)["columns"]] == ["x", "code"]
    messages = [record.getMessage() for record in caplog.records]
    assert "column 'again' is the label 'label' once more and is left out" in messages[0]
    assert "column 'code' has one value a class, and gives the label away" in messages[1]


def test_a_table_in_an_encoding_that_is_named(tmp_path: Path) -> None:
    text = "цвет,вид\n" + "синий,ель\nжёлтый,дуб\n" * 12
    (tmp_path / "a.csv").write_bytes(text.encode("cp1251"))
    options = data.DataOptions(target="вид", encoding="cp1251")
    loaded = data.load(tmp_path / "a.csv", options)
    assert loaded.task.classes == ("дуб", "ель")
    assert data.load_again(loaded.reference).task.classes == loaded.task.classes
    kept = data.from_json(loaded.preprocess.to_json())
    assert kept == loaded.preprocess and "encoding" not in data.load("wine").preprocess.to_json()
    read = data.read_inputs(kept, [tmp_path / "a.csv"])  # what a bundle predicts for is read alike
    assert single(kept.apply(read.inputs)).unique(dim=0).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    for name, message in [("cp12x", "no encoding called 'cp12x'"), ("utf-8", "it is not utf-8: line 1")]:
        with pytest.raises(DataError, match=message):
            data.load(tmp_path / "a.csv", dataclasses.replace(options, encoding=name))
    with pytest.raises(DataError, match="encoding does not apply to wine, only to an image table or a table file"):
        data.load("wine", data.DataOptions(encoding="gbk"))
    with pytest.raises(DataError, match=r"resize does not apply to .*a.csv, which is a table"):
        data.load(tmp_path / "a.csv", dataclasses.replace(options, resize="pad"))
