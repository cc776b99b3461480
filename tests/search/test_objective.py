"""Searches for other objectives than accuracy, for several, and under a bound on latency."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score, log_loss

import autokd
from autokd.data import Dataset
from autokd.errors import NothingFeasible, StudyError
from autokd.metrics import METRICS
from autokd.networks.cost import student_cost
from autokd.objective import ACCURACY, Objective
from autokd.search import limits
from autokd.search.confirm.racing import choose, choose_of_front, race
from autokd.search.limits import Meter, network_key
from autokd.search.population import population
from autokd.search.request import Progress
from autokd.search.tpe.sampler import EI_CANDIDATES, candidates
from autokd.search.tpe.trials import trials_for_tpe
from autokd.seeds import derive
from autokd.spec import make
from autokd.study import noise
from autokd.study.design import Noise
from autokd.study.pareto import non_dominated_ranks
from autokd.study.records import TrialRecord
from tests.search.records import comparable, trial
from tests.search.spaces import UNSCREENED, Line, resolved
from tests.search.stages import explorer

OPTIONS: dict[str, Any] = {"dataset": "digits", "limit_train": 128, "device": "cpu", "seed": 3, "study": "mine"}
SHORT = UNSCREENED.replace("epochs: 4, rungs: 3", "epochs: 2, rungs: 2")
BOTH = Objective(("accuracy", "params"))
LOSS = METRICS["log_loss"]


class Cut(Exception):
    """The test has seen enough."""


def search(folder: Path, *, text: str = UNSCREENED, **options: Any) -> autokd.Study:
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(text)
    given = {**OPTIONS, "space": folder / "tiny.yaml", **options}
    return autokd.search(**given, studies_dir=folder / "studies", reports_dir=folder / "reports")


def cut_after(trials: int) -> Any:
    def notify(at: Progress) -> None:
        if at.stage == "explore" and at.done == trials:
            raise Cut

    return notify


def counted_latency(monkeypatch: pytest.MonkeyPatch, *, noisy: bool = False) -> Counter[int]:
    """Let a network take a microsecond a parameter; how often networks of each size were measured is counted."""
    seen: Counter[int] = Counter()
    noise = np.random.default_rng(0)

    def latency(network: torch.nn.Module, *_: Any) -> float:
        params = sum(parameter.numel() for parameter in network.parameters())
        seen[params] += 1
        return params / 1000 * (1 + (0.01 * float(noise.random()) if noisy else 0.0))

    monkeypatch.setattr(limits, "latency", latency)
    return seen


@pytest.fixture(scope="module")
def by_loss(tmp_path_factory: pytest.TempPathFactory) -> autokd.Study:
    return search(tmp_path_factory.mktemp("loss"), objective="log_loss", trials=6)


def test_a_search_for_the_log_loss_minimises_it(by_loss: autokd.Study) -> None:
    records = by_loss.store.records
    rungs = [rung for t in records.trials.values() for rung in t.rungs]
    assert all(rung.score == -rung.metrics["log_loss"] == pytest.approx(-rung.loss, rel=1e-5) for rung in rungs)
    in_float = {name for name, metric in METRICS.items() if not metric.quantised}
    assert all(set(rung.metrics) == in_float for rung in rungs)
    assert all(line["score"] < 0 for rung in rungs for line in rung.curve if "score" in line)
    first = sorted((t.rungs[0].loss, t.number) for t in records.trials.values() if not t.is_baseline)
    went_on = {t.number for t in records.trials.values() if len(t.rungs) > 1 and not t.is_baseline}
    assert went_on <= {number for _, number in first[:3]} and went_on
    choice = records.choices[-1]
    means = {row.trial: row.mean for row in choice.candidates}
    tied = [row.trial for row in choice.candidates if row.tied]
    assert max(means, key=lambda n: means[n]) in tied and choice.trial in tied
    assert all(mean < 0 for mean in means.values()) and "nats" in records.designs[0].reason


def test_the_claim_is_about_the_log_loss_of_the_kept_logits(by_loss: autokd.Study) -> None:
    claim = by_loss.recommendation
    assert claim is not None and claim.metric == "log_loss"
    kept = load_file(by_loss.path / "confirm" / "round0.safetensors")
    labels = kept["labels/test"].numpy()
    for one in claim.arms:
        for i, value in enumerate(one.test):
            given = kept[f"{one.name}/{i}/test"].double().softmax(1).numpy()
            assert value == pytest.approx(log_loss(labels, given, labels=np.arange(10)), rel=1e-3)  # half precision
    means = {arm.name: float(np.mean(arm.validation)) for arm in claim.arms if arm.name != claim.use}
    assert claim.comparator == min(means, key=lambda arm: means[arm])
    tested = {arm.name: arm.test for arm in claim.arms}
    for arm, found in claim.comparisons.items():
        ours, theirs = (np.mean(tested[name]) for name in (claim.use, arm))
        assert found.difference == pytest.approx(ours - theirs)
        if found.low > 0 or found.high < 0:
            assert found.verdict == ("better" if found.high < 0 else "worse") and "nats" in found.text
    best = claim.used.validation.index(min(claim.used.validation))
    bundle = load_file(by_loss.path / "best" / "student.safetensors")
    student = load_file(by_loss.path / "confirm" / "round0" / f"{claim.use}-{best}.safetensors")
    assert all(torch.equal(bundle[name], tensor) for name, tensor in student.items())
    exported = by_loss.export()["provenance"]["evidence"]
    assert exported["test_log_loss"][claim.use] == claim.used.test
    page = by_loss.report_path.read_text()
    assert "validation log loss" in page and "less is better" in page and "test accuracy" not in page


def test_another_objective_is_another_study(by_loss: autokd.Study) -> None:
    folder = by_loss.path.parents[1]
    with pytest.raises(StudyError, match=r"objective\.log_loss: 'minimize' in the study, '\(nothing\)' asked"):
        search(folder, trials=6)
    with pytest.raises(StudyError, match=r"objective_order"):
        search(folder, objective=["log_loss", "params"])


def test_a_space_file_names_the_objective_and_the_limits(tmp_path: Path) -> None:
    text = UNSCREENED.replace(
        "constraints: {params: 4000}", "objective: {macro_f1: maximize}\nconstraints: {size: 2KB}"
    )
    study = search(tmp_path, text=text, trials=4)
    assert study.store.objective == Objective(("macro_f1",))
    trials = study.store.records.trials.values()
    assert all(t.cost["size"] <= 2000 for t in trials)
    assert all(rung.score == rung.metrics["macro_f1"] for t in trials for rung in t.rungs)
    claim = study.recommendation
    assert claim is not None and claim.used.cost["size"] <= 2000 and "latency" not in claim.used.cost
    kept = load_file(study.path / "confirm" / "round0.safetensors")
    said = kept[f"{claim.use}/0/test"].argmax(1).numpy()
    expected = f1_score(kept["labels/test"].numpy(), said, average="macro", zero_division=0)
    assert claim.used.test[0] == pytest.approx(expected, abs=0.005)  # half precision ties what was apart


@pytest.mark.slow
def test_several_objectives_give_a_front_and_going_on_gives_the_same(tmp_path: Path) -> None:
    given: dict[str, Any] = {"text": SHORT, "limit_train": 64, "objective": ["accuracy", "params"], "trials": 12}
    whole = search(tmp_path / "whole", **given)
    with pytest.raises(Cut):
        search(tmp_path / "cut", **given, notify=cut_after(7))
    resumed = search(tmp_path / "cut", **given)
    assert comparable(resumed.store.records) == comparable(whole.store.records)
    assert "tpe" in {t.source for t in whole.store.records.trials.values()}
    claim, choice = whole.recommendation, whole.store.records.choices[-1]
    assert claim is not None
    rows = {row.trial: row for row in choice.candidates}
    assert set(rows) <= {t.number for t in whole.front}
    values = {n: (row.objectives["accuracy"], -row.objectives["params"]) for n, row in rows.items()}
    ranks = dict(zip(values, non_dominated_ranks(list(values.values())), strict=True))
    assert {n for n, row in rows.items() if row.on_front} == {n for n, rank in ranks.items() if rank == 0}
    assert {row.trial for row in claim.front} == {n for n, row in rows.items() if row.on_front}
    assert [row.mean for row in claim.front] == sorted((row.mean for row in claim.front), reverse=True)
    leader = max(claim.front, key=lambda row: row.objectives["accuracy"])
    chosen = rows[claim.trial]
    assert chosen.tied and chosen.objectives["params"] <= leader.objectives["params"]
    assert all(len(row.scores) == choice.most_seeds for row in rows.values())  # nobody is stopped early
    for number, row in rows.items():
        assert row.objectives["params"] == whole.store.records.trials[number].cost["params"]
        assert whole.export(trial=number)["pipeline"] == whole.store.records.trials[number].pipeline
    page = whole.report_path.read_text()
    assert 'id="explorer-front"' in page and "Line: the front" in page
    assert (tmp_path / "whole/reports/mine/front.csv").read_text().count("\n") == 1 + len(claim.front)
    mirrored = optuna.load_study(
        study_name="mine",
        storage=optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(whole.path / "journal.log"))
        ),
    )
    assert len(mirrored.directions) == 2 and all(len(t.values) == 2 for t in mirrored.trials if t.values)


def test_latency_is_measured_once_before_it_is_used_and_bounds_what_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = counted_latency(monkeypatch, noisy=True)
    given: dict[str, Any] = {"text": SHORT, "objective": ["accuracy", "latency"], "max_latency": 0.6, "trials": 12}
    with pytest.raises(Cut):
        search(tmp_path, notify=cut_after(6), **given)
    study = search(tmp_path, **given)
    records = study.store.records
    assert len(records.trials) == 12 and set(seen.values()) == {1}, "each network is measured once, cut or not"
    for t in records.trials.values():
        assert t.cost["latency"] == records.latencies[network_key(t.pipeline)] <= 0.6
    assert max(records.latencies.values()) > 0.6
    lines = (study.path / "trials.jsonl").read_text().splitlines()
    told: set[str] = set()
    for line in map(json.loads, lines):
        if line["event"] == "latency":
            told.add(line["network"])
        if line["event"] == "trial":
            assert network_key(line["pipeline"]) in told
    claim = study.recommendation
    assert claim is not None and claim.used.cost["latency"] <= 0.6
    page = study.report_path.read_text()
    assert '<th class="n" scope="col">latency</th>' in page and "faster than the teacher" in page
    with pytest.raises(StudyError, match=r"--max-latency: 0.6 in the study, 0.5 asked"):
        search(tmp_path, **{**given, "max_latency": 0.5})


def test_a_resumed_study_decides_by_what_it_recorded_whatever_is_measured_now(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = resolved(digits, max_latency=0.35)

    def made(factor: float) -> Any:
        found = explorer(tmp_path, space, digits.task, recipes={})
        log = found.log
        monkeypatch.setattr(
            limits, "latency", lambda network, *_: factor * sum(p.numel() for p in network.parameters())
        )

        def record(network: str, milliseconds: float) -> None:
            log.append("latency", network=network, milliseconds=milliseconds)

        meter = Meter(digits.task, torch.device("cpu"), None, 1, log.records.latencies, record)
        return dataclasses.replace(found, proposer=dataclasses.replace(found.proposer, meter=meter))

    first = made(1e-3)
    proposed = [first.proposer.propose(number) for number in range(6)]
    again = made(1.0)  # a thousand times slower: nothing that is not on record would fit
    assert [again.proposer.propose(number) for number in range(6)] == proposed
    assert {p.source for p in proposed} == {"random"} and len(again.log.records.latencies) > 3


def test_no_student_that_is_fast_enough(tmp_path: Path) -> None:
    with pytest.raises(
        NothingFeasible, match=r"\(latency <= 0.0001 ms\); the fastest one measured is cnn\(.* ms on cpu"
    ):
        search(tmp_path, max_latency=0.0001)
    assert not (tmp_path / "studies").exists()


def test_a_measured_latency_is_that_of_a_forward_pass(digits: Dataset) -> None:
    known: dict[str, float] = {}
    meter = Meter(digits.task, torch.device("cpu"), None, 1, known, known.__setitem__)
    students = [{"use": "cnn", "width": 3, "layers": 1}, {"use": "resnet", "depth": 20, "width": 32}]
    small, large = (meter({"student": student}) for student in students)
    assert 0.005 < small < large < 5000 and list(known.values()) == [small, large]
    assert meter({"student": students[1], "head": {"use": "plain"}}) == large and len(known) == 2


def test_the_fast_part_of_a_population(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    counted_latency(monkeypatch)
    known: dict[str, float] = {}
    meter = Meter(digits.task, torch.device("cpu"), None, 1, known, known.__setitem__)
    space = resolved(digits, max_latency=0.4)
    students, share = population(space, digits.task, 3, meter=meter)
    everyone, _ = population(space, digits.task, 3)
    fast = [s for s in everyone if make_params(s, digits) <= 400]
    assert students == fast and share == pytest.approx(len(fast) / len(everyone))


def make_params(student: dict[str, Any], data: Dataset) -> int:
    fields = {key: value for key, value in student.items() if key != "use"}
    return student_cost(make("students", student["use"], fields), data.task).params


class Plane(Line):
    """A space of one parameter x in [-1, 1] of which one objective wants much and the other little."""


def planar(number: int, x: float, *, reach: int = 1, **kind: Any) -> TrialRecord:
    made = trial(number, *[0.5 + 0.4 * x] * reach, params={"x": x}, pipeline={"x": x}, **kind)
    return dataclasses.replace(made, cost={"params": 100 * (1 + x) ** 3, "macs": 1})


def told(known: list[TrialRecord], objective: Objective, count: int = 40) -> list[float]:
    return [
        float(next(candidates(Plane(), known, seed=1, number=n, objective=objective)).params["x"])  # type: ignore
        for n in range(100, 100 + count)
    ]


def test_tpe_hears_of_all_objectives() -> None:
    known = [planar(i, float(x)) for i, x in enumerate(np.linspace(-1, 1, 24))]
    known += [planar(30, 0.3, failure="not_finite"), planar(31, 0.2, reach=0)]
    score, both = told(known, ACCURACY), told(known, BOTH)
    assert np.mean(score) > 0.6
    assert np.mean(both) < np.mean(score) - 0.2 and np.std(both) > 2 * np.std(score)


def test_shorter_trials_are_told_beside_several_objectives() -> None:
    known = [planar(i, float(x), reach=2) for i, x in enumerate(np.linspace(-1, 1, 9))]
    known += [planar(10 + i, float(x)) for i, x in enumerate(np.linspace(-1, 1, 30))]
    assert len(set(told(known, BOTH, 5))) == 5


def test_the_first_candidate_of_several_objectives_is_what_optuna_itself_would_suggest() -> None:
    known = [planar(i, float(x)) for i, x in enumerate(np.linspace(-1, 1, 20))]
    known += [planar(20, 0.3, failure="not_finite"), planar(21, -0.3, failure="error")]
    found = []
    for number in range(30, 36):
        seed = derive(1, "tpe", number) % 2**32
        study = optuna.create_study(
            directions=["maximize", "maximize"],
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, n_ei_candidates=EI_CANDIDATES),
        )
        study.add_trials(trials_for_tpe(Plane().ranges(), known, objective=BOTH))
        found.append(study.ask().suggest_float("x", -1, 1))
        first = next(candidates(Plane(), known, seed=1, number=number, objective=BOTH))  # type: ignore[arg-type]
        assert first.plain["x"] == found[-1]
    assert len(set(found)) == 6


def test_noise_and_race_speak_of_the_metric() -> None:
    measured = Noise(0.05, 2, -0.6)
    assert measured.target(LOSS) == pytest.approx(0.06)  # a tenth of the log loss
    assert Noise(0.01, 2, 0.95).target(METRICS["macro_f1"]) == pytest.approx(0.01)
    assert Noise(0.01, 2, 0.5).target(METRICS["mcc"]) == pytest.approx(0.05)
    planned = noise.plan_seeds(measured, arms=3, least=3, metric=LOSS)
    assert "0.050 nats" in planned.reason and planned.target == pytest.approx(0.06)
    scores: dict[int, list[float | None]] = {1: [-0.30, -0.31, -0.29], 2: [-0.90, -0.95, -0.92], 3: [None, -0.1, -0.1]}
    found = race(
        [1, 2, 3],
        lambda numbers, seeds: {n: [scores[n][i] for i in seeds] for n in numbers},
        most=3,
        noise=Noise(0.01, 5, -0.3),
        resolution=0.001,
        worst=LOSS.worst_score,
    )
    assert [n for n in found if found[n].tied] == [1] and found[3].mean < found[2].mean  # no failed run is the best
    means = {number: standing.mean for number, standing in found.items()}
    best, why = choose([trial(n, 0.5, pipeline={"losses": {"ce": {}}}) for n in (1, 2, 3)], found, means, LOSS)
    assert best.number == 1 and "0.300 nats" in why


def test_the_cheapest_of_those_tied_in_the_first_objective_is_chosen() -> None:
    def costing(number: int, params: float) -> TrialRecord:
        pipeline = {"losses": {"ce": {}}, "number": number}
        return dataclasses.replace(trial(number, pipeline=pipeline), cost={"params": params, "macs": 1})

    trials = [costing(0, 100), costing(1, 60), costing(2, 20), costing(3, 120), costing(4, 1)]
    scores: dict[int, list[float | None]] = {
        0: [0.90, 0.92, 0.91],
        1: [0.905, 0.915, 0.905],
        2: [0.50, 0.52, 0.51],
        3: [0.90, 0.91, 0.90],  # dominated
        4: [0.99, None, 0.99],
    }
    values = {t.number: (float(np.mean([s or 0 for s in scores[t.number]])), -t.cost["params"]) for t in trials}
    best, there, standings, why = choose_of_front(
        trials, scores, values, objective=BOTH, noise=Noise(0.01, 4, 0.9), resolution=0.001
    )
    assert best.number == 1 and there == [0, 1, 2]
    assert [n for n, standing in standings.items() if standing.tied] == [0, 1]
    assert why.startswith(
        "cheapest of the 3 trials on the front of accuracy, params that are tied in accuracy (0.2 points"
    )
