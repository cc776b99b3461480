from __future__ import annotations

import dataclasses

import pytest

from autokd.recipes.pick import greedy_order, normalised
from tests.recipes.test_records import ROW


def rows(table: dict[str, dict[str, list[float]]]):
    return [
        dataclasses.replace(ROW, dataset=dataset, recipe=recipe, seed=seed, validation=score)
        for dataset, recipes in table.items()
        for recipe, scores in recipes.items()
        for seed, score in enumerate(scores)
    ]


MADE_UP = {
    "a": {"kd": [0.5], "alone": [0.4], "all_round": [0.58], "one_trick": [0.4], "twin": [0.57], "weak": [0.41]},
    "b": {"kd": [0.5], "alone": [0.4], "all_round": [0.58], "one_trick": [0.4], "twin": [0.57], "weak": [0.41]},
    "c": {"kd": [0.5], "alone": [0.4], "all_round": [0.52], "one_trick": [0.6], "twin": [0.51], "weak": [0.41]},
}


def test_what_complements_comes_before_a_twin_of_what_is_there():
    assert greedy_order(rows(MADE_UP)) == ["kd", "alone", "all_round", "one_trick", "twin", "weak"]


def test_without_a_fixed_start_the_best_on_average_comes_first():
    assert greedy_order(rows(MADE_UP), first=())[:2] == ["all_round", "one_trick"]


def test_scores_are_means_over_seeds_scaled_within_a_set():
    scores = normalised(rows({"a": {"kd": [0.4, 0.6], "alone": [0.3, 0.3], "dist": [0.7]}}))
    (found,) = scores.values()
    assert found == pytest.approx({"kd": 0.5, "alone": 0.0, "dist": 1.0})


def test_a_recipe_without_a_run_on_a_set_adds_nothing_there():
    table = {"a": {"kd": [0.5], "dkd": [0.9], "dist": [0.8]}, "b": {"kd": [0.5], "dist": [0.9]}}
    assert greedy_order(rows(table), first=()) == ["dist", "dkd", "kd"]


def test_two_limits_are_two_sets_and_runs_without_a_recipe_are_passed_over():
    found = rows({"a": {"kd": [0.5], "dist": [0.8]}})
    other = [dataclasses.replace(row, limit={"params": 9.0}, validation=1 - row.validation) for row in found]
    assert len(normalised([*found, *other, dataclasses.replace(ROW, recipe=None, validation=1.0)])) == 2
