"""Losses that a student cannot feed are not drawn beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from autokd import catalog, spec
from autokd.errors import SpaceError
from autokd.networks.models import shapes_of
from autokd.space import Space, parse
from autokd.types import BuildContext, Shapes, Task

TEACHER = Shapes(((16, 8, 8), (32, 4, 4)), 32, tokens=((17, 8),) * 3, attention=((2, 17, 4),) * 3, head=True)
MAPS = ("attention_transfer", "diffkd", "hint", "nst", "reviewkd", "vid")
"""Losses on maps, or on features that are maps on both sides or vectors on both."""

TRANSFORMER = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Annotated
from torch import nn
from autokd.declarations import Student
from autokd.ranges import Integer
from autokd.types import Output


class Tokens(nn.Module):
    def __init__(self, task, width, layers):
        super().__init__()
        self.embed = nn.Conv2d(task.input_shape[0], width, 4, 4)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x):
        states = [self.embed(x).flatten(2).transpose(1, 2)]
        for layer in self.layers:
            states.append(layer(states[-1]))
        pooled = states[-1].mean(1)
        return Output(self.fc(pooled), (), pooled, tuple(states))


@dataclass(frozen=True, kw_only=True)
class Transformer:
    declares = Student(name="t_tokens", modalities={"image"}, offers={"pooled", "tokens"})

    width: Annotated[int, Integer(4, 8, step=4)] = 4  # channels

    def build(self, context):
        return Tokens(context.task, self.width, 2)
"""


@pytest.fixture
def transformer(tmp_path: Path) -> Iterator[None]:
    path = tmp_path / "buildable_tests.py"
    path.write_text(TRANSFORMER)
    catalog.load_plugins(path)
    yield
    del sys.modules["autokd_plugin_buildable_tests"]


def task_of(classes: int = 10, side: int = 16) -> Task:
    names = tuple(str(index) for index in range(classes))
    return Task(dataset="pictures", modality="image", input_shape=(3, side, side), classes=names, train_size=100)


def space_of(students: str, losses: str, always: str = "ce: {}") -> Space:
    return parse(
        f"student: {{one_of: {{{students}}}}}\naugment: {{always: {{none: {{}}}}}}\n"
        f"losses: {{always: {{{always}}}, any_of: {{at_most: 1, from: {{{losses}}}}}}}\n"
        "optimizer: {always: {sgd: {}}}\nschedule: {always: {cosine: {}}}\n"
    )


def drawn_losses(space: Space, draws: int = 150) -> dict[str, set[str]]:
    """The optional losses that random draws put beside each student; all of them build."""
    rng, found = np.random.default_rng(0), dict[str, set[str]]()
    for number in range(draws):
        plain = space.sample(rng, number).plain
        found.setdefault(plain["student"]["use"], set()).update(plain["losses"].keys() - {"ce"})
    return found


def test_losses_on_maps_stand_beside_the_students_that_have_some() -> None:
    every = ", ".join(f"{name}: {{}}" for name in (*MAPS, "sp", "kd"))
    space = space_of("cnn: {width: 4, layers: {int: [1, 3]}}, mlp: {width: 4}", every).resolve(task_of(), TEACHER)
    assert drawn_losses(space) == {"cnn": {*MAPS, "sp", "kd"}, "mlp": {"sp", "kd"}}
    places = {line.partition(": not beside mlp: ")[0].rpartition(".")[2] for line in space.dropped}
    assert places == set(MAPS)
    rng, task = np.random.default_rng(1), task_of()
    for number in range(40):
        pipeline = spec.from_plain(space.sample(rng, number).plain)
        student = shapes_of(pipeline.student.build(BuildContext(task=task)), task)
        for loss in pipeline.losses.values():
            loss.build(BuildContext(task=task, student=student, teacher=TEACHER))


def test_a_pipeline_with_such_a_pair_lies_outside_the_space() -> None:
    space = space_of("cnn: {width: 4}, mlp: {width: 4}", "hint: {}").resolve(task_of(), TEACHER)
    mixed = space.complete({"student": {"use": "mlp"}, "losses": {"ce": {}, "hint": {}}})
    assert space.misfits(mixed) == ["losses.hint: must not stand beside student.mlp"]
    assert space.misfits({**mixed, "student": space.complete({"student": {"use": "cnn"}})["student"]}) == []


def test_a_loss_that_no_student_feeds_is_left_out() -> None:
    space = space_of("mlp: {width: 4}", "hint: {}, kd: {}").resolve(task_of(), TEACHER)
    (reason,) = space.dropped
    assert reason.startswith("losses.any_of.from.hint: loss 'hint' cannot match student features of shape (4,)")
    assert "losses.hint" not in space.ranges()


def test_a_loss_that_is_always_there_leaves_out_the_students_that_do_not_feed_it() -> None:
    space = space_of("mlp: {width: 4}, cnn: {width: 4}", "kd: {}", "ce: {}, hint: {}").resolve(task_of(), TEACHER)
    assert space.dropped[1] == "student.one_of.mlp: mlp must not stand beside hint"
    assert space.default().plain["student"]["use"] == "cnn"
    with pytest.raises(SpaceError, match="nothing is left"):
        space_of("mlp: {}", "kd: {}", "hint: {}").resolve(task_of(), TEACHER)


def test_settings_that_the_data_do_not_allow_are_left_out() -> None:
    space = space_of("cnn: {}", "kd: {standardize: true}, dkd: {}")
    assert space.resolve(task_of(classes=5), TEACHER).dropped == ()
    (reason,) = space.resolve(task_of(classes=4), TEACHER).dropped
    assert "with standardize needs at least 5 classes" in reason


def test_stages_that_some_student_of_the_range_does_not_have_are_left_out() -> None:
    losses = "hint: {stages: {choice: [last, 3-2]}}, kd: {}"
    assert space_of("cnn: {layers: {int: [3, 4]}, width: 4}", losses).resolve(task_of(), TEACHER).dropped == ()
    (reason,) = space_of("cnn: {layers: {int: [2, 4]}, width: 4}", losses).resolve(task_of(), TEACHER).dropped
    assert "there is no pair 3-2; the student has 2 stages" in reason


def test_rounds_of_communication_are_left_out_and_its_control_is_not(transformer: None) -> None:
    teacher = TEACHER._replace(tokens=((16, 8),) * 3)
    space = space_of("t_tokens: {}, cnn: {}", "communication: {}, two_way: {use: communication, rounds: 1}, kd: {}")
    space = space.resolve(task_of(), teacher)
    assert drawn_losses(space) == {"t_tokens": {"communication", "kd"}, "cnn": {"kd"}}
    assert sorted(line.partition(": ")[2][:40] for line in space.dropped) == [
        "loss 'communication' with rounds 1 needs",
        "not beside cnn: communication needs toke",
    ]


def test_tokens_of_other_numbers_are_left_out(transformer: None) -> None:
    (reason,) = space_of("t_tokens: {}", "communication: {}, kd: {}").resolve(task_of(), TEACHER).dropped
    assert "all equally many" in reason
