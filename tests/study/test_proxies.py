"""Which scores without training may decide anything: on recorded scores, without a network."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autokd.study.beyond_size import beyond_size
from autokd.study.proxies import Worth, deciding, reliability, scored, value_of, worth_of_proxies
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
