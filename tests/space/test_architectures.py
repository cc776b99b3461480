"""The students of a space as one set: counted, drawn inside the budget, changed and crossed, whatever their fields."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest

from autokd.data import Dataset
from autokd.networks.cost import student_params
from autokd.space import families, parse
from autokd.space.architectures import Architectures
from autokd.spec import component_from_plain, fingerprint
from tests.search.spaces import SPACE

CNN = "cnn: {width: {int: [3, 12]}, layers: {int: [1, 2]}}"


def students(digits: Dataset, families: str = CNN, **limits: float) -> Architectures:
    space = parse(SPACE.replace(CNN, families), "test.yaml").resolve(digits.task, None)
    return Architectures(families=space.parts["student"].possible, task=digits.task, limits=limits)


def size(digits: Dataset, student: dict[str, Any]) -> int:
    return student_params(component_from_plain("students", student), digits.task)


def test_the_count_is_exact_where_it_is_finite(digits: Dataset) -> None:
    assert students(digits).count() == 20
    two = students(
        digits, "cnn: {width: 4, layers: 2}\n    resnet: {depth: {choice: [8, 14]}, width: {int: [4, 12], step: 4}}"
    )
    assert two.count() == 1 + 2 * 3 and len(two.everything() or []) == 7
    real = students(digits, "cnn: {width: 4, layers: {int: [1, 2]}}\n    mlp: {dropout: {float: [0.0, 0.5]}}")
    assert real.count() is None and real.everything() is None


@pytest.mark.parametrize("few", [0, families.FEW])
def test_students_inside_the_budget_are_drawn_alike(digits: Dataset, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve of the twenty have at most 500 parameters; 2,400 draws bring each 200 times, give or take five sd."""
    monkeypatch.setattr(families, "FEW", few)
    found = students(digits, params=500)
    rng = np.random.default_rng(0)
    times = collections.Counter(fingerprint(found.sample(rng)) for _ in range(2400))
    assert len(times) == 12 and all(abs(count - 200) < 5 * np.sqrt(200) for count in times.values())


def test_each_family_is_as_likely_however_many_students_it_has(digits: Dataset) -> None:
    found = students(digits, f"{CNN}\n    resnet: {{depth: 8, width: 4}}")
    rng = np.random.default_rng(0)
    uses = collections.Counter(found.sample(rng)["use"] for _ in range(1000))
    assert abs(uses["cnn"] - 500) < 5 * np.sqrt(250)


def small_enough(digits: Dataset, width: int, layers: int) -> bool:
    return size(digits, {"use": "cnn", "width": width, "layers": layers}) <= 101


def test_the_few_inside_a_narrow_budget_are_reached_by_a_walk(digits: Dataset) -> None:
    """Of 1,196 students three have at most 101 parameters, 0.3 %: draws alone find none of them."""
    found = students(digits, "cnn: {width: {int: [2, 599]}, layers: {int: [1, 2]}}", params=101)
    rng = np.random.default_rng(1)
    drawn = {fingerprint(student): student for student in (found.sample(rng) for _ in range(200))}
    assert all(size(digits, student) <= 101 for student in drawn.values())
    small = [(width, layers) for width in range(2, 9) for layers in (1, 2) if small_enough(digits, width, layers)]
    assert sorted((each["width"], each["layers"]) for each in drawn.values()) == small and len(small) == 3
    assert found.share_inside(rng) == pytest.approx(3 / 1196, abs=0.002)


def test_a_change_is_of_one_field_and_a_child_has_its_parents_fields(digits: Dataset) -> None:
    families = f"{CNN}\n    mobilenet: {{depth: {{int: [2, 6]}}, width: {{int: [4, 32]}}}}"
    found, rng = students(digits, families, params=4000), np.random.default_rng(2)
    changed = 0
    for _ in range(100):
        first, second = found.sample(rng), found.sample(rng)
        other = found.mutate(first, rng)
        assert other is not None and size(digits, other) <= 4000
        assert sum(other[name] != first[name] for name in first) == 1 and other["use"] == first["use"]
        child = found.crossover(first, second, rng)
        if first["use"] != second["use"]:
            assert child is None
        elif child is not None:
            changed += 1
            assert child not in (first, second) and size(digits, child) <= 4000
            assert all(child[name] in (first[name], second[name]) for name in child)
    assert changed > 5


def test_the_smallest_of_each_family_is_found_without_looking_at_all(digits: Dataset) -> None:
    """Fields may count against each other: of choices that are no numbers the smallest is found, too."""
    resnet = "resnet: {depth: {choice: [20, 8, 14]}, width: {int: [4, 64], step: 4}}"
    families = f"{resnet}\n    mobilenet: {{width: {{int: [8, 200]}}, depth: {{int: [2, 10]}}}}"
    found = students(digits, families, params=10)
    assert found.smallest() == [
        {"use": "resnet", "depth": 8, "width": 4},
        {**found.smallest()[1], "use": "mobilenet", "width": 8, "depth": 2},
    ]
    with pytest.raises(LookupError, match="no student lies inside the budget"):
        found.sample(np.random.default_rng(0))
    assert found.mutate(found.smallest()[0], np.random.default_rng(0)) is None
    with pytest.raises(LookupError, match="no student of this space"):
        found.mutate({"use": "resnet", "depth": 9, "width": 4}, np.random.default_rng(0))


def test_a_cell_that_does_not_see_its_input_is_never_drawn(digits: Dataset) -> None:
    """Of the three choices of each of two edges in a row, four of nine let something through."""
    few = "{choice: [none, skip_connect, avg_pool_3x3]}"
    others = "edge02: none, edge12: none, edge03: none, edge23: none, channels: 4, cells: 1"
    found = students(digits, f"nasbench201: {{edge01: {few}, edge13: {few}, {others}}}")
    everything = found.everything() or []
    assert found.count() == 9 and len(everything) == 4
    assert all("none" not in (student["edge01"], student["edge13"]) for student in [*everything, *found.smallest()])
    rng = np.random.default_rng(0)
    assert found.share_inside(rng) == 4 / 9
    assert all(found.mutate(student, rng) in everything for student in everything)
