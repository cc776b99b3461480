from __future__ import annotations

import pytest
import yaml

from autokd.networks.cost import student_cost, student_params
from autokd.recipes import choose_family, largest_of_families
from autokd.recipes.students import Room, beside_head
from autokd.space import Space, find, parse
from autokd.spec import component_from_plain
from autokd.types import Shapes, Task

PICTURES = Task(dataset="pictures", modality="image", input_shape=(1, 8, 8), classes=tuple("0123456789"), train_size=99)
TEACHER = Shapes(((16, 8, 8), (32, 4, 4)), 32, head=True)
STUDENTS = {
    "resnet": {"depth": {"choice": [8, 14]}, "width": {"int": [4, 40]}},
    "cnn": {"layers": {"int": [1, 3]}, "width": {"int": [4, 40]}},
}


def space_of(**changed: object) -> Space:
    tree = yaml.safe_load(find("image_all_losses")[0])
    tree |= {"student": {"one_of": STUDENTS}, "constraints": {"params": 20_000}} | changed
    return parse(yaml.safe_dump(tree, sort_keys=False)).resolve(PICTURES, TEACHER)


def count(student, head=None) -> int:
    beside = None if head is None else component_from_plain("heads", head)
    return student_params(component_from_plain("students", student), PICTURES, beside, head and TEACHER)


def every(family: str) -> list[dict[str, object]]:
    """All students of a family, one by one."""
    sizes = STUDENTS[family]
    depth, depths = ("depth", [8, 14]) if family == "resnet" else ("layers", [1, 2, 3])
    low, high = sizes["width"]["int"]
    return [{"use": family, depth: value, "width": width} for value in depths for width in range(low, high + 1)]


def test_the_largest_inside_the_limit_is_found_among_all_students_of_each_family():
    students = largest_of_families(space_of(), PICTURES, TEACHER)
    assert [student["use"] for student in students] == ["resnet", "cnn"]
    for student in students:
        inside = [count(other) for other in every(student["use"]) if count(other) <= 20_000]
        assert 0.9 * max(inside) <= count(student) <= 20_000
        assert count({**student, "width": student["width"] + 1}) > 20_000


def test_among_students_of_nearly_one_size_the_shallowest_is_taken():
    (student, _) = largest_of_families(space_of(constraints={"params": 41_000}), PICTURES, TEACHER)
    deep = max((other for other in every("resnet") if other["depth"] == 14 and count(other) <= 41_000), key=count)
    assert student["depth"] == 8
    assert count(deep) > 0.9 * count(student)


def test_a_deeper_student_is_taken_where_the_width_ends_before_the_limit():
    narrow = {"resnet": {"depth": {"choice": [8, 14]}, "width": {"int": [4, 8]}}}
    (student,) = largest_of_families(space_of(student={"one_of": narrow}), PICTURES, TEACHER)
    assert student == {"use": "resnet", "depth": 8, "width": 8}  # 19,810 parameters; depth 14 ends at width 5
    wide = space_of(student={"one_of": narrow}, constraints={"params": 50_000})
    assert largest_of_families(wide, PICTURES, TEACHER) == [{"use": "resnet", "depth": 14, "width": 8}]


@pytest.mark.parametrize("limits", [{"macs": 500_000}, {"size": 40_000}, {"params": 20_000, "macs": 200_000}])
def test_every_limit_of_the_architecture_is_kept_and_filled(limits):
    for student in largest_of_families(space_of(constraints=limits), PICTURES, TEACHER):
        cost = student_cost(component_from_plain("students", student), PICTURES)._asdict()
        wider = component_from_plain("students", {**student, "width": student["width"] + 1})
        assert all(cost[name] <= limit for name, limit in limits.items())
        assert any(student_cost(wider, PICTURES)._asdict()[name] > limit for name, limit in limits.items())


def test_a_family_without_a_student_inside_the_limit_is_left_out():
    students = largest_of_families(space_of(constraints={"params": 3_000}), PICTURES, TEACHER)
    assert [student["use"] for student in students] == ["cnn"]


def test_a_head_counts():
    head = {"use": "simkd", "factor": 2}
    room = Room(space=space_of(), task=PICTURES, offers=TEACHER)
    for bare in largest_of_families(room.space, PICTURES, TEACHER):
        beside = beside_head(bare, head, room)
        assert beside is not None
        assert {**beside, "width": bare["width"]} == bare
        assert count(beside, head) <= 20_000 < count(bare, head)
        assert count({**beside, "width": beside["width"] + 1}, head) > 20_000
        assert beside_head(beside, head, room) == beside


def test_what_is_too_slow_is_passed_over():
    asked = []

    def fast(network):
        asked.append(network)
        return network["student"]["width"] <= 6

    students = largest_of_families(space_of(constraints={"params": 100_000}), PICTURES, TEACHER, fast=fast)
    assert {student["width"] for student in students} == {6}
    assert all(network["head"] == {"use": "plain"} for network in asked)


def test_without_limits_a_family_is_at_its_default():
    students = largest_of_families(space_of(constraints={}), PICTURES, TEACHER)
    assert students == [{"use": "resnet", "depth": 14, "width": 16}, {"use": "cnn", "layers": 3, "width": 16}]


def test_few_students_are_built(monkeypatch):
    built = []

    def fits(component, *rest):
        built.append(component)
        return component.width <= 11

    monkeypatch.setattr("autokd.recipes.students.student_fits", fits)
    largest_of_families(space_of(student={"one_of": {"mobilenet": {"width": {"int": [4, 64]}}}}), PICTURES, TEACHER)
    assert 0 < len(built) <= 5 * 7  # five depths, seven widths each; there are 12 x 61 students


STANDING = [{"use": "resnet"}, {"use": "mobilenet"}, {"use": "cnn"}]


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        (None, "resnet"),
        ({"resnet": 3.0, "mobilenet": 9.0, "cnn": 1.0}, "resnet"),
        ({"resnet": 3.1, "mobilenet": 9.0, "cnn": 1.0}, "cnn"),
        ({"resnet": 9.0, "mobilenet": 2.0, "cnn": 1.0}, "mobilenet"),
    ],
)
def test_the_first_family_that_is_not_slow_is_chosen(seconds, chosen):
    assert choose_family(STANDING, seconds) == {"use": chosen}


def test_without_families_none_is_chosen():
    assert choose_family([]) is None
