from __future__ import annotations

import pytest
import yaml

from autokd import spec
from autokd.networks.cost import student_cost
from autokd.recipes import RULES, largest_of_families, portfolio
from autokd.space import Space, find, parse
from autokd.types import Shapes, Task

PICTURES = Task(dataset="pictures", modality="image", input_shape=(1, 8, 8), classes=tuple("0123456789"), train_size=99)
ROWS = Task(dataset="rows", modality="table", input_shape=(12,), classes=tuple("abcdef"), train_size=99)
TEACHERS = {
    "pictures": Shapes(((16, 8, 8), (32, 4, 4)), 32, head=True),
    "rows": Shapes(((64,), (64,)), 64, head=True),
}


def space_of(name: str, task: Task, offers: Shapes | None = None, **changed: object) -> Space:
    tree = yaml.safe_load(find(name)[0]) | changed
    return parse(yaml.safe_dump(tree, sort_keys=False)).resolve(task, offers)


def everything(**changed: object) -> Space:
    return space_of("image_all_losses", PICTURES, TEACHERS["pictures"], **changed)


def recipes_of(space: Space, task: Task = PICTURES, student: dict[str, object] | None = None):
    found = portfolio(space, task, TEACHERS[task.dataset], student=student)
    return {recipe.rule.name: recipe.drawn for recipe in found.recipes}, found.dropped


def test_rules_have_names_of_their_own_and_start_with_kd_and_alone():
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert names[:2] == ["kd", "alone"]
    assert [rule.name for rule in RULES if rule.always] == ["kd", "alone"]
    assert {rule.name for rule in RULES if not rule.reads_teacher} == {"alone", "alone-raw", "alone-adamw"}


def test_every_rule_is_a_setting_that_its_components_accept():
    for rule in RULES:
        parts = [("optimizers", rule.optimizer), ("heads", rule.head)]
        parts += [("losses", {"use": use, **values}) for use, values in rule.losses.items()]
        for kind, plain in parts:
            component = spec.component_from_plain(kind, dict(plain))
            assert spec.component_to_plain(component).items() >= dict(plain).items()


def test_all_rules_find_their_place_where_the_space_offers_all_they_name():
    recipes, dropped = recipes_of(everything())
    assert list(recipes) == [rule.name for rule in RULES]
    assert dropped == ()
    space = everything()
    for rule in RULES:
        drawn = recipes[rule.name]
        assert drawn.params == space.params_of(drawn.plain) is not None
        assert spec.to_plain(spec.from_plain(drawn.plain)) == drawn.plain
        assert set(drawn.plain["losses"]) == set(rule.losses)
        assert drawn.plain["augment"]["use"] == rule.augment["use"]
        for use, values in rule.losses.items():
            assert drawn.plain["losses"][use].items() >= values.items()
        assert drawn.plain["optimizer"].items() >= rule.optimizer.items()


def test_hand_kd_is_the_textbook_setting_on_the_largest_student():
    space = everything()
    recipes, _ = recipes_of(space)
    plain = recipes["kd"].plain
    assert plain["losses"]["ce"]["weight"] == 0.1
    assert plain["losses"]["kd"]["weight"] == 0.9
    assert plain["losses"]["kd"]["temperature"] == 4.0
    assert plain["optimizer"]["use"] == "sgd"
    assert plain["optimizer"]["learning_rate"] == 0.1
    assert plain["student"] == largest_of_families(space, PICTURES, TEACHERS["pictures"])[0]
    assert recipes["alone"].plain == {**plain, "losses": recipes["alone"].plain["losses"]}


@pytest.mark.parametrize("limit", [8_000, 20_000, 60_000])
def test_every_recipe_stays_inside_the_limit_with_its_head(limit):
    recipes, _ = recipes_of(everything(constraints={"params": limit}))
    assert {"kd", "simkd-adamw"} <= set(recipes)
    for drawn in recipes.values():
        pipeline = spec.from_plain(drawn.plain)
        cost = student_cost(pipeline.student, PICTURES, pipeline.head, TEACHERS["pictures"])
        assert 0.5 * limit < cost.params <= limit


def test_a_head_that_leaves_no_room_is_dropped_with_a_line():
    small = {"one_of": {"cnn": {"layers": 1, "width": {"int": [4, 64]}}}}
    recipes, dropped = recipes_of(everything(constraints={"params": 600}, student=small))
    assert "simkd-adamw" not in recipes
    assert "recipe simkd-adamw: no cnn with the head simkd is inside the limits" in dropped


def test_the_given_student_is_taken():
    student = {"use": "cnn", "layers": 2, "width": 8}
    recipes, _ = recipes_of(everything(), student=student)
    assert recipes["kd"].plain["student"] == recipes["lelp"].plain["student"] == student


def test_without_a_teacher_what_reads_one_drops_out_with_a_line_each():
    space = space_of("image_all_losses", PICTURES, None)
    found = portfolio(space, PICTURES, None)
    assert [recipe.rule.name for recipe in found.recipes] == ["alone", "alone-raw", "alone-adamw"]
    assert len([line for line in found.dropped if "reads a teacher" in line]) == len(RULES) - 3


def test_on_tables_light_augmentation_is_none_and_what_is_equal_then_merges_with_a_line():
    recipes, dropped = recipes_of(space_of("tabular", ROWS, TEACHERS["rows"]), ROWS)
    assert {drawn.plain["augment"]["use"] for drawn in recipes.values()} == {"none"}
    assert "kd-raw" not in recipes
    assert "recipe kd-raw: the same as kd here" in dropped
    assert len(recipes) + len([line for line in dropped if "in place of" not in line]) == len(RULES)


def test_a_value_outside_a_range_is_moved_to_the_nearest_end_with_one_line_for_all_recipes():
    slow = {"one_of": {"sgd": {"learning_rate": {"float": [0.01, 0.05], "log": True}}, "adamw": {}}}
    recipes, dropped = recipes_of(everything(optimizer=slow))
    assert recipes["kd"].plain["optimizer"]["learning_rate"] == 0.05
    assert recipes["kd"].params is not None
    (line,) = dropped
    names, _, what = line.partition(": ")
    assert what == "optimizer.sgd.learning_rate is 0.05 in place of 0.1, the nearest in this space"
    assert names.removeprefix("recipe ").split(", ") == [r.name for r in RULES if r.optimizer["use"] == "sgd"]


def test_a_fixed_number_counts_as_a_range_of_one():
    fixed = {"always": {"ce": {"weight": 0.5}}, "any_of": {"at_most": 1, "from": {"kd": {}, "dist": {}}}}
    recipes, dropped = recipes_of(everything(losses=fixed, head={"one_of": {"plain": {}}}))
    assert recipes["kd"].plain["losses"]["ce"]["weight"] == 0.5
    assert any("losses.ce.weight is 0.5 in place of 0.1" in line for line in dropped)


def test_kd_is_tried_outside_a_space_that_has_no_place_for_it():
    losses = {"always": {"ce": {}}, "any_of": {"at_most": 1, "from": {"dist": {}}}}
    recipes, dropped = recipes_of(everything(losses=losses, head={"one_of": {"plain": {}}}))
    assert recipes["kd"].params is None
    assert recipes["kd"].plain["losses"]["kd"]["weight"] == 0.9
    assert spec.from_plain(recipes["kd"].plain).needs_teacher
    assert recipes["alone"].params is not None
    assert recipes["dist-raw"].params is not None
    assert "recipe kd: tried outside the space, losses.kd is not in this space" in dropped
    assert "recipe wttm: losses.wttm is not in this space" in dropped


def test_a_loss_that_always_stands_there_keeps_the_recipes_outside():
    losses = {"always": {"ce": {}, "hint": {}}, "any_of": {"at_most": 1, "from": {"kd": {}, "dist": {}}}}
    recipes, dropped = recipes_of(everything(losses=losses, head={"one_of": {"plain": {}}}))
    assert set(recipes) == {"kd", "alone"}
    assert recipes["kd"].params is recipes["alone"].params is None
    assert "recipe dist-raw: losses.hint: must be there" in dropped


def test_a_loss_is_found_under_a_name_of_its_own():
    losses = {"always": {"labels": {"use": "ce"}}, "any_of": {"at_most": 1, "from": {"soft": {"use": "kd"}}}}
    recipes, _ = recipes_of(everything(losses=losses, head={"one_of": {"plain": {}}}))
    assert recipes["kd"].params is not None
    assert set(recipes["kd"].plain["losses"]) == {"labels", "soft"}


def test_where_crop_and_flip_is_missing_the_default_augmentation_is_taken_with_a_line():
    recipes, dropped = recipes_of(everything(augment={"one_of": {"none": {}, "mixup": {}}}))
    assert recipes["kd"].plain["augment"]["use"] == "none"
    assert recipes["kd"].params is not None
    assert "recipe kd-raw: the same as kd here" in dropped
    assert any(line.endswith("augment crop_flip is not in this space; none in its place") for line in dropped)


def test_what_resolving_said_of_a_loss_is_why_its_recipe_is_missing():
    two = Task(dataset="rows", modality="table", input_shape=(12,), classes=("no", "yes"), train_size=99)
    space = space_of("tabular", two, TEACHERS["rows"])
    assert "recipe dkd: dkd needs at least 3 classes, rows has 2" in portfolio(space, two, TEACHERS["rows"]).dropped


def test_where_no_student_is_inside_only_what_is_always_tried_is_left():
    recipes, dropped = recipes_of(everything(constraints={"params": 10}))
    assert set(recipes) == {"kd", "alone"}
    assert recipes["kd"].params is None
    assert "recipe dist-raw: no student of the space is inside the limits" in dropped
