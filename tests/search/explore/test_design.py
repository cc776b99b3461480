"""The main-effects design: what is changed, in which order, and when it is over."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from autokd.data import Dataset, load
from autokd.recipes import largest_of_families, portfolio
from autokd.search.explore.design import DESIGN, MainEffects, Option, changed, options_of
from autokd.search.population import population
from autokd.space import Drawn, Space, find, parse
from autokd.spec import fingerprint
from autokd.study.effects import changes
from autokd.study.records import TrialRecord
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from tests.search.records import trial
from tests.search.spaces import SPACE, resolved
from tests.search.stages import by_hand

TWO_HEADS = """
student: {one_of: {cnn: {width: {choice: [3, 4]}, layers: 2}}}
head: {one_of: {plain: {}, simkd: {factor: 2}}}
augment: {one_of: {none: {}}}
losses:
  always: {ce: {}}
  any_of: {at_most: 1, from: {kd: {}, hint: {}, simkd: {}}}
optimizer: {one_of: {sgd: {}}}
schedule: {one_of: {cosine: {}}}
batch_size: 32
"""


def name_of(option: Option) -> str:
    return option.member or (option.candidate.use if option.candidate else str(option.value))


def option(space: Space, slot: str, name: str) -> Option:
    return next(o for o in options_of(space, []) if (o.slot, name_of(o)) == (slot, name))


def records_of(space: Space, drawn: Sequence[Drawn]) -> list[TrialRecord]:
    """Recipes with a score at rung 0, the later the worse."""
    return [
        trial(n, 0.9 - n / 100, source=f"recipe:{n}", pipeline=one.plain, params=one.params)
        for n, one in enumerate(drawn)
    ]


def whole(
    design: MainEffects, trials: list[TrialRecord], usable: Callable[[Drawn], bool] = lambda drawn: True
) -> list[TrialRecord]:
    """Let a design run to its end, every trial worse than the recipes; return its trials."""
    for number in itertools.count(len(trials)):
        known = {fingerprint(t.pipeline) for t in trials}

        def fresh(drawn: Drawn, known: set[str] = known) -> bool:
            return usable(drawn) and fingerprint(drawn.plain) not in known

        found = design.propose(trials, number, fresh)
        if found is None:
            return [t for t in trials if t.source == DESIGN]
        assert design.space.params_of(found.drawn.plain) == found.drawn.params is not None
        made = trial(number, 0.1, source=DESIGN, pipeline=found.drawn.plain, params=found.drawn.params)
        trials.append(made)
    raise AssertionError


def seen(options: Sequence[Option], trials: Sequence[TrialRecord]) -> Counter[tuple[str, str]]:
    return Counter((o.slot, str(o.value)) for o in options for t in trials if o.stands_in(t.pipeline))


@pytest.mark.parametrize(("name", "dataset"), [("image", "digits"), ("tabular", "wine"), ("digits", "digits")])
def test_every_option_of_a_shipped_space_is_seen_twice(name: str, dataset: str) -> None:
    data = load(dataset)
    offers = default_teacher.offers(data.task, Effort(40))
    space = parse(*find(name)).resolve(data.task, offers)
    students = [*largest_of_families(space, data.task, offers), *population(space, data.task, 0, 6)[0]]
    options = options_of(space, students)
    recipes = [recipe.drawn for recipe in portfolio(space, data.task, offers).recipes]
    trials = records_of(space, recipes)
    designed = whole(MainEffects(space=space, options=options, most=30, seed=0), trials)
    assert len(trials) <= 60 and len(designed) < 30
    assert {(o.slot, str(o.value)): min(2, seen(options, trials)[o.slot, str(o.value)]) for o in options} == {
        (o.slot, str(o.value)): 2 for o in options
    }
    base = trials[0] if trials[0].params is not None else next(t for t in trials if t.params is not None)
    slots = [len({slot for slot, _ in changes(base.pipeline, t.pipeline)}) for t in designed]
    assert max(slots) <= 3 and sum(n <= 2 for n in slots) >= 0.9 * len(slots)


def test_a_design_is_a_function_of_the_records(digits: Dataset) -> None:
    space = resolved(digits)
    options = options_of(space, [])
    runs = [
        whole(MainEffects(space=space, options=options, most=30, seed=seed), records_of(space, [space.default()]))
        for seed in (1, 1, 2)
    ]
    assert [t.pipeline for t in runs[0]] == [t.pipeline for t in runs[1]] != [t.pipeline for t in runs[2]]


def test_what_is_changed_has_its_defaults_first_and_drawn_values_then(digits: Dataset) -> None:
    space = resolved(digits)
    made = whole(
        MainEffects(space=space, options=options_of(space, []), most=30, seed=1), records_of(space, [space.default()])
    )
    first, second = (t.pipeline["optimizer"] for t in made if t.pipeline["optimizer"]["use"] == "adamw")
    default = next(c.default() for c in space.parts["optimizer"].candidates if c.use == "adamw")
    assert first == default != second and second["use"] == "adamw"


def test_two_options_are_not_changed_together_twice(digits: Dataset) -> None:
    space = parse(*find("image")).resolve(digits.task, default_teacher.offers(digits.task, Effort(40)))
    students = population(space, digits.task, 0, 4)[0]
    options = options_of(space, students)
    trials = records_of(space, [space.default()])
    made = whole(MainEffects(space=space, options=options, most=99, seed=1), trials)
    pairs = Counter(frozenset(row) for row in (changes(trials[0].pipeline, t.pipeline) for t in made) if len(row) == 2)
    assert len(pairs) >= 10 and max(pairs.values()) == 1


def test_a_design_ends_at_its_bound_and_begins_with_what_was_seen_least(digits: Dataset) -> None:
    space = resolved(digits)
    trials = records_of(space, [space.default()] * 2)
    made = whole(MainEffects(space=space, options=options_of(space, []), most=3, seed=1), trials)
    assert len(made) == 3
    held = [name for t in made[:2] for _, name in changes(trials[0].pipeline, t.pipeline)]
    assert len(held) == len(set(held))


def test_what_may_not_be_a_trial_is_passed_over(digits: Dataset) -> None:
    """Where AdamW is never usable it is never seen, and the rest of the design is as complete as without it."""
    space = resolved(digits)
    options, trials = options_of(space, []), records_of(space, [space.default()])
    design = MainEffects(space=space, options=options, most=50, seed=1)
    made = whole(design, trials, lambda drawn: drawn.plain["optimizer"]["use"] == "sgd")
    lacking = [name_of(o) for o in options if seen(options, trials)[o.slot, str(o.value)] < 2]
    assert made and lacking == ["adamw"]


def test_the_base_is_the_best_of_the_recipes_that_went_furthest_inside_the_space(digits: Dataset) -> None:
    space = resolved(digits)
    hand, rows = by_hand(space), [space.sample(np.random.default_rng(n), n) for n in range(3)]
    trials = [
        trial(0, 0.5, 0.6, 0.7, source="recipe:kd", pipeline=hand["kd"].plain, params=hand["kd"].params),
        trial(1, 0.5, 0.6, 0.8, source="recipe:alone", pipeline={"batch_size": 48}),
        trial(2, 0.9, source="recipe:a", pipeline=rows[0].plain, params=rows[0].params),
        trial(3, 0.5, 0.6, 0.9, source="tpe", pipeline=rows[1].plain, params=rows[1].params),
        trial(4, 0.5, 0.6, 0.9, source="recipe:b", pipeline=rows[2].plain, params=rows[2].params, failure="error"),
    ]
    design = MainEffects(space=space, options=options_of(space, []), most=50, seed=1)
    found = design.propose(trials, 5, lambda drawn: True)
    assert found is not None and found.base == 0
    nothing = design.propose(trials[1:2], 5, lambda drawn: True)
    assert nothing is not None and nothing.base is None
    assert len({slot for slot, _ in changes(space.default().plain, nothing.drawn.plain)}) in (1, 2)


def test_a_student_and_few_numbers_are_options_too(digits: Dataset) -> None:
    space = resolved(digits, SPACE.replace("batch_size: {choice: [32, 64]}", "batch_size: {int: [16, 64], step: 16}"))
    student = {"use": "cnn", "width": 5, "layers": 2}
    options = options_of(space, [student, dict(student), {**student, "width": 3}])
    assert [name_of(o) for o in options if o.slot == "batch_size"] == ["16", "32", "48", "64"]
    assert [o.value["width"] for o in options if o.slot == "student"] == [5, 3]
    wide = resolved(digits, SPACE.replace("batch_size: {choice: [32, 64]}", "batch_size: {int: [16, 512]}"))
    assert not [o for o in options_of(wide, [student]) if o.slot in ("batch_size", "student", "schedule")]


def test_a_change_takes_along_what_it_needs_and_leaves_what_it_must(digits: Dataset) -> None:
    space = resolved(digits, TWO_HEADS)
    kd = {"losses": {**space.default().plain["losses"], "kd": {"use": "kd", "weight": 1.0, "temperature": 4.0}}}
    base = space.complete({**space.default().plain, **kd})
    head, hint = option(space, "head", "simkd"), option(space, "losses", "hint")
    with_head = changed(space, base, [(head, head.value)])
    assert with_head is not None and set(with_head.plain["losses"]) == {"ce", "simkd"}
    other = changed(space, base, [(hint, hint.value)])
    assert other is not None and set(other.plain["losses"]) == {"ce", "hint"}
    assert changed(space, base, [(head, head.value), (hint, hint.value)]) is None
    back = option(space, "head", "plain")
    plain = changed(space, with_head.plain, [(back, back.value)])
    assert plain is not None and set(plain.plain["losses"]) == {"ce"}


def test_what_stands_in_the_place_of_a_loss_stays_until_another_takes_it(digits: Dataset) -> None:
    losses = "any_of: [{at_most: 1, from: {kd: {}}}, {at_most: 1, from: {weighted_ce: {}, focal: {}}}]"
    text = TWO_HEADS.replace("any_of: {at_most: 1, from: {kd: {}, hint: {}, simkd: {}}}", losses)
    space = resolved(digits, text.replace("head: {one_of: {plain: {}, simkd: {factor: 2}}}\n", ""))
    kd, weighted, focal = (option(space, "losses", name) for name in ("kd", "weighted_ce", "focal"))
    first = changed(space, space.default().plain, [(weighted, weighted.value)])
    assert first is not None and set(first.plain["losses"]) == {"weighted_ce"}
    second = changed(space, first.plain, [(kd, kd.value)])
    assert second is not None and set(second.plain["losses"]) == {"weighted_ce", "kd"}
    third = changed(space, second.plain, [(focal, focal.value)])
    assert third is not None and set(third.plain["losses"]) == {"focal", "kd"}
    base, stood = records_of(space, [first]), Counter[str]()
    design = MainEffects(space=space, options=options_of(space, []), most=30, seed=0)
    for each in whole(design, base):
        stood.update(set(each.pipeline["losses"]) & {"weighted_ce", "focal", "ce"})
    assert min(stood["focal"], stood["weighted_ce"]) >= 2
