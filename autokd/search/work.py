"""What the stages of the funnel will do, foreseen: runs, epochs, views and predictions are added up here, once.

`--time`, `--dry-run`, the clock and the totals of the progress display all rest on these sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from autokd.data import Dataset
from autokd.engine.rung import FORWARD, run_samples
from autokd.space import Budget
from autokd.teaching.recipe import COMPARED_FROM, SHORT


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a stage is told of a study when it says what it will do.

    Args:
      budget: of the study.
      has_teacher: whether there is a teacher; a search trains one where none is given.
    """

    budget: Budget
    has_teacher: bool = True


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a stage will do.

    Args:
      stage: its name.
      runs: training runs, where the noise is small.
      most: runs at most, where the noise asks for more seeds; None: as many as `runs`.
      epochs: of each run on average, side branches included.
      horizon: epochs that a run's curve counts on.
      reading: runs that read the teacher.
      views: epochs of views that the teacher has not answered before, about.
      pools: times that the teacher answers about all samples without labels, where there are some.
      predictions: students that predict validation and test at the end, one by one.
      drawn: the pipelines are drawn from the space, so that some may have a peer or components that prepare something.
      part: of the funnel: explore has as many rungs under way as the study has slots, confirm as many runs as there are
        workers.
    """

    stage: str
    runs: float
    epochs: float
    horizon: int
    most: float | None = None
    reading: float = 0.0
    views: float = 0.0
    pools: float = 0.0
    predictions: int = 0
    drawn: bool = False
    part: Part = "confirm"


Part = Literal["explore", "confirm"]
Works = Callable[[Scope], Sequence[Work]]
"""What all stages of the funnel will do."""


class Sizes(NamedTuple):
    """Samples of each split, classes, and samples without labels."""

    train: int
    validation: int
    test: int
    classes: int
    unlabelled: int = 0


class Costs(NamedTuple):
    """Measured seconds of one sample.

    Args:
      train: of a student's training step.
      answer: of the teacher's answer.
      teacher: of a training step of the network of a teacher that is trained; 0 where none is.
      networks, compared: full and short trainings of the teacher.
      load: what a step of a drawn pipeline takes on average in steps of its student; above 1 where some have a peer.
      preparing: of making what the components of the first n drawn pipelines prepare, for n = 1, 2, …; () where none
        does. Seconds in all, not of one sample.
      trees: of fitting the ensembles of trees that a default teacher is chosen from, at most; a row costs about as much
        whatever their number.
      compared_from: epochs of the full training from which on there are short ones.
    """

    train: float
    answer: float
    teacher: float = 0.0
    networks: int = 1
    compared: int = 0
    trees: float = 0.0
    load: float = 1.0
    preparing: tuple[float, ...] = ()
    compared_from: int = COMPARED_FROM

    def prepared(self, pipelines: float) -> float:
        """Return the seconds of making what so many drawn pipelines prepare; beyond those that were drawn, no more.

        >>> [Costs(1e-3, 1e-3, preparing=(0.0, 4.0, 6.0)).prepared(n) for n in (0, 2, 50)]
        [0.0, 4.0, 6.0]
        """
        return self.preparing[min(round(pipelines), len(self.preparing)) - 1] if self.preparing and pipelines else 0.0

    def teacher_seconds(self, epochs: int, train: int, validation: int) -> float:
        """Return the seconds of training the default teacher with a full length of so many epochs; 0 without one."""
        compared = self.compared if epochs >= self.compared_from else 0
        lengths = [epochs] * self.networks + [max(1, epochs // SHORT)] * compared
        networks = sum(run_samples(each, each, train, validation) for each in lengths)
        return self.teacher * networks + self.trees * train


class Parallel(NamedTuple):
    """How much is under way at a time: rungs of explore, and runs of the other stages."""

    slots: int = 1
    workers: int = 1

    def of(self, work: Work) -> int:
        """Return how many runs of a stage are under way at a time."""
        return min(self) if work.part == "explore" else self.workers


class Funnel(NamedTuple):
    """What all stages will do, and how much of it at a time."""

    works: Works
    parallel: Parallel


def sizes_of(data: Dataset) -> Sizes:
    """Return the sizes of a dataset; the test split's is known from its card."""
    return Sizes(len(data.train), len(data.validation), data.test_size, data.task.num_classes, data.task.unlabelled)


def total_seconds(works: Iterable[Work], sizes: Sizes, samples: int, costs: Costs, parallel: Parallel) -> float:
    """Return the expected wall time of stages.

    Args:
      works: what they do.
      sizes: of the data.
      samples: training samples that are used.
      costs: measured.
      parallel: how much is under way at a time.
    """
    return sum(_seconds(work, sizes, samples, costs, parallel) for work in works)


def _seconds(work: Work, sizes: Sizes, samples: int, costs: Costs, parallel: Parallel) -> float:
    run = costs.train * run_samples(work.epochs, work.horizon, samples, sizes.validation)
    run *= costs.load if work.drawn else 1.0
    answers = costs.answer * (work.views * samples + work.pools * sizes.unlabelled)
    predictions = costs.train * predicted_samples(work.predictions, sizes)
    artefacts = costs.prepared(work.runs) if work.drawn else 0.0  # the coordinator makes them, one by one
    return (work.runs * run + answers) / parallel.of(work) + predictions + artefacts


def total_epochs(works: Iterable[Work], sizes: Sizes, workers: int) -> float:
    """Return what stages take, one thing after the other, as epochs of training.

    Args:
      works: what they do.
      sizes: of the data.
      workers: runs at a time; predictions are made one by one.
    """
    return sum(
        work.runs * work.epochs / workers + predicted_samples(work.predictions, sizes) / sizes.train for work in works
    )


def predicted_samples(students: float, sizes: Sizes) -> float:
    """Return what predicting validation and test with so many students takes, as samples of training."""
    return students * FORWARD * (sizes.validation + sizes.test)


def run_total(works: Iterable[Work]) -> int:
    """Return the number of runs of stages, at most."""
    return round(sum(work.runs if work.most is None else work.most for work in works))
