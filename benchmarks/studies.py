"""Studies that benchmarks make: ready to explore, with made-up trials, and with all that a search has around them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.profile import Profile
from autokd.engine.teacher_bank import TeacherBank
from autokd.execution.inline import InlineExecutor
from autokd.networks.cost import Cost
from autokd.networks.models import NetworkTeacher, seeded
from autokd.objective import ACCURACY
from autokd.recipes.apply import portfolio
from autokd.recipes.students import largest_of_families
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposer
from autokd.search.facts import describe_study
from autokd.search.limits import inside
from autokd.search.population import population
from autokd.search.request import Progress, Request
from autokd.search.screen.screen import screen
from autokd.search.screen.screener import SHOWN, make_screener
from autokd.search.session import Session, Setup
from autokd.search.stages import works
from autokd.search.timing.clock import Clock
from autokd.search.tpe.mirror import Mirror
from autokd.space import Drawn, find, parse
from autokd.spec import make
from autokd.study.proxies import SIZES
from autokd.study.settings import Identity, Reference
from autokd.study.store import StudyStore

CPU = torch.device("cpu")


class Study(NamedTuple):
    """A study that is ready to explore.

    Args:
      session: what the stages of a search share.
      explorer: tries pipelines.
    """

    session: Session
    explorer: Explorer


def prepare(folder: Path, data: Dataset, space_name: str, rung_epochs: Sequence[int]) -> Study:
    """Make a study with a shipped space, whose students are screened."""
    setup = _setup(data, space_name, rung_epochs)
    assert setup.teacher is not None
    context = TrainContext(
        data=data,
        teacher=setup.teacher,
        device=CPU,
        bank=TeacherBank(folder / "bank"),
        parts=frozenset({"pooled"}),
        profile=Profile(CPU),
    )
    store = StudyStore.create(folder / "study", describe_study(setup), setup.space_text)
    screener = make_screener([*setup.space.screen.proxies, *SHOWN], context, setup.identity.seed)
    students, _ = population(setup.space, data.task, 0)
    store.log.append("screen", students=[dataclasses.asdict(row) for row in screen(screener, students, by=SIZES)])
    executor = InlineExecutor(context)
    session = Session(
        store=store,
        asked=Request(),
        setup=setup,
        context=context,
        executor=executor,
        clock=Clock(None, before=0.0, began=0.0),
        notify=_unseen,
        mirror=Mirror(store),
        works=works,
        meter=None,
    )
    proposer = Proposer(
        space=setup.space, task=data.task, records=store.records, screener=screener, seed=0, offers=setup.offers
    )
    explorer = Explorer(
        proposer=proposer,
        log=store.log,
        executor=executor,
        rung_epochs=rung_epochs,
        eta=3,
        folder=store.path / "trials",
        profile=context.profile,
    )
    return Study(session, explorer)


def _setup(data: Dataset, space_name: str, rung_epochs: Sequence[int]) -> Setup:
    """What a search would have prepared."""
    teacher = _teacher(data)
    text, source = find(space_name)
    space = parse(text, source).resolve(data.task, teacher.offers)
    identity = Identity(
        space=space.identity(),
        data=Reference(data.reference, data.task.fingerprint),
        teacher=Reference(None, teacher.fingerprint),
        objective=ACCURACY.as_plain(),
        rungs=list(rung_epochs),
        budget={},
        seed=0,
        slots=1,
    )
    return Setup(
        data=data,
        space=space,
        space_text=text,
        teacher=teacher,
        offers=teacher.offers,
        budget=space.budget,
        device=CPU,
        identity=identity,
        settings={},
        threads=torch.get_num_threads(),
        objective=ACCURACY,
        time_plan=None,
        latencies={},
        portfolio=portfolio(space, data.task, teacher.offers),
        elsewhere=(),
        students=tuple(largest_of_families(space, data.task, teacher.offers)),
        dropped=space.dropped,
    )


def _unseen(progress: Progress) -> None:
    """Nobody looks."""


def reopened(session: Session, explorer: Explorer) -> tuple[Session, Explorer]:
    """Open a study again, as one that goes on with it does; its session and its explorer."""
    session.store.close()
    store = StudyStore.open(session.store.path, read_only=False)
    proposer = dataclasses.replace(explorer.proposer, records=store.records)
    return (
        dataclasses.replace(session, store=store, mirror=Mirror(store)),
        dataclasses.replace(explorer, proposer=proposer, log=store.log),
    )


def add_trials(study: Study, number: int) -> None:
    """Write made-up trials inside the budget into the records, as long as real ones."""
    epochs, log = study.explorer.rung_epochs[-1], study.session.store.log
    rng = np.random.default_rng(0)
    for trial, (drawn, cost) in enumerate(itertools.islice(feasible_draws(study.explorer.proposer, rng), number)):
        score = float(rng.uniform(0.5, 0.9))
        log.append(
            "trial",
            number=trial,
            source="random",
            seed=trial,
            pipeline=drawn.plain,
            params=drawn.params,
            cost=cost._asdict(),
        )
        curve = made_up_curve(drawn.plain["losses"], score, range(epochs))
        rung = {"rung": 0, "epochs": epochs, "score": score, "loss": 1 - score, "seconds": 2.0, "curve": curve}
        log.append("rung", number=trial, **rung)


def made_up_curve(losses: Iterable[str], score: float, epochs: Iterable[int]) -> list[dict[str, Any]]:
    """Return a learning curve with as much in it as a real one."""
    terms = dict.fromkeys(losses, 0.123456789)
    made = {"learning_rate": 0.0123456789, "loss": 0.987654321, "terms": terms, "score": score}
    return [{"epoch": epoch + 1, **made} for epoch in epochs]


def feasible_draws(proposer: Proposer, rng: np.random.Generator) -> Iterator[tuple[Drawn, Cost]]:
    """Random pipelines inside the budget, and what their students cost."""
    for number in itertools.count():
        drawn = proposer.space.sample(rng, number)
        cost = proposer.architecture_cost(drawn.plain)
        if inside(cost, proposer.space.constraints):
            yield drawn, cost


def _teacher(data: Dataset) -> NetworkTeacher:
    with seeded(0):
        network = build_student(make("students", "resnet", {}), data.task)
    return NetworkTeacher([network], data.task, origin="benchmark")
