"""What pays where: planted structure is found, noise is not, and a source of data counts once."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from autokd.cli.commands import run_command
from autokd.knowledge import Base, CardRun, StudyCard
from autokd.knowledge.additive import design, fit
from autokd.knowledge.base import write_base
from autokd.knowledge.card import ALONE
from autokd.knowledge.certainty import difference_of, mean_of
from autokd.knowledge.choices import ORIGIN, TAUGHT, Bands, Choice
from autokd.knowledge.pays import Effect, Findings, findings
from autokd.report.pays import facts as texts
from autokd.report.pays import page
from tests.knowledge.made import facts, pipeline, run, study

KD, DKD, ADAMW = Choice("losses", "kd"), Choice("losses", "dkd"), Choice("optimizer", "adamw")
STRUCTURE = {"kd": 0.1, "adamw": -0.06, "warm": 0.08}


@pytest.fixture(scope="module")
def known() -> Findings:
    return findings(Base.of(study(seed, STRUCTURE, train=100 * (1 + seed)) for seed in range(8)))


@pytest.fixture(scope="module")
def noise() -> Findings:
    return findings(Base.of(study(seed, {}, train=100 * (1 + seed)) for seed in range(8)))


def effects(found: Findings, scope: int = 0) -> dict[Choice, Effect]:
    return {effect.choice: effect for effect in found.scopes[scope].effects}


def test_planted_effects_are_found_with_their_size(known: Findings) -> None:
    found = effects(known)
    assert found[KD].verdict == found[Choice("losses", TAUGHT)].verdict == "pays"
    assert found[ADAMW].verdict == "costs"
    assert found[ADAMW].against == "sgd"
    score = found[ADAMW].score
    assert score is not None
    assert score.low < -0.06 < score.high
    assert found[DKD].verdict == "open"
    warmth = {choice.option: each.verdict for choice, each in found.items() if choice.place == "losses.kd.temperature"}
    assert [option.split()[0] for option in warmth] == ["up", *[next(iter(warmth)).split()[-1]], "above"]
    assert [next(iter(warmth.values())), list(warmth.values())[-1]] == ["costs", "pays"]
    of_dkd = {effect.verdict for choice, effect in found.items() if choice.place.startswith("losses.dkd.")}
    assert not of_dkd & {"pays", "costs"}
    assert all((found[choice].studies, found[choice].sources) == (8, 8) for choice in (KD, DKD, ADAMW))


def test_of_two_options_that_exclude_each_other_one_is_asked_about(known: Findings) -> None:
    assert Choice("optimizer", "sgd") not in effects(known)


def test_noise_teaches_nothing_and_it_is_said(noise: Findings) -> None:
    assert not any(effect.verdict in ("pays", "costs") for scope in noise.scopes for effect in scope.effects)
    assert not any(each.p <= 0.05 for each in noise.dependences)
    grids = [item for item in texts.printed(noise) if not isinstance(item, str)]
    assert {row[-1] for row in grids[0].rows} <= {"nothing can be said", "may pay", "may cost"}
    assert ["loss: kd", "without it"] in [list(row[:2]) for row in grids[0].rows]
    assert "nothing can be said" in page.render(noise)


def test_what_is_drawn_together_is_told_apart() -> None:
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(80):
        optimizer = "adamw" if rng.random() < 0.5 else "sgd"
        with_kd = rng.random() < (0.9 if optimizer == "adamw" else 0.1)
        score = 0.5 + 0.2 * (optimizer == "adamw") + 0.01 * rng.standard_normal()
        runs.append(
            run(pipeline(["kd"] if with_kd else [], optimizer, rate=float(rng.uniform(0.01, 0.1))), float(score))
        )
    card = StudyCard(facts=facts(), runs=tuple(runs))
    found = design(card, Bands([card]))
    has_kd = found.has[:, found.choices.index(KD)] > 0
    apart = found.scores[has_kd].mean() - found.scores[~has_kd].mean()
    coefficients = fit(found.has, found.scores[:, None])
    assert apart > 0.13
    assert abs(float((found.contrasts[KD] @ coefficients)[0])) < 0.02
    assert float((found.contrasts[ADAMW] @ coefficients)[0]) == pytest.approx(0.2, abs=0.02)


def test_the_penalty_is_that_of_least_leave_one_out_error() -> None:
    rng = np.random.default_rng(1)
    has = (rng.random((14, 4)) < 0.5).astype(float)
    target = has[:, 0] + 0.7 * rng.standard_normal(14)

    def ridge(rows: np.ndarray, wanted: np.ndarray, penalty: float) -> np.ndarray:
        centred = rows - rows.mean(0)
        inner = centred.T @ centred + penalty * np.eye(rows.shape[1])
        solved: np.ndarray = np.linalg.solve(inner, centred.T @ (wanted - wanted.mean()))
        return solved

    def error(penalty: float) -> float:
        """The same centring for all rows, as the formula without refitting has it in each fold's own mean."""
        errors = []
        for left in range(14):
            rest = np.arange(14) != left
            weights = ridge(has[rest], target[rest], penalty)
            said = target[rest].mean() + (has[left] - has[rest].mean(0)) @ weights
            errors.append((target[left] - said) ** 2)
        return float(np.mean(errors))

    penalties = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    best = min(penalties, key=error)
    assert fit(has, target[:, None])[:, 0] == pytest.approx(ridge(has, target, best))


def test_a_source_of_data_counts_once() -> None:
    cards = [study(seed, STRUCTURE, family=f"f{seed % 3}") for seed in range(9)]
    found = findings(Base.of(cards))
    assert (found.studies, found.sources) == (9, 3)
    kd = effects(found)[KD]
    assert (kd.studies, kd.sources) == (9, 3)
    bands = Bands(cards)
    designs = [design(card, bands) for card in cards]
    rises = [float((each.contrasts[KD] @ fit(each.has, each.quantiles[:, None]))[0]) for each in designs]
    means = [float(np.mean(rises[first::3])) for first in range(3)]
    assert kd.rank.value == pytest.approx(np.mean(means))
    assert kd.rank.high - kd.rank.value == pytest.approx(4.3027 * np.std(means, ddof=1) / math.sqrt(3), rel=1e-4)


def test_below_three_sources_nothing_is_said() -> None:
    found = findings(Base.of(study(seed, STRUCTURE) for seed in range(2)))
    assert {effect.verdict for effect in effects(found).values()} == {"open"}
    assert "few data" in texts.line(effects(found)[KD]).rank
    assert len(found.scopes) == 1


def test_a_study_with_few_pipelines_is_left_out() -> None:
    found = findings(Base.of([*(study(seed, STRUCTURE) for seed in range(3)), study(9, STRUCTURE, runs=8)]))
    assert (found.studies, found.left_out) == (3, 1)
    assert findings(Base()).studies == 0


def test_where_it_depends_on_the_data_is_found() -> None:
    few = [study(seed, {"kd": -0.1}, train=100 + seed) for seed in range(4)]
    many = [study(10 + seed, {"kd": 0.1}, train=5000 + seed) for seed in range(4)]
    found = findings(Base.of([*few, *many]))
    differing = {each.choice: each for each in found.dependences if each.p <= 0.05}
    assert differing[KD].about == "training samples"
    assert differing[KD].difference.low > 1
    assert differing[KD].sources == (4, 4)
    assert "more than 100 training samples" in differing[KD].high
    assert effects(found)[KD].verdict == "open"
    sides = {scope.title: scope for scope in found.scopes if scope.about == "training samples"}
    assert [e.verdict for e in sides[differing[KD].low].effects if e.choice == KD] == ["costs"]


def test_data_are_split_by_the_lead_of_the_teacher() -> None:
    def led(seed: int, lead: float) -> StudyCard:
        alone = run({**pipeline(), "batch_size": 32}, 0.5, source=ALONE)
        made = study(seed, STRUCTURE, teacher={"accuracy": 0.5 + lead})
        return StudyCard(facts=made.facts, runs=(*made.runs, alone))

    found = findings(Base.of(led(seed, 0.01 if seed < 3 else 0.2) for seed in range(6)))
    titles = [scope.title for scope in found.scopes if scope.about == "lead of the teacher"]
    assert titles == ["teacher ahead by up to 1 points", "teacher ahead by more than 1 points"]


def test_intervals_are_those_of_students_t_and_welch() -> None:
    rng = np.random.default_rng(2)
    one, other = list(rng.normal(0, 1, 6)), list(rng.normal(0.5, 3, 9))
    mean, p = mean_of(one)
    reference = stats.ttest_1samp(one, 0)
    assert p == pytest.approx(reference.pvalue)
    assert (mean.low, mean.high) == pytest.approx(tuple(reference.confidence_interval()))
    apart, p = difference_of(one, other)
    reference = stats.ttest_ind(other, one, equal_var=False)
    assert p == pytest.approx(reference.pvalue)
    assert (apart.low, apart.high) == pytest.approx(tuple(reference.confidence_interval()))


def test_bands_are_the_same_in_all_studies_and_few_numbers_are_their_own() -> None:
    cards = [study(seed, {}) for seed in range(3)]
    bands = Bands(cards)
    chosen = {choice for card in cards for each in card.runs for choice in bands.of(each, card)}
    temperatures = {choice.option for choice in chosen if choice.place == "losses.kd.temperature"}
    assert len(temperatures) == 3
    assert {choice.option for choice in chosen if choice.place == "batch_size"} == {"64"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def test_the_page_escapes_names_and_has_no_script(known: Findings) -> None:
    card = study(0, STRUCTURE)
    hostile = [run({**each.pipeline, "other": {"t.x1": f"c{i % 2}"}}, each.score) for i, each in enumerate(card.runs)]
    found = findings(Base.of(StudyCard(facts=facts(data=f"h{n}"), runs=tuple(hostile)) for n in range(3)))
    html = page.render(found, {"t.x1": "<script>alert(1)</script>", "t.x1: c0": "<img src=x>"})
    parser = _Tags()
    parser.feed(html)
    assert "&lt;script&gt;" in html
    assert not {"script", "img"} & set(parser.tags)
    assert "http" not in html.replace("http-equiv", "")
    assert "kind of input" not in page.render(known)  # one kind: no part of the data


def test_the_command_prints_writes_a_page_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, html = tmp_path / "base.parquet", tmp_path / "new" / "pays.html"
    write_base(base, [study(seed, STRUCTURE) for seed in range(4)])
    assert run_command(["knowledge", "report", str(base), "--html", str(html)]) == 0
    shown = capsys.readouterr().out
    assert "4 studies on 4 sources" in shown
    assert "temperature of" in shown
    assert f"page: {html}" in shown
    assert "What pays where" in html.read_text(encoding="utf-8")
    assert run_command(["knowledge", "report", str(base), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    kd = next(each for each in plain["scopes"][0]["effects"] if (each["place"], each["option"]) == ("losses", "kd"))
    assert (kd["verdict"], kd["sources"]) == ("pays", 4)
    assert kd["rank"]["low"] > 0


def test_what_recipes_are_good_at_is_not_taken_for_what_they_use() -> None:
    rng = np.random.default_rng(3)

    def chosen(source: str, adamw: float, level: float) -> CardRun:
        optimizer = "adamw" if rng.random() < adamw else "sgd"
        made = pipeline(["kd"] if rng.random() < 0.5 else [], optimizer, rate=float(rng.uniform(0.01, 0.1)))
        return run(made, float(level + 0.01 * rng.standard_normal()), source=source)

    recipes = [chosen("recipe:x", 0.9, 0.8) for _ in range(30)]
    drawn = [chosen("coverage", 0.5, 0.5) for _ in range(50)]
    card = StudyCard(facts=facts(), runs=(*recipes, *drawn))
    found = design(card, Bands([card]))
    rise = float((found.contrasts[ADAMW] @ fit(found.has, found.scores[:, None]))[0])
    has_adamw = found.has[:, found.choices.index(ADAMW)] > 0
    assert found.scores[has_adamw].mean() - found.scores[~has_adamw].mean() > 0.06
    assert abs(rise) < 0.01
    assert not any(choice.place == ORIGIN for choice in found.contrasts)


def test_a_loss_of_another_version_is_a_choice_like_others() -> None:
    def newer(seed: int) -> StudyCard:
        card = study(seed, STRUCTURE)
        text = json.dumps([each.pipeline for each in card.runs]).replace("dkd", "next_kd")
        runs = [run(plain, each.score) for plain, each in zip(json.loads(text), card.runs, strict=True)]
        return StudyCard(facts=card.facts, runs=tuple(runs))

    assert Choice("losses", "next_kd") in effects(findings(Base.of(map(newer, range(3)))))
