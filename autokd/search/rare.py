"""Parts for rare classes: what a default space gets where the training samples have such classes."""

from __future__ import annotations

import json

from autokd.data import Dataset
from autokd.recipes import PARTS_FOR_RARE_CLASSES, tries_rare_classes
from autokd.search.request import Request
from autokd.search.session import Setup
from autokd.space import Space, find, parse, with_parts
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
    space = parse(text, source)
    return (with_parts(space, PARTS_FOR_RARE_CLASSES) if rare and began else space), source


def rare_line(setup: Setup) -> str:
    """Return what to tell people of rare classes before a search begins; "" where there is none."""
    tried = [_name(part) for part in PARTS_FOR_RARE_CLASSES] if tries_rare_classes(setup.space) else []
    return rare_text(setup.data.class_counts, setup.data.task.classes, setup.objective.metric, tried)


def _name(part: str) -> str:
    return part.partition(".")[2]
