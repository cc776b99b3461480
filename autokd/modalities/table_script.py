"""Predict the class of each row of CSV files; needs onnxruntime and numpy alone, and model.onnx beside it.

python predict.py TABLE.csv... > predictions.csv    # in Python: Model().predict([{"column": "cell", ...}, ...])
"""

import csv
import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

MISSING = {"", "?", "na", "n/a", "#n/a", "nan", "nat", "null", "none", "<na>"}
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


class Model:
    """The model beside this file; `about` is what it says of itself: "classes", "preprocess", "inputs", …"""

    def __init__(self) -> None:
        path, options = Path(__file__).with_name("model.onnx"), onnxruntime.SessionOptions()
        options.add_session_config_entry("session.x64quantprecision", "1")  # sums of 8 bits overflow on no processor
        self.session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.about = {key: json.loads(told) for key, told in self.session.get_modelmeta().custom_metadata_map.items()}
        self.columns = {column["name"]: column for column in self.about["preprocess"]["columns"]}

    def predict(self, rows: list[dict[str, str]]) -> Any:
        """Return logits [N, C], probabilities [N, C] and labels [N]."""
        given: dict[str, Any] = {}
        for name, column in self.columns.items():
            try:
                values = [value(str(row[name]).strip(), column) for row in rows]
            except (KeyError, ValueError) as error:
                raise ValueError(f"column {name!r}: {error}") from None  # a KeyError names what is not there
            given[name] = np.array(values, object if column["type"] == "categorical" else np.float64)[:, None]
        return self.session.run(None, given)

    def read(self, path: str) -> list[dict[str, str]]:
        """Return the rows of a file, whose cells lie between commas, semicolons, tabs or bars."""
        lines = re.split("(?<=\n)", Path(path).read_text(self.about["preprocess"].get("encoding", "utf-8-sig")))
        tables = [list(csv.DictReader(lines, delimiter=mark, skipinitialspace=True)) for mark in ",;\t|"]
        return max(tables, key=lambda rows: len(self.columns.keys() & set().union(*rows[:1])))


def value(cell: str, column: dict[str, Any]) -> Any:
    """Return a cell as the model takes it: a category, a number, or seconds since 1970 in UTC."""
    kind, pattern = column["type"], column.get("pattern", "")
    if cell.lower() in MISSING:
        return "" if kind == "categorical" else np.nan
    if kind == "date":
        found = datetime.fromisoformat(cell) if pattern == "ISO8601" else datetime.strptime(cell, pattern)
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()  # noqa: UP017
    if kind == "numeric":
        return number(cell, column.get("form", "plain"))
    if cell in column["categories"] or not column.get("complete", True):
        return cell
    alike: dict[Any, str] = {float(name): name for name in column["categories"] if NUMBER.fullmatch(name)}
    return alike[float(cell) if NUMBER.fullmatch(cell) else cell]  # 1 for 1.0


def number(cell: str, form: str) -> float:
    """Return a number as a program writes it, or with a decimal "point" or "comma", a currency, %, or (brackets)."""
    if form == "plain" or (form == "point" and NUMBER.fullmatch(cell)):
        return float(cell)
    bare = re.sub(r"[eE](?![-+]?\d)|[^\d.,eE+-]", "", re.sub("[\u2212\u2012\u2013]", "-", cell))
    bare = bare.replace(".", "").replace(",", ".") if form == "comma" else bare.replace(",", "")
    return float(bare) / (100 if "%" in cell else 1) * (-1 if "(" in cell else 1)


if __name__ == "__main__":
    sys.tracebacklimit, paths, model = 0, sys.argv[1:] or sys.exit(__doc__), Model()  # what is wrong is one line
    out = csv.writer(open(1, "w", encoding="utf-8", newline=""), lineterminator="\n")  # noqa: SIM115
    out.writerow(["input", "label", "probability", *(f"probability of {name}" for name in model.about["classes"])])
    for table in paths:
        for place, (_, row, label) in enumerate(zip(*model.predict(model.read(table))), 1):  # noqa: B905
            out.writerow([f"{table}:{place}", label, row.max(), *row])
