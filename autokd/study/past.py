"""What past studies advised a study to begin with, as `study.yaml` keeps it: the study goes on from that alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AdvisedRule:
    """A recipe that past studies advised.

    Args:
      rule: plain; see `autokd.recipes.Rule`.
      gain: expected score less that of KD by hand; None where no past study knows.
      interval: 95 % of new studies are expected in it; None where too few past studies know.
      studies: past studies that tried it beside KD by hand, on whatever student.
      better: in so many of these it was better.
      said: quantile of it in each past study that counts, [S].
    """

    rule: Mapping[str, Any]
    gain: float | None
    interval: tuple[float, float] | None
    studies: int
    better: int
    said: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Name of the rule, also in the source of its trial."""
        return str(self.rule["name"])

    @property
    def title(self) -> str:
        """The rule for people."""
        return str(self.rule["title"])


@dataclass(frozen=True, kw_only=True)
class PastStudent:
    """A student of a past study: what was said of it without training, and what it then reached.

    Args:
      student: plain.
      params, macs: its costs.
      proxies: what each proxy said, the mean over repeats, more is better.
      not_finite: names of the proxies that gave no finite number, which is their worst.
      scores: validation score of each of its trials, at the rung at which the study judges proxies.
    """

    student: Mapping[str, Any]
    params: int
    macs: int
    proxies: Mapping[str, float]
    not_finite: tuple[str, ...] = ()
    scores: tuple[float, ...]

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PastStudent:
        """Return the student of which `dataclasses.asdict` made this, after JSON."""
        return cls(**_with_tuples(plain))


@dataclass(frozen=True, kw_only=True)
class PastStudies:
    """What a study began with.

    Args:
      base: digest of the knowledge base.
      added: digest of what `--knowledge` added to it; None where nothing was.
      known: past studies in the base.
      studies: of them, those that are about the same kind of input and so count.
      advised: the recipes beside those that every study tries, in the order in which they are tried.
      weights: how much each past study counts, [S], summing to 1.
      students: of the nearest of them, the students that were scored and trained. `study.yaml` does not keep them: the
        study's records do.
    """

    base: str
    added: str | None
    known: int
    studies: int
    advised: tuple[AdvisedRule, ...] = ()
    weights: tuple[float, ...] = ()
    students: tuple[tuple[PastStudent, ...], ...] = dataclasses.field(default=(), compare=False)

    def rule(self, name: str | None) -> AdvisedRule | None:
        """Return the advised recipe of a name; None where there is no such one."""
        return next((each for each in self.advised if each.name == name), None)

    def to_plain(self) -> dict[str, Any]:
        """Return it as `study.yaml` has it."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name != "students"}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PastStudies:
        """Inverse of `to_plain`."""
        advised = tuple(AdvisedRule(**_with_tuples(each)) for each in plain["advised"])
        return cls(**{**_with_tuples(plain), "advised": advised})


def _with_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Values with tuples in place of JSON's lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
