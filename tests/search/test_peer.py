"""Searches over a peer: it is in the records, not in the limits, and the baselines have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import autokd
from autokd.data import Dataset
from autokd.search.confirm.tune import matched_arms
from autokd.search.limits import step_cost
from autokd.spec import from_plain, to_plain
from tests.execution import forked
from tests.search.spaces import UNSCREENED, resolved

WITH_PEER = "peer: {one_of: {cnn: {layers: 2, width: {int: [4, 8], step: 4}}}}" + UNSCREENED.replace(
    "hint: {}", "hint: {}, dml: {}, kd_peer: {use: kd, teacher: peer}"
)


def test_the_matched_baselines_have_no_peer(digits: Dataset) -> None:
    space = resolved(digits, WITH_PEER)
    plain = space.complete({"losses": {"dml": {"use": "dml"}}})
    arms = {name: to_plain(spec) for name, spec in matched_arms(from_plain(plain), has_teacher=True).items()}
    assert ["peer" in arm for arm in arms.values()] == [True, False, False]
    for name in ("alone", "kd"):
        rest = {"peer", "losses"}
        assert {k: v for k, v in arms[name].items() if k not in rest} == {
            k: v for k, v in plain.items() if k not in rest
        }
        assert not {"dml", "kd_peer"} & arms[name]["losses"].keys()


@pytest.mark.slow
def test_a_search_over_peers_fails_nowhere_and_goes_on_with_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autokd.execution.workers.subprocess", forked)
    first = list(search(tmp_path, 4).store.records.trials.values())
    study = search(tmp_path, 10, workers=2)
    trials = list(study.store.records.trials.values())
    assert [t.pipeline for t in trials[:4]] == [t.pipeline for t in first]
    assert len(trials) == 10 and not [t.failure for t in trials if t.failure]
    with_peer = [t for t in trials if "peer" in t.pipeline]
    assert with_peer and len(with_peer) < len(trials)
    for trial in trials:
        read = {"dml", "kd_peer"} & trial.pipeline["losses"].keys()
        assert bool(read) == ("peer" in trial.pipeline) == ("trained_macs" in trial.cost)
        assert all(("peer" in line) == bool(read) for rung in trial.rungs for line in rung.curve)
    assert study.report_path.is_file()


def search(folder: Path, trials: int, **more: Any) -> autokd.Study:
    path = folder / "space.yaml"
    path.write_text(WITH_PEER)
    places: dict[str, Any] = {"studies_dir": folder / "studies", "reports_dir": folder / "reports", "slots": 2}
    return autokd.search(
        "digits", limit_train=64, device="cpu", seed=3, space=path, study="mine", trials=trials, **places, **more
    )


def test_what_a_trial_costs_is_the_students_and_the_pace_counts_both(digits: Dataset) -> None:
    space = resolved(digits, WITH_PEER)
    plain = space.complete({"losses": {"kd_peer": {"use": "kd", "teacher": "peer"}}})
    cost, alone = (step_cost(p, digits.task, None) for p in (plain, space.default().plain))
    assert cost["trained_macs"] > cost["macs"] == alone["macs"] and "trained_macs" not in alone
