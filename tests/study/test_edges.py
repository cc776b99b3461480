from __future__ import annotations

from typing import Any

import pytest

from autokd.study.edges import Edge, edges_of, words

SPACE: dict[str, Any] = {
    "student": {
        "one_of": {
            "mlp": {
                "use": "mlp",
                "depth": {"int": [1, 3], "step": 1, "log": False},
                "width": {"int": [4, 32], "step": 1, "log": True},
                "dropout": {"choice": [0.0, 0.1, 0.3]},
            },
            "cnn": {"use": "cnn", "width": {"int": [4, 32], "step": 4, "log": False}, "layers": 2},
        }
    },
    "losses": {
        "always": {"ce": {"use": "ce", "weight": {"float": [0.1, 1.0], "log": True}, "label_smoothing": 0.0}},
        "any_of": [{"at_most": 1, "from": {"soft": {"use": "kd", "temperature": {"float": [1.0, 16.0], "log": True}}}}],
    },
    "optimizer": {"one_of": {"sgd": {"use": "sgd", "nesterov": {"choice": [True, False]}, "momentum": 0.9}}},
    "batch_size": {"choice": [32, 64, 128]},
    "budget": {"epochs": 3},
}
INSIDE: dict[str, Any] = {
    "format": 1,
    "student": {"use": "mlp", "depth": 2, "width": 16, "dropout": 0.1},
    "losses": {
        "ce": {"use": "ce", "weight": 0.3, "label_smoothing": 0.0},
        "soft": {"use": "kd", "temperature": 4.0},
    },
    "optimizer": {"use": "sgd", "nesterov": True, "momentum": 0.9},
    "batch_size": 64,
}


def changed(slot: str, **fields: object) -> dict[str, object]:
    return {**INSIDE, slot: {**INSIDE[slot], **fields}}


def test_nothing_is_said_of_what_lies_inside():
    assert edges_of(INSIDE, SPACE) == []


@pytest.mark.parametrize(
    ("pipeline", "edge"),
    [
        (changed("student", width=32), Edge("student.mlp.width", 32, "highest")),
        (changed("student", width=4), Edge("student.mlp.width", 4, "lowest")),
        (changed("student", depth=3), Edge("student.mlp.depth", 3, "highest")),
        (changed("student", dropout=0.3), Edge("student.mlp.dropout", 0.3, "highest")),
        (changed("losses", soft={"use": "kd", "temperature": 15.6}), Edge("losses.soft.temperature", 15.6, "highest")),
        (changed("losses", ce={"use": "ce", "weight": 0.1}), Edge("losses.ce.weight", 0.1, "lowest")),
        ({**INSIDE, "batch_size": 32}, Edge("batch_size", 32, "lowest")),
    ],
)
def test_a_value_on_an_end_is_named(pipeline, edge):
    assert edges_of(pipeline, SPACE) == [edge]


@pytest.mark.parametrize(
    "pipeline",
    [
        changed("student", dropout=0.0),  # nothing lies below 0
        changed("losses", soft={"use": "kd", "temperature": 14.0}),
        changed("optimizer", nesterov=False),
        {**INSIDE, "student": {"use": "resnet", "width": 32}},  # from outside the space
    ],
)
def test_what_has_no_other_side_is_not(pipeline):
    assert edges_of(pipeline, SPACE) == []


def test_an_end_that_a_limit_made_is_not_named():
    mlp = {**SPACE["student"]["one_of"]["mlp"], "width": {"int": [4, 32], "step": 1, "log": True, "limit": True}}
    limited = {**SPACE, "student": {"one_of": {"mlp": mlp}}}
    assert edges_of(changed("student", width=32), limited) == []
    assert words(changed("student", width=4), limited) == ["student.mlp.width 4 is the lowest that the space allows"]
