"""Which scores without training may decide anything: on recorded scores, without a network."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autokd.study.beyond_size import beyond_size
from autokd.study.proxies import (
    LEARNED,
    Worth,
    deciding,
    learned_model,
    reliability,
    scored,
    trained_students,
    value_of,
    with_learned,
    worth_of_proxies,
)
from autokd.study.records import Records

Rows = Sequence[Mapping[str, Any]]


def records_of(students: Rows, scores: Sequence[Sequence[float]], **screening: Any) -> Records:
    """A study's records: each student's costs and proxies, and the scores of its trials."""
    found = Records()
    found.apply({"event": "screen", "students": [{"score": 0.5, **row} for row in students], **screening})
    number = 0
    for row, each in zip(students, scores, strict=True):
        for score in each:
            pipeline, cost = {"student": row["student"]}, {"params": row["params"], "macs": row["macs"]}
            event = {
                "number": number,
                "source": "tpe",
                "seed": number,
                "pipeline": pipeline,
                "params": {},
                "cost": cost,
            }
            found.apply({"event": "trial", **event})
            rung = {"rung": 0, "epochs": 1, "score": score, "loss": 1.0, "seconds": 1.0, "curve": []}
            found.apply({"event": "rung", "number": number, **rung})
            number += 1
    return found


def made_up(n: int, trials: int = 1, *, seed: int = 0, **more: Callable[..., Any]) -> Records:
    """Students whose score is half their size and half a quality; each proxy is made of size, quality and noise."""
    rng = np.random.default_rng(seed)
    size, quality = rng.normal(size=n), rng.normal(size=n)
    students = []
    proxies = {name: make(size, quality, rng) for name, make in more.items()}
    for place in range(n):
        params = int(1000 * np.exp(size[place]))
        values = {name: float(value[place]) for name, value in proxies.items()}
        spread = dict.fromkeys(proxies, 0.1)
        row = {"student": {"use": "cnn", "width": place}, "params": params, "macs": 31 * params + place}
        students.append({**row, "proxies": values, "spread": spread, "repeats": 3})
    noise = rng.normal(scale=0.3, size=(n, trials))
    return records_of(students, (size[:, None] + quality[:, None] + noise).tolist())


def knows(size: Any, quality: Any, rng: np.random.Generator) -> Any:
    return size + quality + rng.normal(scale=0.3, size=len(size))


def reads_size(size: Any, quality: Any, rng: np.random.Generator) -> Any:
    return size + rng.normal(scale=0.3, size=len(size))


def by_name(records: Records) -> dict[str, Worth]:
    return {worth.name: worth for worth in worth_of_proxies(records)}


def test_a_proxy_decides_where_it_says_something_beyond_size() -> None:
    found = by_name(made_up(30, knows=knows, reads_size=reads_size, size_itself=lambda size, *_: np.exp(size)))
    assert found["knows"].decides and found["knows"].beyond is not None and found["knows"].beyond.tau > 0.3
    # these order the students, and beyond their size do not
    assert found["reads_size"].tau is not None and found["reads_size"].tau.low is not None
    assert found["reads_size"].tau.low > 0 and not found["reads_size"].decides
    assert found["reads_size"].why == "what it says beyond size may be chance"
    assert found["size_itself"].beyond is None and found["size_itself"].why == "it says nothing beyond size"
    assert deciding(list(found.values())) == ("params", "macs", "knows", "learned")
    assert deciding([]) == ("params", "macs")


def test_too_few_trials_or_students_decide_nothing() -> None:
    assert by_name(made_up(19, knows=knows))["knows"].why == "19 finished trials, not 20"
    assert by_name(made_up(7, trials=4, knows=knows))["knows"].why == "7 students among them, not 8"
    assert by_name(made_up(20, knows=knows))["knows"].decides
    assert worth_of_proxies(Records()) == []


def test_trials_of_one_student_are_no_evidence_of_their_own() -> None:
    """Five trials of each make the interval no narrower than what twelve students bear."""
    one, five = (by_name(made_up(12, trials=trials, knows=knows))["knows"].beyond for trials in (2, 10))
    assert one is not None and five is not None
    assert one.low is not None and one.high is not None and five.low is not None and five.high is not None
    assert five.high - five.low > 0.5 * (one.high - one.low)


def test_a_proxy_whose_repeats_differ_as_much_as_students_decides_nothing() -> None:
    records = made_up(30, knows=knows)
    sd = float(np.std([value_of(row, "knows") or 0.0 for row in records.screen]))
    noisy = [{**json.loads(json.dumps(vars(row))), "spread": {"knows": 3 * sd}} for row in records.screen]
    records.apply({"event": "screen", "students": noisy})
    found = by_name(records)["knows"]
    assert found.reliability == pytest.approx(reliability(scored(records), "knows")) and found.reliability is not None
    assert found.reliability < 0.5 and not found.decides and found.why == "its repeats differ as much as students do"
    assert found.beyond is not None and found.beyond.low is not None and found.beyond.low > 0


def test_many_proxies_are_corrected_for_their_number() -> None:
    """A p of 0.007 is enough beside the model alone, of two tests; among thirty more of noise it is not."""

    def weak(size: Any, quality: Any, rng: np.random.Generator) -> Any:
        return quality + rng.normal(scale=1.4, size=len(size))

    def noise(size: Any, quality: Any, rng: np.random.Generator) -> Any:
        return np.random.default_rng(len(size)).permutation(quality)

    many: dict[str, Any] = {f"noise{k}": noise for k in range(30)}
    alone = by_name(made_up(30, seed=2, weak=weak))["weak"]
    among = by_name(made_up(30, seed=2, weak=weak, **many))
    assert alone.p is not None and 0.0005 < alone.p < 0.025 and alone.decides
    assert among["weak"].beyond == alone.beyond and among["weak"].p == pytest.approx(16 * alone.p)
    assert not among["weak"].decides and deciding(list(among.values())) == ("params", "macs")


def test_noise_seldom_decides() -> None:
    """Of 25 proxies of size and noise, one in forty may be taken for more where each is tested alone."""
    taken = sum(by_name(made_up(24, seed=seed, noise=reads_size))["noise"].decides for seed in range(25))
    assert taken <= 3


def test_no_finite_number_is_the_worst_and_less_may_be_better() -> None:
    students = [
        {"student": {"use": "cnn", "width": w}, "params": w, "macs": w, "proxies": {"a": value}, "not_finite": bad}
        for w, value, bad in ((1, 2.0, []), (2, None, ["a"]), (3, None, []))
    ]
    records = records_of(students, [[0.1], [0.2], [0.3]], lower_is_better=["a"])
    assert [value_of(row, "a", records.screening.lower_is_better) for row in records.screen] == [-2.0, -np.inf, None]
    found = by_name(records)["a"]
    assert (found.not_finite, found.trials, found.students) == (1, 2, 2)


def test_students_that_are_scored_at_an_ask_count() -> None:
    records = made_up(24, knows=knows)
    late = records.screen[12:]
    records.screen = records.screen[:12]
    assert by_name(records)["knows"].trials == 12
    for row in late:
        records.apply({"event": "scored", "number": 1, "student": json.loads(json.dumps(vars(row)))})
    assert by_name(records)["knows"].trials == 24 and by_name(records)["knows"].decides


def test_on_the_authors_students_diswot_says_nothing_beyond_size(shared_data: Path) -> None:
    """64 distilled students of CIFAR-100: 0.71 is the order that their figure shows, and all of it is size."""
    file = shared_data / "diswot_s0" / "diswot_s0_cifar100_kd.csv"
    if not file.exists():
        pytest.skip(f"{file.name} is missing")
    with file.open(encoding="utf-8") as lines:
        rows = [*csv.DictReader(lines)]
    students = [
        {
            "student": {"use": "resnet_cifar", "blocks": row["struct"]},
            "params": int(row["params"]),
            "macs": int(row["flops"]),
            "proxies": {"diswot": float(row["diswot_rank_authors_fig"])},
        }
        for row in rows
    ]
    found = by_name(records_of(students, [[float(row["kd"])] for row in rows]))
    assert found["params"].tau is not None and found["params"].tau.tau == pytest.approx(0.873, abs=0.005)
    diswot = found["diswot"]
    assert diswot.tau is not None and diswot.tau.tau == pytest.approx(0.71, abs=0.005)
    assert diswot.beyond is not None and diswot.beyond.low is not None and diswot.beyond.low < 0.1
    assert not diswot.decides


def test_what_is_left_of_a_series_that_size_explains_is_nothing() -> None:
    sizes = np.array([[k, 3.0 * k] for k in range(1, 13)])
    noise = np.random.default_rng(0).normal(size=12)
    assert beyond_size(sizes[:, 0] ** 3, noise, sizes, range(12)) is None
    assert beyond_size(noise, noise, sizes, range(12)) is not None


def after(past: Sequence[Records], own: Records) -> dict[str, Worth]:
    """What proxies are worth in a study that begins after others."""
    own.past_students = [tuple(trained_students(records)) for records in past]
    return by_name(own)


def other_scale(records: Records) -> Records:
    """The same study of one trial a student, its scores a hundredth, its proxies a thousand times as large."""
    larger = [{name: 1000 * (value or 0.0) for name, value in row.proxies.items()} for row in records.screen]
    rows = [{**vars(row), "proxies": proxies} for row, proxies in zip(records.screen, larger, strict=True)]
    return records_of(rows, [[trial.rungs[0].score / 100] for trial in records.trials.values()])


def test_past_studies_are_evidence_until_a_study_has_its_own() -> None:
    past = [made_up(12, seed=1, knows=knows, reads_size=reads_size), other_scale(made_up(12, seed=2, knows=knows))]
    found = after(past, made_up(3, seed=3, knows=knows, reads_size=reads_size))
    knowing = found["knows"]
    assert knowing.decides and knowing.past == (24, 24, 2) == knowing.evidence and knowing.trials == 3
    assert knowing.beyond is not None and knowing.beyond.n == 24
    assert not found["reads_size"].decides and found["reads_size"].past == (12, 12, 1)
    assert found["reads_size"].why == "12 finished trials, not 20"
    # own trials of enough students count beside them, and once there are twenty they count alone
    assert after(past, made_up(10, seed=3, knows=knows))["knows"].evidence == (34, 34, 3)
    chance = after(past, made_up(20, seed=4, knows=lambda size, quality, rng: rng.normal(size=len(size))))
    assert chance["knows"].evidence == (20, 20, 1) and not chance["knows"].decides
    few = after([made_up(7, trials=4, seed=1, knows=knows)], made_up(3, seed=3, knows=knows))["knows"]
    assert few.past == (0, 0, 0) and few.why == "3 finished trials, not 20"


def test_scores_of_different_studies_are_never_compared() -> None:
    """In each of two studies a proxy says nothing; over both it would, since one has the better scores."""

    def chance(size: Any, quality: Any, rng: np.random.Generator) -> Any:
        return rng.normal(size=len(size))

    past = [made_up(15, seed=1, chance=chance), made_up(15, seed=2, chance=lambda s, q, rng: 50 + chance(s, q, rng))]
    for number, trial in past[1].trials.items():
        better = dataclasses.replace(trial.rungs[0], score=trial.rungs[0].score + 50)
        past[1].trials[number] = dataclasses.replace(trial, rungs=(better,))
    found = after(past, made_up(3, seed=3, chance=chance))["chance"]
    assert found.past == (30, 30, 2) and found.beyond is not None and abs(found.beyond.tau) < 0.3
    assert not found.decides


def test_the_model_learns_from_past_studies_too() -> None:
    past = [made_up(20, seed=1, knows=knows), other_scale(made_up(20, seed=2, knows=knows))]
    own = made_up(9, seed=3, knows=knows)
    assert learned_model(own) is None
    found = after(past, own)[LEARNED]
    assert found.decides and found.past == (40, 40, 2) and found.evidence == (49, 49, 3)
    # it orders students of this study that it has not seen, on the scale that the proxy has here
    new = made_up(40, seed=5, knows=knows)
    reached = [trial.rungs[0].score for trial in new.trials.values()]
    said = [row.proxies[LEARNED] or 0.0 for row in with_learned(learned_model(own), new.screen)]
    assert np.corrcoef(said, reached)[0, 1] > 0.8
