"""`autokd describe losses NAME` tells of every loss all that a reader needs to choose it."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from autokd import catalog
from autokd.cli.console import components
from autokd.losses.common import COSTS
from autokd.spec import fields_of

NAMES = catalog.names("losses")


def shown(name: str) -> str:
    """The text, in lines that are never broken."""
    terminal = Console(file=io.StringIO(), width=1000, highlight=False)
    terminal.print(components.component("losses", name, as_json=False))
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


def line_of(name: str, title: str) -> str:
    found = re.findall(rf"^{title}: (.*?) *$", shown(name), re.MULTILINE)
    return found[0] if found else ""


@pytest.mark.parametrize("name", NAMES)
def test_everything_there_is_to_know_is_shown(name: str) -> None:
    cls, text = catalog.load("losses", name), shown(name)
    declares = cls.declares
    told = json.loads(str(components.component("losses", name, as_json=True)))
    assert re.search(r"(19|20)\d\d", told["formula"])
    assert line_of(name, "formula") == told["formula"]
    assert ">>>" not in told["formula"] and "Example" not in told["formula"]
    assert line_of(name, "cost of a training step") == COSTS[declares.cost]
    assert told["cost"] == declares.cost
    assert line_of(name, "read from the teacher, besides logits") == ", ".join(sorted(declares.reads))
    assert line_of(name, "batch statistic").startswith("yes" if declares.batch_statistic else "no")
    assert line_of(name, "what a weight of 1 stands for") == f"{declares.scale.value}; {declares.scale.source}"
    for field, info in fields_of(cls).items():
        (row,) = re.findall(rf"^│ {field} +│ (.*)$", text, re.MULTILINE)
        assert [cell.strip() for cell in row.split("│")][:2] == [str(info.default), str(info.range or "not searched")]
        assert told["fields"][field]["about"]


def test_the_words_for_teacher_needs_and_exclusions() -> None:
    assert line_of("vid", "teacher").startswith("its features are read; it answers at every step")
    assert line_of("kd", "teacher") == "its stored answers are read"
    assert line_of("tfkd", "teacher") == "none is read"
    assert line_of("camkd", "each member of an ensemble is read") == "yes"
    assert line_of("uskd", "read from the student, besides logits") == "features"
    assert line_of("crd", "never beside") == "augment.cutmix, augment.mixup; a mixed sample has no class"
    assert line_of("simkd", "only beside") == "head.simkd"
    assert line_of("dkd", "fewest classes") == "3; with two classes it is kd"
    assert line_of("reviewkd", "cost of a training step") == "twice the student's own step or more"


def test_other_kinds_have_no_formula_and_no_cost() -> None:
    told = json.loads(str(components.component("students", "resnet", as_json=True)))
    assert told["formula"] == "" and "cost" not in told
