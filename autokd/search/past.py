"""What a search begins with: the known recipes on each family of students, in the order that past studies advise.

The order is found once, as a study is made, from a knowledge base and from what is known before a teacher is trained.
After that the study's own record says it, so that a study goes on as it began whatever the base has become.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autokd import catalog
from autokd.errors import StudyError, UserError
from autokd.networks.cost import student_params
from autokd.recipes import (
    FOR_RARE_CLASSES,
    RULES,
    WITH_UNLABELLED,
    Portfolio,
    Recipe,
    Rule,
    choose_family,
    largest_of_families,
    portfolio,
    rules_for,
    tries_rare_classes,
)
from autokd.recipes.students import Fits
from autokd.search.facts import describe_study
from autokd.search.limits import INT8_SIZE, LATENCY, Meter
from autokd.search.request import Request
from autokd.search.session import Setup
from autokd.space import Space
from autokd.spec import component_from_plain, fields_in, fingerprint
from autokd.study.arms import BASELINES
from autokd.study.evidence import FEWEST_STUDENTS
from autokd.study.past import AdvisedRule, PastStudent, PastStudies
from autokd.study.settings import StudySettings, TimePlan
from autokd.types import Shapes, Task

if TYPE_CHECKING:
    from autokd.knowledge import Base, StudyFacts
    from autokd.knowledge.advice import Advice
    from autokd.knowledge.recommender import Recommender

NEAREST = 5
"""Past studies whose scored students are evidence on proxies, the most similar ones."""
OWN = "own"
"""Stands for the base that `autokd learn` fills, among those that are asked for."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where rules become pipelines.

    Args:
      space: resolved.
      task, offers: the data, and what the teacher offers.
      students: the largest of each family that is inside the limits, plain.
      first: that of the family which recipes are tried on first; None: no student is inside the limits.
      order: names of the families, in which order the others are tried; (): in that of the students.
      fast: see `autokd.recipes.students.Room`.
    """

    space: Space
    task: Task
    offers: Shapes
    students: tuple[Mapping[str, Any], ...]
    first: Mapping[str, Any] | None
    order: Sequence[str]
    fast: Fits | None

    def recipes(self, rules: Sequence[Rule] | None = None) -> Portfolio:
        """Return the rules on the first family."""
        return self._on(self.first, rules)

    def elsewhere(self, rules: Sequence[Rule] | None = None) -> tuple[Portfolio, ...]:
        """Return the rules on each other family."""
        first = None if self.first is None else self.first["use"]
        others = [student for student in self.students if student["use"] != first]
        places = {name: place for place, name in enumerate(self.order)}
        others.sort(key=lambda student: places.get(student["use"], 0))
        return tuple(self._on(student, rules) for student in others)

    def params(self, recipes: Sequence[Recipe]) -> dict[str, int]:
        """Return the parameters of the student of each recipe, by the name of its rule."""
        counts: dict[str, int] = {}
        for recipe in recipes:
            student = recipe.drawn.plain["student"]
            key = fingerprint(student)
            if key not in counts:
                counts[key] = student_params(component_from_plain("students", student), self.task)
        return {recipe.rule.name: counts[fingerprint(recipe.drawn.plain["student"])] for recipe in recipes}

    def _on(self, student: Mapping[str, Any] | None, rules: Sequence[Rule] | None) -> Portfolio:
        return portfolio(self.space, self.task, self.offers, student=student, fast=self.fast, rules=rules)


def find_ground(space: Space, offers: Shapes, meter: Meter, plan: TimePlan | None = None) -> Ground:
    """Return where rules become pipelines; first comes the planned student, or that of the first family.

    Args:
      space: resolved.
      offers: what the teacher offers.
      meter: measures what does not follow from a student's form, where the space bounds that.
      plan: of the time, which chose that student and the order of the others by measured seconds; or None.
    """
    task, limits = meter.task, space.constraints
    fast = (lambda network: meter.excess(network, limits) <= 1) if {LATENCY, INT8_SIZE} & limits.keys() else None
    students = tuple(largest_of_families(space, task, offers, fast=fast))
    first = choose_family(students) if plan is None or plan.student is None else plan.student
    order = () if plan is None else plan.fastest
    return Ground(space=space, task=task, offers=offers, students=students, first=first, order=order, fast=fast)


def begun_from(setup: Setup, ground: Ground, past: PastStudies | None) -> Setup:
    """Return what was prepared with the recipes that past studies advise; the same where they advise none.

    Args:
      setup: with the known recipes alone.
      ground: of the space.
      past: what is advised.
    """
    setup = dataclasses.replace(setup, past=past)
    if past is None or not past.advised:
        return setup
    first = _first(rules_for(setup.data.task, rare_classes=tries_rare_classes(setup.space)))
    rules = [*first, *(Rule.from_plain(each.rule) for each in past.advised)]
    return dataclasses.replace(
        setup,
        identity=dataclasses.replace(setup.identity, knowledge=past.base),
        portfolio=ground.recipes(rules)._replace(dropped=setup.portfolio.dropped),
        elsewhere=ground.elsewhere(rules),
    )


def past_of(request: Request, setup: Setup, ground: Ground, before: StudySettings | None) -> PastStudies | None:
    """Return what past studies advise; None where none are asked, or none are known.

    Args:
      request: what was asked.
      setup: with the known recipes alone.
      ground: of the space.
      before: what `study.yaml` says where the request goes on with a study, which has its own record.

    Raises:
      UserError: there is no such base, or it is damaged.
    """
    if request.cold and request.knowledge:
        raise UserError("--cold begins without past studies, and --knowledge names some; give one of them")
    if request.cold:
        return None
    if before is not None:
        return before.past
    if not _most(setup):
        return None
    base, added = bases(request)
    return None if not base.cards else _advised(base, added, setup, ground)


def bases(request: Request) -> tuple[Base, Base | None]:
    """Return all that is known, and what `--knowledge` added to what comes with autokd; None where it added nothing.

    Raises:
      UserError: there is no such base, or it is damaged.
    """
    from autokd.knowledge import Base, read_shipped  # reading Parquet takes its time to import

    shipped, added = read_shipped(), _added(request)
    return (shipped if added is None else Base.of([*shipped.cards, *added.cards])), added


def _most(setup: Setup) -> int:
    """Recipes that past studies may advise; as many as there are known ones where time left over goes to more."""
    recipes = setup.budget.recipes
    return max(max(recipes, len(RULES)) if setup.budget.only_recipes else recipes, len(BASELINES)) - len(BASELINES)


def advice(base: Base, facts: StudyFacts, ground: Ground) -> list[Advice]:
    """Return the recipes of a space as past studies rank them, the known ones and those that past studies taught."""
    from autokd.knowledge.advice import advise, candidates

    recipes = ground.recipes(candidates(base, facts)).recipes
    return advise(base, facts, recipes, ground.params(recipes))


def facts_before_training(setup: Setup) -> StudyFacts:
    """Return what a study is about as far as it is known before a teacher is trained."""
    from autokd.knowledge.learn import facts_of

    return facts_of(describe_study(dataclasses.replace(setup, teacher=None)))


def told(past: PastStudies) -> str:
    """Return what a search begins with, in a line."""
    if not past.advised:
        return f"none of {past.known} is about this kind of input; the known recipes come first"
    own = sum(each.rule["name"] not in {rule.name for rule in RULES} for each in past.advised)
    return (
        f"{past.studies} of {past.known} are about this kind of input; they put "
        f"{len(past.advised)} recipes in order, {own} of them their own, {past.advised[0].title} first{_scored(past)}"
    )


def _scored(past: PastStudies) -> str:
    """How many of them tell what scores without training were worth."""
    return f"; {len(past.students)} of them scored students without training" if past.students else ""


def _students(recommender: Recommender, ground: Ground) -> tuple[tuple[PastStudent, ...], ...]:
    """Scored and trained students of the nearest past studies, of families that this study has, too."""
    families = {str(student["use"]) for student in ground.students}
    fields = {use: {"use", *fields_in("students", catalog.load("students", use))} for use in families}

    def is_known(student: Mapping[str, Any]) -> bool:
        return student["use"] in families and {*student} <= fields[student["use"]]

    order = sorted(range(len(recommender.cards)), key=lambda place: -recommender.weights[place])
    cards = [recommender.cards[place] for place in order]
    found = (tuple(each for each in card.students if is_known(each.student)) for card in cards)
    return tuple([study for study in found if len(study) >= FEWEST_STUDENTS][:NEAREST])


def _advised(base: Base, added: Base | None, setup: Setup, ground: Ground) -> PastStudies:
    from autokd.knowledge.recommender import Recommender

    facts = facts_before_training(setup)
    recommender = Recommender(base, facts)
    studies = len(recommender.cards)
    ranked = advice(base, facts, ground) if studies else []
    return PastStudies(
        base=base.digest,
        added=None if added is None else added.digest,
        known=len(base.cards),
        studies=studies,
        advised=tuple(_noted(each) for each in ranked if each.recipe.rule.name not in BASELINES)[: _most(setup)],
        weights=tuple(recommender.weights.round(6).tolist()),
        students=_students(recommender, ground),
    )


def _noted(advice: Advice) -> AdvisedRule:
    """An advised recipe as the study keeps it."""
    return AdvisedRule(
        rule=advice.recipe.rule.to_plain(),
        gain=advice.expected.gain,
        interval=advice.expected.interval,
        studies=advice.evidence.studies,
        better=advice.evidence.better,
        said=advice.said,
    )


def _added(request: Request) -> Base | None:
    """The bases that were asked for, as one; None where none was."""
    if not request.knowledge:
        return None
    from autokd.knowledge import Base, own_folder, read_base

    given = [request.knowledge] if isinstance(request.knowledge, (str, Path)) else request.knowledge
    paths = [own_folder() if str(path) == OWN else Path(path) for path in given]
    return Base.of(card for path in paths for card in read_base(path).cards)


def refuse_another_past(request: Request, before: StudySettings) -> None:
    """Refuse options that would have begun the study otherwise; without them it goes on as it began.

    Raises:
      StudyError: there is such an option.
      UserError: there is no such base, or it is damaged.
    """
    past = before.past
    began = "from the known recipes alone" if past is None else "from what past studies advised"
    other = "--cold" if request.cold and before.identity.knowledge is not None else ""
    added = _added(request)
    if added is not None and added.digest != (None if past is None else past.added):
        other = "--knowledge"
    if other:
        raise StudyError(
            f"study {before.name!r} was made with other settings: it began {began}; leave {other} out to go on with "
            "it, use --study NAME for a new study, or --fresh to delete this one and start again"
        )


def _first(rules: Sequence[Rule]) -> list[Rule]:
    """What is tried before what past studies advise: they knew of no samples without labels and no rare classes."""
    return [rule for rule in rules if rule.name in BASELINES or rule in (*WITH_UNLABELLED, *FOR_RARE_CLASSES)]
