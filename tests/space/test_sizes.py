"""Sizes of students that end where the limits do."""

from __future__ import annotations

import pytest
import yaml

from autokd.errors import SpaceError
from autokd.networks.cost import student_cost
from autokd.ranges import Integer
from autokd.space import Space, find, parse
from autokd.spec import component_from_plain
from autokd.types import Task

ROWS = Task(dataset="rows", modality="table", input_shape=(16,), classes=tuple("abcdefghij"), train_size=99)
MLP = {"depth": {"int": [1, 3]}, "width": {"int": [4, "limit"], "log": True}}


def text_of(mlp=None, **constraints) -> str:
    tree = yaml.safe_load(find("tabular")[0])
    tree |= {"student": {"one_of": {"mlp": MLP if mlp is None else mlp}}, "constraints": constraints}
    return yaml.safe_dump(tree, sort_keys=False)


def width_of(space: Space) -> Integer:
    width = space.ranges()["student.mlp.width"]
    assert isinstance(width, Integer)
    return width


def params(**fields) -> int:
    return student_cost(component_from_plain("students", {"use": "mlp", **fields}), ROWS).params


def test_the_end_is_the_largest_value_that_fits_with_the_other_sizes_at_their_smallest():
    space = parse(text_of(params=3_000)).resolve(ROWS, None)
    end = width_of(space).high
    assert params(depth=1, width=end) <= 3_000 < params(depth=1, width=end + 1)
    assert space.ranges()["student.mlp.width"] == Integer(4, end, log=True)
    assert space.default().plain["student"]["width"] == min(64, end)


def test_the_limits_of_the_command_line_go_before_and_every_limit_counts():
    space = parse(text_of(params=100_000))
    narrow = width_of(space.resolve(ROWS, None, max_params=1_000)).high
    assert params(depth=1, width=narrow) <= 1_000 < params(depth=1, width=narrow + 1)
    by_macs = width_of(space.resolve(ROWS, None, max_macs=520)).high
    assert by_macs == 20  # 16 w + 10 w


def test_without_a_limit_it_is_the_components_own_end():
    space = parse(text_of()).resolve(ROWS, None)
    assert space.ranges()["student.mlp.width"] == Integer(4, 512, log=True)
    assert "limit" not in space.identity()["student"]["one_of"]["mlp"]["width"]


def test_whole_steps_are_kept():
    space = parse(text_of({"width": {"int": [4, "limit"], "step": 5}, "depth": 1}, params=3_000)).resolve(ROWS, None)
    end = width_of(space).high
    assert (end - 4) % 5 == 0
    assert params(depth=1, width=end) <= 3_000 < params(depth=1, width=end + 5)


def test_the_identity_holds_the_number_and_that_a_limit_made_it():
    space = parse(text_of(params=3_000)).resolve(ROWS, None)
    end = width_of(space).high
    assert space.identity()["student"]["one_of"]["mlp"]["width"] == {
        "int": [4, end],
        "step": 1,
        "log": True,
        "limit": True,
    }
    assert space.resolve(ROWS, None).identity() == space.identity()


def test_where_only_the_lowest_or_nothing_fits_the_lowest_is_left():
    for limit in (params(depth=1, width=4), 10):
        space = parse(text_of(params=limit)).resolve(ROWS, None)
        assert "student.mlp.width" not in space.ranges()
        assert space.default().plain["student"]["width"] == 4


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"batch_size": {"int": [32, "limit"]}}, "batch_size.int"),
        ({"student": {"one_of": {"mlp": {"dropout": {"int": [0, "limit"]}}}}}, "student.one_of.mlp.dropout"),
        ({"student": {"one_of": {"mlp": {"width": {"int": ["limit", 64]}}}}}, "student.one_of.mlp.width.int"),
    ],
)
def test_limit_is_for_upper_ends_of_sizes_only(change, mistake):
    with pytest.raises(SpaceError) as caught:
        parse(yaml.safe_dump(yaml.safe_load(text_of()) | change))
    assert any(line.startswith(mistake) for line in caught.value.problems)
