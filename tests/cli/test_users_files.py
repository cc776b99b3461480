"""From a user's table to predictions that can be compared with it, on another day and at another place."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.conftest import Run


def table(path: Path, classes: tuple[str, str]) -> pd.DataFrame:
    draw = random.Random(0)
    rows = [(f"{draw.gauss(3 * side, 1):.3f}".replace(".", ","), classes[side]) for side in (0, 1) * 60]
    frame = pd.DataFrame(rows, columns=["a", "y"], dtype=str)
    frame.to_csv(path, index=False, sep=";")
    return frame


@pytest.mark.slow
@pytest.mark.parametrize("classes", [("-1", "1"), ("+", "-"), ("@home", "away")], ids=["numbers", "signs", "at"])
def test_a_study_of_a_users_table(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, classes) -> None:
    monkeypatch.setenv("AUTOKD_CACHE", str(here / "cache"))
    (here / "lab").mkdir()
    truth = table(here / "lab" / "t.csv", classes)
    asked = ("search", "--dataset", "lab/t.csv", "--target", "y", "--space", "space.yaml", "--quiet")
    ran = run(*asked)
    assert ran.code == 0, ran.err
    assert run("predict", "studies/t/best", "lab/t.csv", "-o", "out.csv").code == 0
    told = json.loads(run("predict", "studies/t/best", "lab/t.csv", "--json").out)
    found = pd.read_csv(here / "out.csv", dtype=str)["label"].tolist()
    assert found == [row["label"] for row in told] and set(found) <= set(classes) == set(truth["y"])
    if classes != ("-1", "1"):
        return
    assert run("export", "t", "-o", "t.yaml").code == 0
    text = (here / "t.yaml").read_text(encoding="utf-8")
    assert "file: lab/t.csv" in text and str(here) not in text.partition("provenance")[0]
    (here / "lab").rename(here / "moved")
    ran = run("train", "t.yaml", "--epochs", "1", "-o", "student", "--quiet")
    assert ran.code == 2 and "if it was moved, say with --data-dir where it is now" in ran.err
    ran = run("train", "t.yaml", "--epochs", "1", "-o", "student", "--quiet", "--data-dir", "moved")
    assert ran.code == 0, ran.err
    monkeypatch.setattr("autokd._version.__version__", "9.9.9")
    ran = run(*asked[:2], "moved/t.csv", *asked[3:], "--trials", "4")
    assert ran.code == 0 and ran.err.count("goes on under other versions than before: autokd") == 1, ran.err
    assert ", then 9.9.9" in (here / "studies" / "t" / "study.yaml").read_text(encoding="utf-8")
    assert ", then 9.9.9" in (here / "reports" / "t" / "index.html").read_text(encoding="utf-8")
