"""Which family the known recipes are tried on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from autokd.search.explore.families import Families
from autokd.space import Drawn
from autokd.study.past import AdvisedRule, PastStudies
from autokd.study.records import TrialRecord
from tests.search.records import trial

NAMES = ("kd", "alone", "kd-raw", "alone-raw", "wttm", "dist-raw")


def pipeline(name: str, student: str) -> dict[str, Any]:
    augment = "none" if name.endswith("-raw") else "crop_flip"
    return {"student": {"use": student}, "augment": {"use": augment}, "losses": {name.removesuffix("-raw"): {}}}


def recipes(student: str, names: tuple[str, ...] = NAMES) -> dict[str, Drawn]:
    return {name: Drawn(pipeline(name, student), {}) for name in names}


FAMILIES = Families(recipes=recipes("resnet"), others=(recipes("cnn"), recipes("mobilenet")))


def tried(number: int, name: str, student: str, *scores: float) -> TrialRecord:
    source = f"recipe:{name}" if student == "resnet" else "family"
    return trial(number, *scores, source=source, pipeline=pipeline(name, student))


def by_number(*trials: TrialRecord) -> Mapping[int, TrialRecord]:
    return {each.number: each for each in trials}


def test_nothing_is_known_before_both_recipes_by_hand_have_a_score() -> None:
    for trials in (by_number(), by_number(tried(0, "kd", "resnet", 0.5), tried(1, "alone", "resnet"))):
        assert list(FAMILIES.scouts(trials)) == []
        assert FAMILIES.left(trials) == [(name, FAMILIES.recipes[name]) for name in NAMES[2:]]


def test_the_better_recipe_by_hand_tries_every_other_family_without_augmentation() -> None:
    trials = by_number(tried(0, "kd", "resnet", 0.5), tried(1, "alone", "resnet", 0.6))
    scouts = list(FAMILIES.scouts(trials))
    assert [scout.drawn.plain for scout in scouts] == [pipeline("alone-raw", use) for use in ("cnn", "mobilenet")]
    assert {scout.base for scout in scouts} == {1}
    assert FAMILIES.left(trials)[0] == ("alone-raw", FAMILIES.recipes["alone-raw"])


def test_the_other_recipes_are_on_the_best_family_those_with_its_augmentation_first() -> None:
    trials = by_number(
        tried(0, "kd", "resnet", 0.5),
        tried(1, "alone", "resnet", 0.6),
        tried(2, "alone-raw", "cnn", 0.7),
        tried(3, "alone-raw", "mobilenet", 0.4),
        tried(4, "alone-raw", "resnet", 0.3),
    )
    left = FAMILIES.left(trials)
    assert [name for name, _ in left] == ["alone-raw", "kd-raw", "dist-raw", "wttm"]
    assert [drawn.plain["student"]["use"] for _, drawn in left] == ["resnet", "cnn", "cnn", "cnn"]


def test_a_recipe_that_the_best_family_lacks_stays_where_it_is() -> None:
    families = Families(recipes=recipes("resnet"), others=(recipes("cnn", NAMES[:4]),))
    trials = by_number(tried(0, "kd", "resnet", 0.5), tried(1, "alone", "resnet", 0.4), tried(2, "kd-raw", "cnn", 0.9))
    places = {name: drawn.plain["student"]["use"] for name, drawn in families.left(trials)}
    assert places == {"kd-raw": "resnet", "alone-raw": "cnn", "wttm": "resnet", "dist-raw": "resnet"}


def test_a_recipe_by_hand_that_failed_leaves_the_other() -> None:
    failed = trial(0, source="recipe:kd", failure="crash", pipeline=pipeline("kd", "resnet"))
    scouts = list(FAMILIES.scouts(by_number(failed, tried(1, "alone", "resnet", 0.1))))
    assert [scout.base for scout in scouts] == [1, 1]


def test_one_family_has_no_scouts_and_one_augmentation_no_other_name() -> None:
    families = Families(recipes=recipes("mlp", ("kd", "alone", "wttm")))
    trials = by_number(
        trial(0, 0.5, source="recipe:kd", pipeline=pipeline("kd", "mlp")),
        trial(1, 0.4, source="recipe:alone", pipeline=pipeline("alone", "mlp")),
    )
    assert list(families.scouts(trials)) == []
    assert [name for name, _ in families.left(trials)] == ["kd", "wttm"]  # the first is tried already


def test_families_are_tried_with_what_past_studies_put_first_and_their_order_stays() -> None:
    names = ("kd", "alone", "wttm", "kd-raw", "dist-raw")
    families = Families(recipes=recipes("resnet", names), others=(recipes("cnn", names),), advised="wttm")
    by_hand = by_number(tried(0, "kd", "resnet", 0.5), tried(1, "alone", "resnet", 0.6))
    assert list(families.scouts(by_hand)) == []
    assert [name for name, _ in families.left(by_hand)] == ["wttm", "kd-raw", "dist-raw"]
    trials = {**by_hand, 2: tried(2, "wttm", "resnet", 0.4)}
    (scout,) = families.scouts(trials)
    assert scout.drawn.plain == pipeline("wttm", "cnn") and scout.base == 2
    trials[3] = tried(3, "wttm", "cnn", 0.9)
    left = families.left(trials)
    assert [name for name, _ in left] == ["wttm", "kd-raw", "dist-raw"]  # the first is tried already
    assert [drawn.plain["student"]["use"] for _, drawn in left] == ["resnet", "cnn", "cnn"]


def past_of(said: dict[str, tuple[float, ...]]) -> PastStudies:
    """What past studies advised, given the quantile of each recipe in each of them."""
    studies = len(next(iter(said.values())))
    advised = [
        AdvisedRule(rule={"name": name, "title": name}, gain=None, interval=None, studies=0, better=0, said=own)
        for name, own in said.items()
    ]
    weights = (1 / studies,) * studies
    return PastStudies(base="", added=None, known=studies, studies=studies, advised=tuple(advised), weights=weights)


def test_past_studies_whose_recipes_all_lie_outside_the_space_give_no_order() -> None:
    past = dataclasses.replace(past_of({"r0": (1.0, 0.5)}), advised=())
    families = Families(recipes=recipes("resnet", ("kd", "alone", "wttm")), past=past)
    assert [name for name, _ in families.left(by_number(tried(0, "kd", "resnet", 0.5)))] == ["wttm"]


def test_past_studies_that_the_trials_prove_wrong_no_longer_give_the_order() -> None:
    names = [f"r{number}" for number in range(8)]
    right = {name: 2.0 - number / 4 for number, name in enumerate(names)}
    wrong = {name: -3.0 * value for name, value in right.items()}
    past = past_of({name: (right[name], wrong[name]) for name in names})
    families = Families(recipes=recipes("resnet", ("kd", "alone", *names)), advised="r0", past=past)
    assert [name for name, _ in families.left({})] == ["r0", *reversed(names[1:])]  # the wrong one is louder
    trials = by_number(*(tried(number, f"r{number}", "resnet", right[f"r{number}"]) for number in range(5)))
    assert [name for name, _ in families.left(trials)][-3:] == ["r5", "r6", "r7"]


def test_where_all_past_studies_are_wrong_the_order_is_that_of_a_cold_search() -> None:
    names = [f"r{number}" for number in range(8)]
    past = past_of({name: (float(number),) for number, name in enumerate(names)})
    families = Families(recipes=recipes("resnet", ("kd", "alone", *names)), advised="r0", past=past)
    assert [name for name, _ in families.left({})] == ["r0", *reversed(names[1:])]
    trials = by_number(*(tried(number, f"r{number}", "resnet", 1.0 - number / 10) for number in range(5)))
    assert [name for name, _ in families.left(trials)] == names
