"""The spaces that come with autokd."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autokd import catalog, spec
from autokd.declarations import Student
from autokd.input_kind import takes
from autokd.networks.cost import student_params
from autokd.ranges import Choice
from autokd.space import AnyOf, Space, find, parse, shipped
from autokd.space.recorded import recorded_ranges
from autokd.space.values import written
from autokd.types import TABLE, Shapes, Task

TASKS = {
    "digits": ("image", (1, 8, 8)),
    "image": ("image", (3, 32, 32)),
    "image_all_losses": ("image", (3, 32, 32)),
    "students": ("image", (3, 32, 32)),
    "tabular": ("table", (30,)),
    "tabular_all": ("table", (30,)),
}
OFFERS = {
    "image": Shapes(((16, 8, 8), (32, 4, 4)), 32, head=True, network="resnet:depth=8,width=16"),
    "table": Shapes(((16,), (32,)), 32, head=True),
}
TOKENS = {"attention_relation", "communication", "rdist"}
"""Losses on tokens: no student of the space has any."""


def task_for(name: str, classes: int = 10) -> Task:
    modality, shape = TASKS[name]
    labels = tuple(str(index) for index in range(classes))
    return Task(dataset=name, modality=modality, input_shape=shape, classes=labels, train_size=1000)


def resolved(name: str) -> Space:
    task = task_for(name)
    return parse(*find(name)).resolve(task, OFFERS[task.modality])


def test_every_shipped_space_is_tested():
    assert set(shipped()) == {*TASKS, "photos"}  # that one in tests/space/test_photos.py


@pytest.mark.parametrize("name", TASKS)
def test_file_starts_with_what_it_is(name):
    text, source = find(name)
    assert text.startswith("# ")
    assert source == name
    assert parse(text, source).description


DROPPED = {
    "image_all_losses": ["losses.any_of.0.from.camkd"],
    "tabular_all": [f"losses.any_of.from.{name}" for name in ("lelp", "hint", "sp")],  # beside logistic regression
}


@pytest.mark.parametrize("name", TASKS)
def test_nothing_is_dropped_on_data_it_is_made_for(name):
    assert [each.partition(":")[0] for each in resolved(name).dropped] == DROPPED.get(name, [])


@pytest.mark.parametrize("name", TASKS)
def test_samples_are_valid_pipelines_of_the_space(name):
    space = resolved(name)
    kept = recorded_ranges(json.loads(json.dumps(space.identity())))
    assert {path: written(span) for path, span in kept.items()} == {
        path: written(span) for path, span in space.ranges().items()
    }
    rng = np.random.default_rng(0)
    losses = space.parts["losses"]
    assert isinstance(losses, AnyOf)
    for drawn in [*(space.sample(rng, number) for number in range(200)), space.default()]:
        pipeline = spec.from_plain(drawn.plain)
        assert spec.to_plain(pipeline) == drawn.plain
        assert space.params_of(drawn.plain) == drawn.params
        assert drawn.params is not None
        assert all(space.ranges()[path].contains(value) for path, value in drawn.params.items())
        assert len(drawn.plain["losses"]) <= 1 + sum(group.at_most for group in losses.groups)
        assert not {"kd", "dkd"} <= set(drawn.plain["losses"])


@pytest.mark.parametrize("name", TASKS)
def test_the_budget_leaves_a_fair_share_of_students(name):
    space, task = resolved(name), task_for(name)
    limit = space.constraints.get("params", float("inf"))
    students = space.students(np.random.default_rng(0), 40)
    sizes = [student_params(spec.component_from_plain("students", plain), task) for plain in students]
    assert sum(size <= limit for size in sizes) >= len(sizes) / 2


def test_two_classes_and_an_ensemble_drop_what_needs_more():
    space = parse(*find("tabular")).resolve(task_for("tabular", classes=2), Shapes())
    assert {line.partition(":")[0] for line in space.dropped} == {
        "head.one_of.simkd",
        *(f"losses.any_of.from.{name}" for name in ("dkd", "lelp", "hint", "sp", "simkd")),
    }


def offered(name: str, slot: str) -> set[str]:
    span = resolved(name).ranges()[slot]
    assert isinstance(span, Choice)
    return {str(option) for option in span.options}


def fitting_images(kind: str) -> set[str]:
    declared = {name: catalog.load(kind, name).declares for name in catalog.names(kind)}
    return {
        name
        for name, each in declared.items()
        if takes(each.modalities, "image") and not (isinstance(each, Student) and each.family)
    }


def test_the_space_of_students_offers_every_student_for_images_but_perceptrons_and_cut_teachers():
    assert offered("students", "student") == fitting_images("students") - {"mlp", "cut_teacher"}


def test_the_image_spaces_offer_every_augmentation():
    assert offered("image", "augment") == offered("students", "augment") == fitting_images("augments")


def test_the_image_space_offers_the_families_known_longest():
    assert offered("image", "student") == {"cnn", "mobilenet", "resnet"}


def test_tabular_all_offers_every_student_for_tables():
    span = resolved("tabular_all").ranges()["student"]
    assert isinstance(span, Choice)
    fitting = {
        name for name in catalog.names("students") if catalog.load("students", name).declares.modalities >= TABLE
    }
    assert set(span.options) == fitting - {"cut_teacher"}


def test_image_all_losses_offers_every_loss_that_a_student_can_feed():
    space = resolved("image_all_losses")
    flags = {path for path in space.ranges() if path.count(".") == 1 and path.startswith("losses")}
    left_out = {"ce", "camkd", *TOKENS}
    assert flags == {f"losses.{name}" for name in catalog.names("losses") if name not in left_out}
    (without_ensemble,) = space.dropped
    assert without_ensemble.endswith("camkd reads each member of an ensemble of teachers, and the teacher is one")
