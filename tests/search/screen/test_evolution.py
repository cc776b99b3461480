"""Evolution of students for what decides, on made-up scores: no network is scored and none is trained."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autokd.data import Dataset
from autokd.search.explore.propose import EVOLVED, Proposer
from autokd.search.screen.again import Again
from autokd.search.screen.evolution import Evolution
from autokd.search.screen.screen import stratum_of
from autokd.space import parse
from autokd.space.architectures import Architectures
from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import SIZES
from autokd.study.records import RecordLog
from tests.search.spaces import SPACE, resolved
from tests.search.stages import by_hand

CNN = "cnn: {width: {int: [3, 12]}, layers: {int: [1, 2]}}"
LARGE = "cnn: {width: {int: [3, 120]}, layers: {int: [1, 4]}}\n    resnet: {depth: 8, width: {int: [4, 60]}}"


def quality(student: Mapping[str, Any]) -> float:
    """Widths that end in 7 are best, whatever their size."""
    return -float(abs(int(student["width"]) % 10 - 7))


def has_three_layers(student: Mapping[str, Any]) -> float:
    """Of every size there are students with three layers and without."""
    return -float(abs(student.get("layers", 0) - 3))


@dataclasses.dataclass
class Knowing:
    """Scores students by their quality, which no size says."""

    architectures: Architectures

    def rate(self, students: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> list[ScreenedStudent]:
        return [self.screened(student, names) for student in students]

    def screened(self, student: Mapping[str, Any], names: Sequence[str] | None = None) -> ScreenedStudent:
        params = self.architectures.params(student)
        proxies = {"knows": quality(student)}
        return ScreenedStudent(student=dict(student), params=params, macs=params, proxies=proxies, score=0.0)


def evolution(
    architectures: Architectures, seed: int, good: Callable[[Mapping[str, Any]], float] = quality
) -> Evolution:
    knowing = Knowing(architectures)
    return Evolution(
        architectures=architectures,
        rate=knowing.rate,
        order=lambda rows: np.array([good(row.student) for row in rows]),
        rng=np.random.default_rng(seed),
    )


def within(digits: Dataset, limit: int) -> Architectures:
    space = parse(SPACE.replace(CNN, LARGE), "test.yaml").resolve(digits.task, None, max_params=limit)
    return Architectures.of(space, digits.task)


def test_it_finds_better_students_of_every_size_than_as_many_draws(digits: Dataset) -> None:
    found = within(digits, 20_000)
    rng = np.random.default_rng(5)
    first = [found.sample(rng) for _ in range(32)]
    evolved = evolution(found, 1, has_three_layers).run(first, 128)
    assert len(evolved) == 128 == len({json.dumps(row.student, sort_keys=True) for row in evolved})
    assert all(row.params <= 20_000 for row in evolved)
    late = [row for row in evolved if row.student not in first]
    largest = max(row.params for row in evolved)
    drawn = [has_three_layers(found.sample(rng)) for _ in range(400)]
    for stratum in range(4):
        there = [has_three_layers(row.student) for row in late if stratum_of(row.params, largest) == stratum]
        assert len(there) >= 8 and np.mean(there) > np.mean(drawn)
    assert np.mean([has_three_layers(row.student) for row in late]) > np.mean(drawn) + 0.5


def test_the_same_seed_evolves_the_same_students_and_a_small_space_is_exhausted(digits: Dataset) -> None:
    found = Architectures.of(resolved(digits, max_params=500), digits.task)
    one, other = (evolution(found, 3).run(found.smallest(), 99) for _ in range(2))
    assert one == other and len(one) == 12  # all that lie inside
    stopped = evolution(found, 3).run(found.smallest(), 99, enough=lambda: True)
    assert len(stopped) == 1


def study(folder: Path, digits: Dataset) -> RecordLog:
    """24 trials, two of each of twelve students, whose scores are their quality."""
    log, found = RecordLog(folder / "trials.jsonl"), Architectures.of(resolved(digits), digits.task)
    knowing, rng = Knowing(found), np.random.default_rng(0)
    students = [{"use": "cnn", "width": width, "layers": layers} for width in range(3, 9) for layers in (1, 2)]
    rows = [dataclasses.asdict(knowing.screened(student)) for student in students]
    log.append("screen", students=rows, by=[*SIZES])
    default = resolved(digits).default().plain
    for number in range(24):
        student = students[number % 12]
        event = {"source": "tpe", "seed": number, "cost": {"params": 1, "macs": 1}, "params": None}
        log.append("trial", number=number, pipeline={**default, "student": student, "batch_size": 32}, **event)
        score = 0.5 + 0.05 * quality(student) + float(rng.normal(0, 0.02))
        log.append("rung", number=number, rung=0, epochs=1, score=score, loss=1.0, seconds=1.0, curve=[], metrics={})
    return log


def again(log: RecordLog, digits: Dataset) -> Again:
    found = Architectures.of(resolved(digits), digits.task)
    knowing: Any = Knowing(found)
    return Again(
        log=log,
        architectures=found,
        screener=knowing,
        seed=1,
        count=40,
        left=lambda: float("inf"),
        notify=lambda at: None,
    )


def test_students_are_evolved_once_more_than_size_decides(digits: Dataset, tmp_path: Path) -> None:
    log = study(tmp_path, digits)
    look = again(log, digits)
    look(24)  # it looks at every fifth trial
    assert log.records.screening.by == SIZES
    look(25)
    screening = log.records.screening
    assert "knows" in screening.by and screening.looked_at == len(log.records.screen) == 20  # all of this space
    assert len(screening.later) == 12  # what was scored before is still known
    before = log.path.read_bytes()
    look(30)
    assert log.path.read_bytes() == before
    assert RecordLog(log.path, read_only=True).records.screen == log.records.screen
    (tmp_path / "other").mkdir()
    other = study(tmp_path / "other", digits)
    again(other, digits)(25)
    assert other.records.screen == log.records.screen


def test_an_evolved_student_is_tried_where_it_ranks_best(digits: Dataset, tmp_path: Path) -> None:
    log = study(tmp_path, digits)
    look = again(log, digits)
    space = resolved(digits)
    made = Proposer(
        space=space,
        task=digits.task,
        records=log.records,
        screener=look.screener,
        seed=5,
        offers=None,
        recipes=by_hand(space),
        planned=0,
    )
    numbers = range(26, 46)
    assert EVOLVED not in {made._searched(number, set()).source for number in numbers}  # type: ignore[union-attr]
    look(25)
    asked = [made._searched(number, set()) for number in numbers]
    evolved = [each for each in asked if each is not None and each.source == EVOLVED]
    assert evolved and all(quality(each.drawn.plain["student"]) >= -3 for each in evolved)
    tried = [trial.pipeline["student"] for trial in log.records.trials.values()]
    assert all(each.drawn.plain["student"] not in tried and each.drawn.params for each in evolved)
