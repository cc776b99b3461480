"""A section is a folder and its name in the list of the order: nobody else knows which sections there are."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2.meta import find_undeclared_variables

from autokd import report
from autokd.api import Study
from autokd.cli.console import claim as console
from autokd.ranges import Choice
from autokd.report import page, sections, write
from autokd.report.sections.recommendation.facts import decide, legend, training_text
from autokd.report.sections.search.promise import happened, promised
from autokd.report.start import extent
from autokd.report.tables import Table
from autokd.study.arms import ARM_KINDS, title_of
from autokd.study.claim import Claim
from autokd.study.design import Design
from autokd.study.effects import Effect
from autokd.study.past import AdvisedRule, PastStudies
from autokd.study.samples import Sample, Samples, samples_file, write_samples
from autokd.study.settings import Setting
from autokd.study.training import Training
from tests.report.conftest import RANGES, comparison, keep_answers
from tests.report.test_arms import text_of
from tests.report.test_page import HOSTILE, Page, add_race, change, change_claim, change_teacher, page_of

Fabricate = Callable[..., Any]
REPORT = Path(report.__file__).parent
FOLDERS = sorted(path.name for path in (REPORT / "sections").iterdir() if (path / "__init__.py").is_file())
TEMPLATES = sorted(REPORT.rglob("*.jinja"))
TOY = '''
"""How many trials there are."""

TITLE = "Toy"


def show(study):
    return {"number": len(study.records.trials), "name": "<b>bold</b>"} if study.records.trials else None


def tables(study):
    from autokd.report.tables import Table

    return {"toys": Table([{"trial": number} for number in study.records.trials], ["trial"])}


def printed(study):
    from autokd.report.printed import Grid

    yield "A line of the toy: [bold]kept[/bold]."
    yield Grid("A table of the toy", ["what", "number"], [["trials", str(len(study.records.trials))]], left=["what"])
'''
TOY_TEMPLATE = """\
{% from "macros.html.jinja" import draw %}
  <h2>A toy</h2>
  <p>{{ number | number_of("trial") }} of {{ study.name }}, {{ name }}</p>
  {{ draw("toy", {"data": [], "layout": {"height": 10}}, "A picture of a toy.") }}
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A section in a folder of its own, and its line in the list."""
    name = "toy_of_a_test"
    folder = tmp_path / "more" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(TOY, encoding="utf-8")
    (folder / "section.html.jinja").write_text(TOY_TEMPLATE, encoding="utf-8")
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(folder.parent)])
    monkeypatch.setattr(sections, "ORDER", ("recommendation", name, *sections.ORDER[1:]))
    return name


def test_a_folder_and_a_line_make_a_section(fabricate: Fabricate, tmp_path: Path, toy: str) -> None:
    store = fabricate(trials=12)
    path = write(store, tmp_path)
    text = path.read_text(encoding="utf-8")
    anchors = re.findall(r'<section id="(\w+)">', text)
    assert anchors[:3] == ["recommendation", toy, "checks"]
    assert f'<nav aria-label="Contents"><a href="#{toy}">Toy</a><a href="#checks">' in text
    assert "12 trials of demo, <b>bold</b>" in Page(text).words, "what a section shows is escaped in its template too"
    assert "<figcaption>A picture of a toy.</figcaption>" in text and 'id="plot-toy"' in text
    with (path.parent / "toys.csv").open(encoding="utf-8", newline="") as file:
        assert [row["trial"] for row in csv.DictReader(file)] == [str(number) for number in range(12)]


def test_a_section_prints_in_the_terminal_where_it_stands_on_the_page(
    fabricate: Fabricate, tmp_path: Path, toy: str
) -> None:
    told = text_of(console.summary(Study(fabricate(), tmp_path), as_json=False))
    assert (
        "A line of the toy: [bold]kept[/bold]." in told and "A table of the toy" in told and "│ trials │ 36 │" in told
    )
    assert told.index("A line of the toy") < told.index("Where the gain comes from") < told.index("Recommended (")


def test_page_and_terminal_say_it_in_the_same_words(
    fabricate: Fabricate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fabricate()
    training = Training(round=0, epochs=0, full=100, samples=9, reason="there was no time")
    store.records.trainings.append(training)
    change(store, identity=dataclasses.replace(store.settings.identity, objective={"log_loss": "minimize"}))
    change_claim(store, lambda claim: dataclasses.replace(claim, evidence="same seeds", metric="log_loss"))
    decision = decide(store)
    assert decision is not None and len(decision.sentences) == 2
    sentences = [decision.title, *decision.sentences, decision.evidence, decision.forecast, legend(decision.claim)]
    sentences += [extent(store), promised(store), happened(store), training_text(store)]
    assert all(len(text) > 20 for text in sentences)
    page_words = page_of(store, tmp_path).words
    told = text_of(console.summary(Study(store, tmp_path), as_json=False))
    assert [text for text in sentences if text not in page_words or text not in told] == []


def test_the_legend_names_the_arms_that_the_table_has(fabricate: Fabricate) -> None:
    claim = fabricate().records.claim
    assert claim is not None and {arm.kind for arm in claim.arms} >= {"pick", "alone", "kd"}
    for kinds in ({"pick", "alone", "kd"}, {"alone"}):
        text = legend(dataclasses.replace(claim, arms=tuple(arm for arm in claim.arms if arm.kind in kinds)))
        named = {kind for kind in ARM_KINDS if f"{title_of(kind)}: " in text}
        assert named == kinds and text.endswith("MACs: multiply-adds for one sample.") and "cut from" not in text
    cut = dataclasses.replace(claim.arms[0], pipeline={**claim.arms[0].pipeline, "student": {"use": "cut_teacher"}})
    assert "begins with the teacher's weights" in legend(dataclasses.replace(claim, arms=(cut,)))


def test_a_section_that_has_nothing_to_show_is_left_out(fabricate: Fabricate, tmp_path: Path, toy: str) -> None:
    text = write(fabricate(trials=0, claim=False), tmp_path).read_text(encoding="utf-8")
    assert toy not in text and (tmp_path / "demo" / "toys.csv").is_file()


def test_every_folder_stands_in_the_order_once() -> None:
    assert sorted(sections.ORDER) == FOLDERS and len(FOLDERS) >= 8
    assert max(Counter(sections.ORDER).values()) == 1


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_whole(name: str, fabricate: Fabricate) -> None:
    folder = REPORT / "sections" / name
    modules = {path.name for path in folder.glob("*.py")}
    assert (folder / "section.html.jinja").is_file() and "__init__.py" in modules
    (section,) = (section for section in sections.sections() if section.name == name)
    assert section.title and section.title == section.title.strip()
    source = (folder / "section.html.jinja").read_text(encoding="utf-8")
    store = fabricate(trials=36)
    facts = section.show(store)
    read = find_undeclared_variables(page.templates().parse(source))
    assert facts is None or facts.keys() <= read, "what is returned is shown"
    assert all(isinstance(table, Table) for table in section.tables(store).values())


def test_no_two_sections_write_the_same_table(fabricate: Fabricate) -> None:
    store = fabricate(trials=6)
    seek_small_ones_too(store)
    names = Counter(name for section in sections.sections() for name in section.tables(store))
    assert "front" in names and max(names.values()) == 1


def seek_small_ones_too(store: Any) -> None:
    """Make the number of parameters a second objective."""
    objectives = {"accuracy": "maximize", "params": "minimize"}
    change(store, identity=dataclasses.replace(store.settings.identity, objective=objectives))


def make_hostile(store: Any) -> None:
    """Put markup wherever a study holds a text of somebody else's."""
    facts = store.settings
    facts.data.card.update({"source": HOSTILE, HOSTILE: HOSTILE})
    change(store, dropped=(HOSTILE,), machine={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE})
    facts.settings[HOSTILE] = Setting(HOSTILE, HOSTILE)
    change_teacher(store, origin=HOSTILE, fingerprint=HOSTILE)
    rule = AdvisedRule(rule={"name": "kd", "title": HOSTILE}, gain=0.1, interval=None, studies=1, better=1)
    change(store, past=PastStudies(base=HOSTILE, added=None, known=1, studies=1, advised=(rule,)))
    seek_small_ones_too(store)
    (store.path / "space.yaml").write_text(HOSTILE, encoding="utf-8")
    reads = json.dumps({"round": 0, "why": HOSTILE})
    (store.path / "test_reads.jsonl").write_text(reads, encoding="utf-8")
    add_race(store)
    store.ranges = {**RANGES, HOSTILE: Choice("off", "on")}
    for trial in store.records.trials.values():
        trial.pipeline["student"]["name"] = HOSTILE
        trial.pipeline["losses"][HOSTILE] = {"use": HOSTILE}
        trial.params[HOSTILE] = "on" if (trial.score or 0) > 0.9 else "off"
        for rung in trial.rungs:
            rung.curve[-1]["terms"][HOSTILE] = 1.0
    for entry in store.records.screen:
        entry.student["name"] = HOSTILE
        entry.proxies[HOSTILE] = entry.params
    for run in store.records.runs:
        run.pipeline["losses"][HOSTILE] = {"use": HOSTILE}
    store.log.append("failure", number=8, kind=HOSTILE, reason=HOSTILE)
    store.log.append("profile", total=2.0, parts={HOSTILE: 1.0})
    for seed in (1, 2):
        for stage, variant in (("choose", ""), ("ablate", HOSTILE)):
            run = {
                "stage": stage,
                "round": 0,
                "arm": "pick",
                "variant": variant,
                "seed": seed,
                "pipeline": {"losses": {}},
            }
            store.log.append("run", **run, score=0.9 + 0.01 * seed, loss=0.2, seconds=1.0, failure=None)
    design = Design(stage=HOSTILE, round=0, seeds=1, target=None, detectable=None, noise=None, reason=HOSTILE)
    store.log.append("design", **design.to_plain())
    change_claim(store, with_a_hostile_arm)
    keep_answers(store)
    write_samples(samples_file(store.path), Samples((Sample(HOSTILE, "aGk=", HOSTILE, HOSTILE),), ((HOSTILE,) * 3,)))


def with_a_hostile_arm(claim: Claim) -> Claim:
    """A claim with an arm of an unknown kind."""
    arm = dataclasses.replace(claim.used, name=HOSTILE, kind=HOSTILE)
    compared = comparison(claim.used.test, arm.test, HOSTILE)
    return dataclasses.replace(claim, arms=(*claim.arms, arm), comparisons={**claim.comparisons, HOSTILE: compared})


@pytest.mark.parametrize("name", FOLDERS)
def test_no_section_takes_a_text_for_markup(name: str, fabricate: Fabricate, monkeypatch: pytest.MonkeyPatch) -> None:
    store = fabricate(name="hostile", dataset=HOSTILE, classes=[HOSTILE, '" onload="alert(1)'])
    make_hostile(store)
    effect = Effect(slot=HOSTILE, option=HOSTILE, worth=0.01, n=1)
    monkeypatch.setattr("autokd.report.sections.choices.effects", lambda records: [effect])
    (section,) = (section for section in sections.sections() if section.name == name)
    html = page.render_section(section, store, page.shared(store))
    assert html is not None and HOSTILE not in html and "<script>" not in html
    shown = html.count("&lt;script&gt;") + html.count("\\u0026lt;script\\u0026gt;")  # in a text, in a figure's JSON
    assert shown, "of this section nothing was put to the test"


def test_one_place_alone_trusts_markup() -> None:
    trusting = {path.name for path in TEMPLATES if re.search(r"\|\s*safe|autoescape", path.read_text(encoding="utf-8"))}
    assert len(TEMPLATES) >= 10 and trusting == {"page.html.jinja"}
    assert page.templates().autoescape is True
