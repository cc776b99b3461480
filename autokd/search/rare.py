"""Parts for rare classes: what a default space gets where the training samples have such classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from autokd.data import Dataset
from autokd.files import YAML_LOADER
from autokd.recipes import PARTS_FOR_RARE_CLASSES, tries_rare_classes
from autokd.search.request import Request
from autokd.search.session import Setup
from autokd.space import Space, find, parse
from autokd.study.majority import rare_classes, rare_text
from autokd.study.settings import StudySettings


def asked_space(request: Request, data: Dataset, before: StudySettings | None) -> tuple[Space, str]:
    """Return the space that was asked for, with its source; the default one with parts for rare classes, if there are.

    Args:
      request: what was asked.
      data: whose training samples are counted.
      before: what `study.yaml` says where the request goes on with a study; one that began without these stays so.

    Raises:
      SpaceError: there is no such space, or it has mistakes.
    """
    text, source = find(request.space or data.default_space)
    rare = request.space is None and rare_classes(data.class_counts, data.task.classes)
    began = before is None or all(_name(part) in json.dumps(before.identity.space) for part in PARTS_FOR_RARE_CLASSES)
    return parse(with_parts(text) if rare and began else text, source), source


def with_parts(text: str) -> str:
    """Return the text of a space with the parts for rare classes as candidates, beside what it has.

    Args:
      text: YAML of a space that always has the loss `ce`.
    """
    tree: dict[str, Any] = yaml.load(text, YAML_LOADER)
    wanted = [part.partition(".") for part in PARTS_FOR_RARE_CLASSES]
    losses, selections = ([name for slot, _, name in wanted if slot == each] for each in ("losses", "selection"))
    some = tree["losses"].get("any_of", [])
    groups = [some] if isinstance(some, Mapping) else list(some)
    groups.append({"at_most": 1, "from": {name: {} for name in losses}})
    tree["losses"] = {**tree["losses"], "any_of": groups}
    if "selection" not in tree:
        tree["selection"] = {"one_of": {"all": {}, **{name: {} for name in selections}}}
    return "# with parts for rare classes, which the training samples have\n" + yaml.safe_dump(tree, sort_keys=False)


def rare_line(setup: Setup) -> str:
    """Return what to tell people of rare classes before a search begins; "" where there is none."""
    tried = [_name(part) for part in PARTS_FOR_RARE_CLASSES] if tries_rare_classes(setup.space) else []
    return rare_text(setup.data.class_counts, setup.data.task.classes, setup.objective.metric, tried)


def _name(part: str) -> str:
    return part.partition(".")[2]
