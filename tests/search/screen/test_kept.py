"""Scores of students: the same however many processes compute them, and none computed twice, after a kill either."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from autokd.data import Dataset
from autokd.search.screen.kept import KeptScores, Score
from autokd.search.screen.screener import Screener
from tests.processes import start
from tests.search.processes import wait_until
from tests.search.spaces import context

NAMES = ("params", "nwot", "diswot", "grad_norm")
STUDENTS: list[dict[str, Any]] = [
    {"use": "cnn", "width": width, "layers": layers} for width in (3, 8) for layers in (1, 2, 3)
]

EVOLVED = """
import sys, time
from pathlib import Path
from autokd.data import load
from autokd.search.limits import feasible
from autokd.search.screen import again, screener
from autokd.space.architectures import Architectures
from tests.search.screen import test_evolution
from tests.search.spaces import context, resolved

names = ("params", "nwot")
digits, folder, processes, pause = load("digits"), Path.cwd(), int(sys.argv[1]), float(sys.argv[2])
log = test_evolution.study(folder, digits)
once = screener.Screener._once
screener.Screener._once = lambda *said: (time.sleep(pause), once(*said))[1]
made = again.Again(
    log=log,
    architectures=Architectures.of(resolved(digits), digits.task),
    screener=screener.Screener(context(digits), names, 1, kept=folder / "scores.jsonl", processes=processes),
    seed=1, count=20, left=lambda: float("inf"), notify=lambda at: None,
)
made(25)
"""


def scored(digits: Dataset, **settings: Any) -> list[Any]:
    return Screener(context(digits), NAMES, 1, **settings).rate(STUDENTS)


def test_scores_depend_neither_on_processes_nor_on_threads(digits: Dataset, tmp_path: Path) -> None:
    found = scored(digits)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert scored(digits, processes=3, kept=tmp_path / "scores.jsonl") == found
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert len((tmp_path / "scores.jsonl").read_bytes().splitlines()) == len(STUDENTS)


class Unable(Screener):
    """Cannot score anything."""

    def _once(self, student: Any, name: str, repeat: int) -> float:
        raise AssertionError(f"{name} of {student} was scored once more")


def test_what_is_kept_is_read_where_it_counts(digits: Dataset, tmp_path: Path) -> None:
    kept = tmp_path / "scores.jsonl"
    found = scored(digits, kept=kept)
    with kept.open("ab") as file:
        file.write(b'["3f0')  # a kill came here
    again = Unable(context(digits), NAMES, 1, kept=kept)
    assert again.rate(STUDENTS) == found and again.seconds_of(STUDENTS) > 0
    assert kept.read_bytes().endswith(b"}]\n")
    fewer = dataclasses.replace(digits, task=dataclasses.replace(digits.task, fingerprint="other"))
    others = [
        Unable(context(digits), NAMES, 2, kept=kept),
        Unable(context(digits), (*NAMES, "snip"), 1, kept=kept),
        Unable(context(fewer), NAMES, 1, kept=kept),
        Unable(context(digits, with_teacher=False), NAMES, 1, kept=kept),
    ]
    for other in others:
        with pytest.raises(AssertionError, match="scored once more"):
            other.rate(STUDENTS)


def test_a_damaged_line_costs_its_scores_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    KeptScores(path).add("a", {"nwot": Score(1 / 3, None, not_finite=False, seconds=0.5)})
    path.write_bytes(b'{"key": 3}\n[]\n' + path.read_bytes())
    KeptScores(path).add("a", {"snip": (None, None, True, 0.25)})
    read = KeptScores(path)
    assert read.of("a") == {"nwot": (1 / 3, None, False, 0.5), "snip": (None, None, True, 0.25)} and not read.of("b")


class Dying(Screener):
    """Its copies die, one of them at once."""

    def _once(self, student: Any, name: str, repeat: int) -> float:
        if os.getpid() != int(os.environ["WHOLE"]):
            os.kill(os.getpid(), signal.SIGKILL if student["layers"] == 2 else 0)
        return super()._once(student, name, repeat)


def test_what_dies_with_a_copy_is_done_in_this_process(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHOLE", str(os.getpid()))
    assert Dying(context(digits), NAMES, 1, processes=2).rate(STUDENTS) == scored(digits)


@pytest.mark.slow
def test_an_evolution_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    """It finds the same with other processes, and scores no student again."""
    whole = start(EVOLVED, "1", "0", folder=tmp_path / "whole")
    cut, kept = tmp_path / "cut", tmp_path / "cut" / "scores.jsonl"
    killed = start(EVOLVED, "2", "0.05", folder=cut)
    wait_until(lambda: kept.exists() and kept.read_bytes().count(b"\n") >= 5, cut, killed)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    records = cut / "trials.jsonl"
    assert records.read_bytes().count(b'"screen"') == 1
    before = kept.read_bytes()
    before = before[: before.rfind(b"\n") + 1]
    records.unlink()  # the code makes them anew
    assert start(EVOLVED, "2", "0", folder=cut).wait() == 0 == whole.wait(), (cut / "output.txt").read_text()

    def found(folder: Path) -> dict[str, Any]:
        event: dict[str, Any] = json.loads((folder / "trials.jsonl").read_bytes().splitlines()[-1])
        return {name: value for name, value in event.items() if name != "time"}

    assert found(cut) == found(tmp_path / "whole") and "learned" in found(cut)["by"]
    keys = [json.loads(line)[0] for line in kept.read_bytes().splitlines()]
    assert kept.read_bytes().startswith(before) and len(keys) == len(set(keys)) == 20
