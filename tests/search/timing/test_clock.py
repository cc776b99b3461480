"""The clock of the machine decides nothing: a search goes on as before when it is set back."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import autokd
from tests.search.spaces import UNSCREENED

DAY = 86_400.0


def going_back(real: Callable[[], float]) -> Callable[[], float]:
    calls = itertools.count()
    return lambda: real() - (DAY if next(calls) > 20 else 0.0)


@pytest.mark.slow
def test_a_clock_that_goes_back_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.yaml").write_text(
        UNSCREENED.replace("trials: 8", "trials: 4").replace("epochs: 4, rungs: 3", "epochs: 1, rungs: 1")
    )
    told = {}
    for name in ("straight", "back"):
        if name == "back":
            monkeypatch.setattr(time, "time", going_back(time.time))
        study = autokd.search(
            "digits",
            limit_train=64,
            device="cpu",
            space=tmp_path / "tiny.yaml",
            study="mine",
            studies_dir=tmp_path / name / "studies",
            reports_dir=tmp_path / name / "reports",
        )
        events = [json.loads(line) for line in (study.path / "trials.jsonl").read_bytes().splitlines()]
        told[name] = [
            {k: v for k, v in e.items() if k not in ("time", "seconds")} for e in events if e["event"] != "bank"
        ]
        times = [event["time"] for event in events]
        assert (times == sorted(times)) == (name == "straight")
        assert all(event.get("seconds", 0) >= 0 for event in events)
    assert told["back"] == told["straight"]
