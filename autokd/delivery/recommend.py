"""Recommending without a search: ranked pipelines, their files, and what the first one is worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from autokd.delivery.recommended_files import Trained, train_first, write_files
from autokd.options import Keyword, takes
from autokd.search.recommend import Recommendation
from autokd.search.recommend import recommend as ranked
from autokd.search.request import Notify, Progress, Recommending


class Recommendations(NamedTuple):
    """What is recommended without a search, and what became of it.

    Args:
      recommendation: the pipelines in the order in which they are worth trying, with what is expected of each, why, and
        what is not known; see `autokd.search.recommend.Recommendation`.
      files: a pipeline file for each; [] where no folder was given.
      trained: the first one, KD by hand and the student alone, as they were trained; [] where that was not asked.
    """

    recommendation: Recommendation
    files: list[Path]
    trained: list[Trained]


@dataclass(frozen=True, kw_only=True)
class RecommendCall(Recommending):
    """What `recommend` takes: what the command takes, plus arguments that only a program can give."""

    notify: Annotated[Notify | None, Keyword("Called with a `Progress` while data are read and pipelines trained.")] = (
        None
    )


@takes(RecommendCall)
def recommend(asked: RecommendCall) -> Recommendations:
    """Rank pipelines for a dataset by what past studies taught, fitted to the limits and this machine; none is tried.

    Args:
      {options}

    Raises:
      UserError: bad input.
      NothingFeasible: no student fits the limits, or with `train` a pipeline cannot be trained.
    """
    notify = asked.notify or _unseen
    found = ranked(asked, notify)
    files = [] if asked.out is None else write_files(found, Path(asked.out), overwrite=asked.overwrite)
    return Recommendations(found, files, train_first(asked, found, notify) if asked.train else [])


def _unseen(at: Progress) -> None:
    """Show no progress."""
