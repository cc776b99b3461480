"""What each choice did: medians with intervals at two lengths, held against the claim; pictures of values."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from autokd.report import page, sections
from autokd.report.sections.choices.finding import finding, meaning, named, on_fresh_seeds
from autokd.report.sections.choices.importances import importances_of
from autokd.report.sections.choices.medians import Effect, Option, lengths, options
from autokd.report.sections.choices.strips import strips
from autokd.report.sections.explorer.facts import shown_trials
from autokd.report.sections.explorer.options import filters
from autokd.study.claim import Claim
from tests.report.conftest import RUNGS, comparison
from tests.report.test_page import change, change_claim

Fabricate = Callable[..., Any]


def html_of(store: Any) -> str:
    (section,) = (section for section in sections.sections() if section.name == "choices")
    html = page.render_section(section, store, page.shared(store))
    assert html is not None
    return html


def words_of(store: Any) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html_of(store)).replace("\xa0", " ").split())


def add(store: Any, losses: Sequence[str], scores: Sequence[float], **fields: float) -> None:
    """A trial of these losses, whose scores are those of its rungs."""
    number = len(store.records.trials)
    weights = {name: {"use": name, **({} if name == "ce" else fields)} for name in losses}
    plain = {"format": 1, "student": {"use": "cnn"}, "losses": weights}
    log = store.log
    log.append("trial", number=number, source="tpe", seed=0, pipeline=plain, params={}, cost={"params": 10})
    for rung, score in enumerate(scores):
        ends = {"rung": rung, "epochs": RUNGS[rung], "score": score, "loss": 0.1, "seconds": 1.0}
        log.append("rung", number=number, curve=[], **ends)


@pytest.fixture
def studied(fabricate: Fabricate) -> Any:
    """Six trials with dist that start faster, six without, of which all end alike."""
    store = fabricate(trials=0, claim=False)
    for i in range(6):
        add(store, ["ce", "dist"], [0.80 + 0.01 * i, 0.85, 0.90 + 0.001 * i], temperature=1.0 + i, weight=1.0)
        add(store, ["ce"], [0.30 + 0.01 * i, 0.60, 0.90 + 0.001 * (5 - i)])
    return store


def test_an_effect_is_a_difference_of_medians_with_its_interval(studied: Any) -> None:
    assert lengths(studied) == [0, 2]  # all went to the end, so the shortest length stands beside it
    (dist,) = options(studied)
    assert (dist.slot, dist.name, named(dist)) == ("losses", "dist", "dist")
    assert dist.first.difference == pytest.approx(0.5) and (dist.first.n, dist.first.others) == (6, 6)
    assert dist.first.low is not None and dist.first.high is not None
    assert 0.45 < dist.first.low < 0.5 < dist.first.high < 0.55 and dist.first.is_clear
    late = dist.effects[1]
    assert late.difference == pytest.approx(0.0) and not late.is_clear


def test_with_few_trials_on_a_side_nothing_is_said(fabricate: Fabricate) -> None:
    store = fabricate(trials=0, claim=False)
    for i in range(8):
        add(store, ["ce", "kd"] if i < 4 else ["ce"], [0.5 + 0.01 * i])
    (kd,) = options(store)
    assert kd.first == Effect(None, None, None, 4, 4)
    assert finding(store, [kd], lengths(store)).title == "Too few trials to tell choices apart"
    assert "5 trials have it" in words_of(store) and "<table" not in html_of(store)


def test_the_heading_holds_an_early_effect_against_later_ones(studied: Any) -> None:
    told = finding(studied, options(studied), lengths(studied))
    assert told.title == "dist starts faster; after 27 epochs no difference is shown"
    (numbers,) = told.sentences
    assert numbers.startswith("dist: +50.0 points [+4") and "after 3 epochs (6 trials with it, 6 without)" in numbers
    assert "; 0.0 points [" in numbers and "after 27 epochs" in numbers
    assert told.title in words_of(studied)


def claimed(fabricate: Fabricate, name: str, gain: float) -> Any:
    """A study in which dist starts faster, with a claim whose pick has it and gains so much over no teacher."""
    store = fabricate(name=name)

    def with_gain(claim: Claim) -> Claim:
        pick, alone = claim.used, claim.alone
        assert alone is not None
        losses = {"ce": {"use": "ce"}, "dist": {"use": "dist"}}
        pick = dataclasses.replace(pick, pipeline={**pick.pipeline, "losses": losses})
        arms = tuple(pick if arm.name == pick.name else arm for arm in claim.arms)
        compared = comparison([0.95 + gain] * 5, [0.95] * 5, "alone")
        return dataclasses.replace(claim, arms=arms, comparisons={**claim.comparisons, "alone": compared})

    change_claim(store, with_gain)
    return store


FASTER = Option("losses", "dist", (Effect(0.5, 0.42, 0.64, 11, 13), Effect(None, None, None, 4, 2)))


@pytest.mark.parametrize(
    ("gain", "left"),
    [
        (0.002, "no gain of it is shown"),
        (0.03, "the pick with it is 3.0 points better than training without a teacher"),
        (-0.03, "the pick with it is 3.0 points worse than training without a teacher"),
    ],
)
def test_the_heading_holds_an_early_effect_against_the_claim(fabricate: Fabricate, gain: float, left: str) -> None:
    store = claimed(fabricate, "claimed", gain)
    told = finding(store, [FASTER], [0, 2])
    assert told.title == f"dist starts faster; on fresh seeds after 27 epochs {left}"
    assert told.sentences[0].startswith(
        "dist: +50.0 points [+42.0, +64.0] after 3 epochs (11 trials with it, 13 without)"
    )
    assert told.sentences[0].endswith("after 27 epochs 4 trials with it and 2 without, too few to tell.")
    size = f"{100 * gain:+.1f} points".replace("-", "−")
    assert f"the pick (ce + dist) against training without a teacher: {size} [" in told.sentences[1]


def test_the_claim_tells_nothing_of_a_loss_that_the_pick_lacks_or_of_another_slot(fabricate: Fabricate) -> None:
    store = claimed(fabricate, "claimed", 0.03)
    assert on_fresh_seeds(store, FASTER) is not None
    assert on_fresh_seeds(store, FASTER._replace(name="dkd")) is None
    assert on_fresh_seeds(store, FASTER._replace(slot="augment", name="mixup")) is None
    slower = FASTER._replace(slot="augment", name="mixup", effects=(Effect(-0.1, -0.2, -0.05, 9, 9), FASTER.effects[1]))
    title = "augment mixup starts slower; too few trials trained for 27 epochs to tell what is left"
    assert finding(store, [slower], [0, 2]).title == title


def test_a_claim_of_a_loss_turns_its_sign(fabricate: Fabricate) -> None:
    store = claimed(fabricate, "claimed", -0.03)  # a log loss that is lower by 0.03
    change(store, identity=dataclasses.replace(store.settings.identity, objective={"log_loss": "minimize"}))
    change_claim(store, lambda claim: dataclasses.replace(claim, metric="log_loss"))
    fresh = on_fresh_seeds(store, FASTER)
    assert fresh is not None and fresh.gain.value == pytest.approx(0.03) and 0 < fresh.gain.low < fresh.gain.high
    assert "is 0.030 nats better than" in finding(store, [FASTER], [0, 2]).title


def test_options_of_one_slot_are_each_held_against_the_others(fabricate: Fabricate) -> None:
    found = options(fabricate(trials=60))
    names = [(option.slot, option.name) for option in found]
    assert {("losses", "kd"), ("student", "resnet")} <= set(names)
    assert all(option.first.n + option.first.others == found[0].first.n + found[0].first.others for option in found)
    sizes = [(not option.first.is_clear, -abs(option.first.difference or 0)) for option in found]
    assert sizes == sorted(sizes)


def test_of_two_options_one_is_shown(fabricate: Fabricate) -> None:
    store = fabricate(trials=0, claim=False)
    for i in range(12):
        add(store, ["ce"], [0.5 + 0.01 * i])
        store.records.trials[i].pipeline["augment"] = {"use": "mixup" if i % 2 else "none"}
    (augment,) = options(store)
    assert augment.name == "mixup" and augment.first.difference == pytest.approx(0.01)


def test_a_name_in_the_table_finds_its_trials_in_the_explorer(fabricate: Fabricate) -> None:
    store = fabricate(trials=60)
    pressed = re.findall(r'data-slot="(\w+)" data-option="(\w+)"', html_of(store))
    menus = {(menu.slot, option) for menu in filters(shown_trials(store)) for option in menu.options}
    assert len(pressed) > 3 and set(pressed) <= menus


def test_a_loss_has_its_meaning_and_paper() -> None:
    assert meaning(FASTER).startswith("DIST: distillation by correlation (Huang et al., NeurIPS 2022")
    assert meaning(FASTER._replace(name="of_a_plugin")) == ""


def test_a_strip_places_values_and_says_the_trend(studied: Any) -> None:
    assert strips(studied, 0) == []  # six trials have a temperature: too few
    for i in range(6, 10):
        add(studied, ["ce", "dist"], [0.80 + 0.01 * i], temperature=1.0 + i, weight=1.0)
    (strip,) = strips(studied, 0)  # all weights are one
    assert strip.title == "dist temperature" and strip.pick is None
    assert strip.sentence == "More was better: tau 1.00 [1.00, 1.00], n = 10."
    across, down = [point.across for point in strip.points], [point.down for point in strip.points]
    assert across == sorted(across) and down == sorted(down, reverse=True) and len(across) == 10
    assert all(0 <= place <= 100 for place in across + down) and strip.low < 0.8 < 0.89 < strip.high


def test_the_picks_value_is_marked(fabricate: Fabricate) -> None:
    store = fabricate(trials=36)
    found = {strip.title: strip for strip in strips(store, 0)}
    rate = store.records.claim.used.pipeline["optimizer"]["learning_rate"]
    assert found["optimizer learning rate"].pick == rate
    assert {"kd temperature", "kd weight"} <= set(found)
    assert 'class="upright pick"' in html_of(store)


def test_importances_need_forty_trials_and_stand_in_a_fold(fabricate: Fabricate, tmp_path: Path) -> None:
    few = fabricate(trials=39)
    assert importances_of(few) == (None, "") and "PED-ANOVA" not in html_of(few)
    text = html_of(fabricate(name="more", trials=60))
    found, said = importances_of(fabricate(name="again", trials=60))
    assert found is not None and said.endswith(("stand out.", "stands out."))
    fold = text.split("<summary>Importances of the parameters</summary>")[1].split("</details>")[0]
    assert said in fold and fold.count("<rect") == min(12, len(found.shares))


def test_without_a_score_there_is_no_section(fabricate: Fabricate) -> None:
    (section,) = (section for section in sections.sections() if section.name == "choices")
    assert section.show(fabricate(trials=0, claim=False)) is None
