"""Which arm is recommended, and what it is compared with."""

from __future__ import annotations

import pytest

from autokd.metrics import METRICS
from autokd.study.design import Noise
from autokd.study.use import Option, Use, choose, explain, find_comparator, find_comparators, found_margin, tolerance

KINDS = {"alone": "alone", "hand": "hand", "hand-kd": "hand", "kd": "kd", "pick": "pick"}


def options(**scores: float) -> list[Option]:
    named = {name.replace("_", "-"): score for name, score in scores.items()}
    return [Option(name, KINDS[name], f"the {name}", name != "alone", [score]) for name, score in named.items()]


def test_the_tolerance_is_a_third_of_the_noise_and_at_least_0_3_points() -> None:
    assert tolerance(None) == 0.003 == tolerance(Noise(0.001, 2, 0.9))
    assert tolerance(Noise(0.03, 2, 0.9)) == pytest.approx(0.01)


def test_the_simplest_of_those_as_good_as_the_best_is_recommended() -> None:
    arms = options(pick=0.900, kd=0.898, hand=0.8975, alone=0.80)
    assert choose(arms, 0.003).name == "hand"
    assert choose(arms, 0.002).name == "kd"
    assert choose(arms, 0.0).name == "pick"
    assert choose(options(pick=0.9, alone=0.9), 0.0).name == "alone"
    assert choose(options(hand=0.899, hand_kd=0.898, pick=0.9), 0.003).name == "hand"  # of one kind the better


def test_what_was_found_must_be_better_than_a_recipe_by_more_than_chance() -> None:
    arms = options(pick=0.900, kd=0.895, hand=0.893, alone=0.886)
    arms = [arm._replace(published=arm.name in ("hand", "alone")) for arm in arms]
    assert choose(arms, 0.003, 0.006).name == "pick"
    assert choose(arms, 0.003, 0.008).name == "hand"  # not the student alone, which is clearly behind that
    assert choose(options(pick=0.9, hand=0.8), 0.003, 1.0).name == "pick"  # none of them is a recipe
    found, by_hand = options(alone=0.900, hand=0.899)
    assert choose([found, by_hand._replace(published=True)], 0.003, 0.01).name == "alone"  # simpler than any recipe
    assert explain(arms, arms[2], 0.003, METRICS["accuracy"], 0.008) == (
        "the hand has 89.3 % on one seed, 0.7 points behind the best, the pick; what is the best of many on the same "
        "validation items must be 0.8 points better than a published recipe"
    )


def test_the_margin_is_half_a_standard_error_of_a_share() -> None:
    assert found_margin(0.8, 400, METRICS["accuracy"]) == pytest.approx(0.01)
    assert found_margin(1.0, 400, METRICS["macro_f1"]) == 0 == found_margin(-0.5, 400, METRICS["log_loss"])


def test_the_mean_over_seeds_decides() -> None:
    steady, lucky = Option("kd", "kd", "", True, [0.85, 0.85]), Option("pick", "pick", "", True, [0.90, 0.75])
    assert choose([steady, lucky], 0.003).name == "kd"


def test_the_best_other_arm_is_what_the_verdict_is_about() -> None:
    arms = options(pick=0.90, kd=0.85, hand=0.87, alone=0.80)
    assert find_comparators(arms, arms[0], "hand-kd") == ("hand", "alone", "hand-kd")
    assert find_comparators(arms, arms[0], "kd") == ("hand", "alone", "kd")
    assert find_comparators(arms, arms[2], "hand") == ("pick", "alone")
    assert find_comparators(arms, arms[3], "hand-kd") == ("pick", "hand-kd")  # it is the best without a teacher itself
    assert find_comparators(arms, arms[0], None) == ("hand", "alone")
    assert find_comparators(arms[:1], arms[0], None) == ()


def test_with_little_time_there_is_one_comparison() -> None:
    arms = options(pick=0.90, hand=0.95, alone=0.80)
    assert find_comparator(arms, arms[0], "hand-kd") == ("alone",)
    assert find_comparator(arms, arms[2], "hand-kd") == ("hand-kd",)
    assert find_comparator(arms, arms[2], None) == ("hand",)
    assert find_comparator(options(pick=0.9), arms[0], None) == ()


def test_the_reason_in_words() -> None:
    accuracy = METRICS["accuracy"]
    arms = options(pick=0.9020, kd=0.900)
    assert explain(arms, arms[0], 0.003, accuracy) == (
        "the pick has the best mean validation score of 2 arms on one seed, 90.2 %"
    )
    assert explain(arms, arms[1], 0.003, accuracy) == (
        "the kd has 90.0 % on one seed, 0.2 points behind the best, the pick; up to 0.3 points counts as equally good, "
        "and it is the simplest that is"
    )
    assert explain(arms[:1], arms[0], 0.003, accuracy) == "the pick is the only arm: 90.2 % on one seed"


def test_it_is_read_back_as_it_was_written() -> None:
    use = Use(
        round=0, trials=3, use="pick", comparators=("kd",), means={"pick": 0.9}, tolerance=0.003, seeds=2, reason="why"
    )
    assert Use.from_plain(use.to_plain()) == use
