"""The known recipes, as rules: a setting of the losses, an optimizer at a rate that is good for it, an augmentation.

A rule names no student, and seldom a batch size, so that it fits any data and any limit; `autokd.recipes.apply` makes a
pipeline of it. Published settings are those of the losses' own files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autokd import catalog
from autokd.spec import TEACHER
from autokd.types import Task

_SGD: Mapping[str, Any] = {"use": "sgd", "learning_rate": 0.1}
"""The rate of the residual networks of He et al. (CVPR 2016, arXiv 1512.03385, section 4.2)."""
_ADAMW: Mapping[str, Any] = {"use": "adamw", "learning_rate": 5e-3}
"""Small students stand, and short runs want, a higher rate than the usual 1e-3."""
_CE: Mapping[str, Any] = {"weight": 1.0, "label_smoothing": 0.0}

LIGHT: Mapping[str, Any] = {"use": "crop_flip"}
NONE: Mapping[str, Any] = {"use": "none"}
"""Augmentations of rules."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A known recipe.

    Args:
      name: of the rule; also in the source of its trial.
      title: for people.
      losses: by the name of the component, the values of those fields that the recipe states.
      optimizer, head: plain components with the values that the recipe states.
      augment: the same for the augmentation; "none" on a kind of input that it is not for, and where a space lacks it
        the space's default.
      schedule: the same for the schedule; None: the space's default.
      batch_size: None: the space's default.
      unlabelled: share of a batch that is of samples without labels, for data that have some; None: it has none.
      hand: it is what a person tries by hand.
      always: it is tried even where the space has no place for it.
    """

    name: str
    title: str
    losses: Mapping[str, Mapping[str, Any]]
    optimizer: Mapping[str, Any]
    augment: Mapping[str, Any]
    head: Mapping[str, Any] = field(default_factory=lambda: {"use": "plain"})
    schedule: Mapping[str, Any] | None = None
    batch_size: int | None = None
    unlabelled: float | None = None
    hand: bool = False
    always: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Return the rule as JSON-able data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Rule:
        """Return the rule that a study wrote down, of this version or another one."""
        known = {item.name for item in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in plain.items() if key in known})

    @property
    def reads_teacher(self) -> bool:
        """Whether a loss of it reads the teacher."""
        return any(catalog.load("losses", use).declares.reads_of == TEACHER for use in self.losses)


_ALONE = {"ce": _CE}
_KD = {"ce": {**_CE, "weight": 0.1}, "kd": {"weight": 0.9, "temperature": 4.0}}
_DIST = {"ce": _CE, "dist": {"weight": 1.0, "temperature": 4.0, "beta": 1.0, "gamma": 1.0}}
_DKD = {"ce": _CE, "dkd": {"weight": 1.0, "temperature": 4.0, "alpha": 1.0, "beta": 1.0}}
_WTTM = {"ce": _CE, "wttm": {"weight": 1.0, "gamma": 0.2}}
_LELP = {"ce": _CE, "lelp": {"weight": 1.0}}
_SIMKD = {"ce": _CE, "simkd": {"weight": 1.0}}
_SIMKD_HEAD = {"use": "simkd", "factor": 2}
_DHO = {"ce": _CE, "kd": {"weight": 1.0, "temperature": 2.0}}
_DHO_HEAD = {"use": "dho", "alpha": 0.5, "beta": 0.5}

RULES: tuple[Rule, ...] = (
    Rule(name="kd", title="KD", losses=_KD, optimizer=_SGD, augment=LIGHT, hand=True, always=True),
    Rule(name="alone", title="Student alone", losses=_ALONE, optimizer=_SGD, augment=LIGHT, hand=True, always=True),
    Rule(name="kd-raw", title="KD, no augmentation", losses=_KD, optimizer=_SGD, augment=NONE, hand=True),
    Rule(name="alone-raw", title="Student alone, no augmentation", losses=_ALONE, optimizer=_SGD, augment=NONE),
    Rule(name="wttm-raw", title="WTTM, no augmentation", losses=_WTTM, optimizer=_SGD, augment=NONE),
    Rule(name="kd-adamw-raw", title="KD, AdamW, no augmentation", losses=_KD, optimizer=_ADAMW, augment=NONE),
    Rule(name="alone-adamw", title="Student alone, AdamW", losses=_ALONE, optimizer=_ADAMW, augment=LIGHT),
    Rule(name="dist-raw", title="DIST, no augmentation", losses=_DIST, optimizer=_SGD, augment=NONE, hand=True),
    Rule(name="dkd", title="DKD", losses=_DKD, optimizer=_SGD, augment=LIGHT, hand=True),
    Rule(name="wttm", title="WTTM", losses=_WTTM, optimizer=_SGD, augment=LIGHT),
    Rule(name="lelp", title="LELP", losses=_LELP, optimizer=_SGD, augment=LIGHT),
    Rule(name="simkd-adamw", title="SimKD, AdamW", losses=_SIMKD, optimizer=_ADAMW, augment=LIGHT, head=_SIMKD_HEAD),
)
"""In the order in which they are tried where only the first few fit into a budget."""

_WEIGHTED_KD = {"weighted_ce": {"weight": 1.0, "power": 1.0}, "kd": {"weight": 0.9, "temperature": 4.0}}
_ADJUSTED = {"logit_adjusted": {"weight": 1.0, "strength": 1.0}}

FOR_RARE_CLASSES: tuple[Rule, ...] = (
    Rule(
        name="kd-weighted",
        title="KD, classes weighted",
        losses=_WEIGHTED_KD,
        optimizer=_SGD,
        augment=LIGHT,
        hand=True,
    ),
    Rule(
        name="adjusted",
        title="Student alone, logit-adjusted",
        losses=_ADJUSTED,
        optimizer=_SGD,
        augment=LIGHT,
        hand=True,
    ),
)
"""Tried behind the first two of `RULES` where a space has the parts for rare classes."""
PARTS_FOR_RARE_CLASSES = ("losses.weighted_ce", "losses.focal", "losses.logit_adjusted", "selection.balanced")
"""What a default space gets where the training samples have rare classes: names of components with their slots."""
WITH_UNLABELLED: tuple[Rule, ...] = (
    Rule(
        name="kd-unlabelled",
        title="KD, with samples without labels",
        losses=_KD,
        optimizer=_SGD,
        augment=LIGHT,
        unlabelled=0.5,
        hand=True,
    ),
    Rule(
        name="dho-unlabelled",
        title="Dual head, with samples without labels",
        losses=_DHO,
        optimizer=_SGD,
        augment=LIGHT,
        head=_DHO_HEAD,
        unlabelled=0.75,
        hand=True,
    ),
    Rule(
        name="kd-unlabelled-adamw",
        title="KD, AdamW, no augmentation, with samples without labels",
        losses=_KD,
        optimizer=_ADAMW,
        augment=NONE,
        unlabelled=0.75,
        hand=True,
    ),
    Rule(
        name="dho-unlabelled-adamw",
        title="Dual head, AdamW, no augmentation, with samples without labels",
        losses=_DHO,
        optimizer=_ADAMW,
        augment=NONE,
        head=_DHO_HEAD,
        unlabelled=0.75,
        hand=True,
    ),
)
"""For data that have samples without labels: tried right after KD and the student alone."""


def rules_for(task: Task, *, rare_classes: bool = False) -> tuple[Rule, ...]:
    """Return the rules for a task, in the order in which they are tried.

    Args:
      task: that may have samples without labels.
      rare_classes: whether the space has the parts for rare classes.
    """
    first = [rule for rule in RULES if rule.always]
    own = (*(WITH_UNLABELLED if task.unlabelled else ()), *(FOR_RARE_CLASSES if rare_classes else ()))
    return (*first, *own, *(rule for rule in RULES if not rule.always)) if own else RULES


def rule_of(name: str) -> Rule | None:
    """Return the rule of a name, or None where this version has no such rule."""
    known = (*RULES, *WITH_UNLABELLED, *FOR_RARE_CLASSES)
    return next((rule for rule in known if rule.name == name), None)


def unaugmented(name: str) -> str:
    """Return what a recipe is called that is the same without augmentation.

    >>> unaugmented("kd")
    'kd-raw'
    """
    return f"{name}-raw"
