"""A training's curve while it runs: `curve.csv`, and TensorBoard's files as its own reader finds them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from autokd.delivery.curve_logs import CSV, logged, scalars
from autokd.errors import BundleError, MissingDependency
from tests.delivery.helpers import Trained, run


def _line(epoch: int, **terms: float) -> dict[str, Any]:
    losses = {"loss": sum(terms.values()), "terms": terms}
    return {
        "epoch": epoch,
        "learning_rate": 0.1,
        **losses,
        "score": -0.3,
        "peer": losses,
        "gradient_norms": {"ce": 2.0},
    }


def _events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads of a run: by name, steps and values, all that stands in the files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), purge_orphaned_data=False).Reload()
    return {name: [(each.step, each.value) for each in found.Scalars(name)] for name in found.Tags()["scalars"]}


def test_a_line_as_numbers() -> None:
    assert scalars({**_line(3, ce=0.5, kd=0.25), "notes": ["slow"], "micro_batches": 2}, "log_loss") == {
        "learning_rate": 0.1,
        "loss": 0.75,
        "loss/ce": 0.5,
        "loss/kd": 0.25,
        "validation/log_loss": 0.3,
        "peer/loss": 0.75,
        "peer/loss/ce": 0.5,
        "peer/loss/kd": 0.25,
        "gradient_norm/ce": 2.0,
    }


def test_lines_of_epochs_with_a_loss_that_begins_later(tmp_path: Path) -> None:
    with logged(tmp_path, [], "accuracy", None, "a") as add:
        add(_line(1, ce=0.5))
        assert (tmp_path / CSV).read_text().startswith("epoch,learning_rate,loss,loss/ce,")
        add(_line(2, ce=0.25))
        assert len((tmp_path / CSV).read_text().splitlines()) == 3
        add(_line(3, ce=0.1, kd=1 / 3))
        add(_line(4, kd=0.3))
    frame = pd.read_csv(tmp_path / CSV)
    assert frame["epoch"].tolist() == [1, 2, 3, 4]
    assert frame["loss/ce"].tolist()[:3] == [0.5, 0.25, 0.1] and frame["loss/kd"].tolist()[2:] == [1 / 3, 0.3]
    assert frame.isna().sum().to_dict() | {"loss/ce": 0, "peer/loss/ce": 0} == dict.fromkeys(frame, 0) | {
        "loss/kd": 2,
        "peer/loss/kd": 2,
    }


def test_a_training_that_goes_on_has_each_epoch_once_in_both(bundles: Callable[[str], Trained], tmp_path: Path) -> None:
    made, out, board = bundles("table"), tmp_path / "student", tmp_path / "runs"

    def stop(line: Mapping[str, Any]) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(made.file, out, made.data, on_epoch=stop, tensorboard=board)
    with (out / CSV).open("a") as file:
        file.write("3,0.0")  # killed while writing
    run(made.file, out, made.data, tensorboard=board)
    curve = made.metrics["curve"]
    frame = pd.read_csv(out / CSV)
    assert frame["epoch"].tolist() == [1, 2, 3]
    assert frame["validation/accuracy"].tolist() == [line["score"] for line in curve]
    events = _events(board / "student")
    assert set(events) == set(frame) - {"epoch"} >= {"loss", "loss/kd", "learning_rate", "gradient_norm/kd"}
    for name, points in events.items():
        assert points == [(step, pytest.approx(value)) for step, value in zip((1, 2, 3), frame[name], strict=True)]


def test_another_training_of_that_name_is_not_mixed_in(tmp_path: Path) -> None:
    for folder in ("a/student", "b/student"):
        (tmp_path / folder).mkdir(parents=True)
    with logged(tmp_path / "a" / "student", [_line(1, ce=1.0)], "accuracy", tmp_path / "runs", "a"):
        pass
    with (
        pytest.raises(BundleError, match="holds events of another training; give --tensorboard another folder"),
        logged(tmp_path / "b" / "student", [], "accuracy", tmp_path / "runs", "b"),
    ):
        pass
    assert _events(tmp_path / "runs" / "student")["loss/ce"] == [(1, 1.0)]


def test_without_the_package_nothing_is_begun(
    bundles: Callable[[str], Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundles("table")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependency, match=r"pip install 'autokd\[tensorboard\]'"):
        run(made.file, tmp_path / "out", made.data, tensorboard=tmp_path / "runs")
    assert not (tmp_path / "out").exists()
