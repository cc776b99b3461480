"""What becomes of pipelines that are recommended without a search: files, and a first comparison on validation."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autokd.data import relative
from autokd.delivery import pipeline_file, teacher_file
from autokd.errors import NothingFeasible
from autokd.execution.executor import RungJob
from autokd.execution.inline import InlineExecutor
from autokd.metrics import Metric
from autokd.search.facts import versions_now
from autokd.search.prepare import context_of, prepare
from autokd.search.recommend import Recommendation, Recommended, by_hand, request_of
from autokd.search.request import Notify, Progress, Recommending
from autokd.seeds import derive
from autokd.spec import fingerprint

FIRST = "recommended"
"""Name of the arm that is recommended first."""
NOT_TRIED = "recommended from past studies, not tried on these data"


class Trained(NamedTuple):
    """An arm of the comparison.

    Args:
      name: "recommended", or the recipe by hand, "kd" or "alone".
      title: for people.
      scores: on validation, more is better, one a seed.
      seconds: that its runs took.
    """

    name: str
    title: str
    scores: tuple[float, ...]
    seconds: float

    def mean(self, metric: Metric) -> float:
        """Mean value of the metric over the seeds."""
        return metric.value(statistics.fmean(self.scores))


def write_files(found: Recommendation, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write a pipeline file for each recommended pipeline, the first one's name beginning with 1; return them.

    Raises:
      BundleError: there is another file of that name, and it is not to be replaced; or it cannot be written.
    """
    contents = {
        folder / f"{place}-{each.name}.yaml": document(found, each) for place, each in enumerate(found.pipelines, 1)
    }
    for path, plain in contents.items():
        if not overwrite:
            pipeline_file.check_replaceable(path, plain)
    for path, plain in contents.items():
        pipeline_file.write(path, plain)
    return list(contents)


def document(found: Recommendation, chosen: Recommended) -> dict[str, Any]:
    """Return the content of the pipeline file of a recommended pipeline."""
    identity = found.setup.identity
    return {
        "format": pipeline_file.FORMAT,
        "pipeline": dict(chosen.pipeline),
        "data": relative(identity.data.reference),
        "data_fingerprint": identity.data.fingerprint,
        "teacher": teacher_file.relative(identity.teacher.reference),
        "teacher_fingerprint": identity.teacher.fingerprint,
        "objective": found.metric.name,
        "train": {"epochs": found.epochs, "seed": derive(identity.seed, "train", 0) % 2**31},
        "provenance": {
            "recommended_from": {"knowledge": found.base, "studies": len(found.neighbours), "rule": chosen.name},
            "note": NOT_TRIED,
            "seed": identity.seed,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": versions_now(),
        },
    }


def train_first(asked: Recommending, found: Recommendation, notify: Notify) -> list[Trained]:
    """Train the first recommended pipeline, KD by hand and the student alone, each once where they are the same.

    All are trained at full length under the same seeds, and scored on validation. Test is not read.

    Raises:
      NothingFeasible: one of them cannot be trained.
    """
    setup = prepare(request_of(asked), notify, for_study=False)  # with a default teacher trained
    executor = InlineExecutor(context_of(setup, request_of(asked)))
    first = found.pipelines[0]
    titles = {FIRST: first.title, "kd": "KD by hand", "alone": "student alone, by hand"}
    arms = {FIRST: first.pipeline, **by_hand(setup)}
    distinct = {fingerprint(dict(plain)): name for name, plain in reversed(arms.items())}
    total, done, trained = asked.seeds * len(distinct), 0, dict[str, Trained]()
    for name in (name for name in arms if name in distinct.values()):
        scores, seconds = list[float](), 0.0
        for number in range(asked.seeds):
            notify(Progress(stage="train", done=done, total=total, note=titles[name]))
            seed = derive(asked.seed, "recommend", number) % 2**31
            views = derive(asked.seed, "views")
            executor.submit(
                RungJob(pipeline=arms[name], seed=seed, view_seed=views, horizon=found.epochs, until=found.epochs)
            )
            outcome = executor.collect()
            if outcome.result is None:
                raise NothingFeasible(f"{titles[name]} cannot be trained: {(outcome.failure or {}).get('reason')}")
            scores.append(outcome.result.score)
            seconds, done = seconds + outcome.result.seconds, done + 1
        trained[name] = Trained(name, titles[name], tuple(scores), seconds)
    notify(Progress(stage="train", done=done, total=total))
    return list(trained.values())


def difference(first: Trained, other: Trained) -> tuple[float, tuple[float, float] | None]:
    """Return the mean difference of scores under the same seeds, and its 95 % interval; None with fewer than three."""
    from scipy.stats import t

    apart = [one - two for one, two in zip(first.scores, other.scores, strict=True)]
    mean, count = statistics.fmean(apart), len(apart)
    if count < 3:
        return mean, None
    half = float(t.ppf(0.975, count - 1)) * statistics.stdev(apart) / count**0.5
    return mean, (mean - half, mean + half)


def compared(trained: list[Trained], metric: Metric) -> Iterator[Mapping[str, Any]]:
    """Yield what JSON says of each arm."""
    for each in trained:
        yield {**each._asdict(), "validation": each.mean(metric)}
