"""The HTML report of fabricated studies."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from autokd.metrics import METRICS
from autokd.report import write
from autokd.report.page import packed_plotly
from autokd.report.plots import ErrorScale
from autokd.report.sections import ORDER
from autokd.report.sections.search.facts import survival
from autokd.study.choice import Candidate, Choice
from autokd.study.claim import Claim, SplitValues
from autokd.study.design import Design
from autokd.study.proxies import worth_of_proxies

Fabricate = Callable[..., Any]
PLOTLY = packed_plotly()
HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags, attributes, texts and scripts of a page, Plotly's own code taken out first."""

    def __init__(self, text: str) -> None:
        super().__init__()
        pieces = text.split(PLOTLY)
        assert len(pieces) == 2, "plotly.js must be inlined exactly once"
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed("plotly".join(pieces))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def figures(self) -> list[dict[str, Any]]:
        return [json.loads(script) for script in self.scripts if script.startswith('{"data"')]

    @property
    def explored(self) -> Any:
        """What the explorer draws from."""
        (block,) = (script for script in self.scripts if script.startswith('{"axes"'))
        return json.loads(block)


def change(store: Any, **values: Any) -> None:
    """Change what `study.yaml` says."""
    store.settings = dataclasses.replace(store.settings, **values)


def change_teacher(store: Any, **values: Any) -> None:
    change(store, teacher=dataclasses.replace(store.settings.teacher, **values))


def change_claim(store: Any, change: Callable[[Claim], Claim]) -> None:
    store.records.claims[-1] = change(store.records.claims[-1])


def page_of(store: Any, folder: Path) -> Page:
    return Page(write(store, folder).read_text(encoding="utf-8"))


def test_a_finished_study(fabricate: Fabricate, tmp_path: Path) -> None:
    path = write(fabricate(), tmp_path / "reports")
    assert path == tmp_path / "reports" / "demo" / "index.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert "Use the distilled student: +1.7 points [+1.1, +2.3] over plain KD" in page.words
    assert "Better than plain KD: +1.7 points [+1.1, +2.3]." in page.words
    assert "5 training runs a pipeline, 540 test items, on seeds that no choice has seen." in page.words
    assert "Train it once more and expect 93.8 to 97.0 % on test (95 % of the time)." in page.words
    assert "autokd export demo -o pipeline.yaml" in page.words
    assert "Test split read once (claim, round 0)" in page.words
    assert "description: small students" in page.words
    assert "not finite: the training loss became nan in epoch 2" in page.words
    assert "losses.crd: crd needs pooled" in page.words
    assert "worse than the student alone" not in page.words
    assert "may have seen" not in page.words


def test_sections_come_in_the_order_of_the_decision(fabricate: Fabricate, tmp_path: Path) -> None:
    text = write(fabricate(), tmp_path).read_text(encoding="utf-8")
    shown = re.findall(r'<section id="(\w+)">', text)
    assert {"recommendation", "checks", "ladder", "search", "details"} <= set(shown)
    order = [name for name in ORDER if name in shown]
    assert shown == order
    assert re.findall(r'<a href="#(\w+)">[^<]*</a>(?=<a|\s*</nav>)', text) == order[1:]


def test_no_gain_is_said_plainly_and_a_weak_teacher_loudly(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(gain=0.0)
    change_claim(store, lambda claim: dataclasses.replace(claim, teacher=SplitValues(0.5, 0.5)))
    page = page_of(store, tmp_path)
    assert "over no teacher; plain KD may do as well" in page.words
    assert (
        "No gain over plain KD: +0.5 points [−0.1, +1.1]. We would have noticed 0.8 points or more. About" in page.words
    )
    assert "The teacher is worse than the student alone: 50.0 % against" in page.words
    assert "better than plain KD" not in page.words


def test_a_teacher_that_may_have_seen_validation_is_marked(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    change_teacher(store, may_have_seen_validation=True)
    page = page_of(store, tmp_path)
    assert "98.6 % (n = 1)*" in page.words
    assert "* The teacher may have seen these rows." in page.words
    assert "may have seen these rows" in page.explored["layout"]["annotations"][0]["text"]


def test_an_interrupted_study(fabricate: Fabricate, tmp_path: Path) -> None:
    page = page_of(fabricate(trials=12, claim=False), tmp_path)
    assert "Not finished: 12 of 30 trials, leader" in page.words
    assert "Best trial so far (trial 6)" in page.words
    assert "autokd search --study demo" in page.words
    assert "Test split read 0 times" in page.words
    assert "Seed by seed" not in page.words
    assert page.figures == []


def test_a_weak_teacher_shows_before_the_claim(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=12, claim=False)
    change_teacher(store, validation={"accuracy": 0.5})
    assert "The teacher is worse than the student alone: 50.0 % against" in page_of(store, tmp_path).words


def test_a_study_without_any_trial(fabricate: Fabricate, tmp_path: Path) -> None:
    page = page_of(fabricate(trials=0, claim=False), tmp_path)
    assert "No trial has finished" in page.words
    assert page.figures == []


def test_a_study_whose_trials_all_failed(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=0, claim=False)
    plain = {"format": 1, "student": {"use": "cnn"}, "losses": {"ce": {"use": "ce"}}}
    store.log.append("trial", number=0, source="random", seed=0, pipeline=plain, params=None, cost={})
    store.log.append("failure", number=0, kind="out_of_memory", reason="needs 3 GB")
    page = page_of(store, tmp_path)
    assert "Nothing was trained: 1 × out of memory" in page.words
    assert "What helps: lower --max-params" in page.words
    assert "out of memory: needs 3 GB" in page.words


def test_a_study_without_teacher(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()

    def without_teacher(claim: Claim) -> Claim:
        arms = tuple(arm for arm in claim.arms if arm.name != "kd")
        compared = {"alone": claim.comparisons["alone"]}
        return dataclasses.replace(
            claim, arms=arms, comparisons=compared, teacher=None, comparators=("alone",), gap_closed=None
        )

    change_claim(store, without_teacher)
    change(store, teacher=None)
    page = page_of(store, tmp_path)
    assert "over no teacher" in page.words and "distilling" not in page.words
    assert "None: the study compares students trained on labels alone." in page.words


def test_hostile_names_stay_text(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(name="hostile", dataset=HOSTILE, classes=[HOSTILE, '" onload="alert(1)'])
    store.settings.data.card["source"] = HOSTILE
    change(store, dropped=(HOSTILE,))
    change_teacher(store, origin=HOSTILE)
    (store.path / "space.yaml").write_text(f"description: {HOSTILE}\n", encoding="utf-8")
    store.log.append("failure", number=8, kind="error", reason=HOSTILE)
    for trial in store.records.trials.values():
        trial.pipeline["student"]["name"] = HOSTILE
        trial.pipeline["losses"][HOSTILE] = {"use": HOSTILE}
    page = page_of(store, tmp_path)
    assert page.tags.count("script") == len(page.figures) + 3
    assert page.words.count(HOSTILE) > 6
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert any(HOSTILE in trial["pipeline"].values() for trial in page.explored["trials"])  # as data, which stays text
    assert not any("<script" in json.dumps(figure) for figure in page.figures)


def test_the_page_asks_for_nothing_from_elsewhere(fabricate: Fabricate, tmp_path: Path) -> None:
    page = page_of(fabricate(), tmp_path)
    assert not {"link", "img", "iframe", "object", "embed"} & set(page.tags)
    addresses = [value or "" for name, value in page.attributes if name in ("src", "href", "action", "srcset", "style")]
    assert not [address for address in addresses if "//" in address or "url(" in address]
    policy = dict(page.attributes)["content"]
    policies = [value for name, value in page.attributes if name == "content" and "default-src 'none'" in (value or "")]
    assert policy and len(policies) == 1
    assert "http" not in "".join(page.scripts)


def test_tables_beside_the_page(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=36)
    store.log.append("failure", number=8, kind="error", reason="=HYPERLINK(1)")
    folder = write(store, tmp_path).parent

    def rows(name: str) -> list[dict[str, str]]:
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    trials = rows("trials")
    assert len(trials) == 36
    assert trials[7]["state"] == "failed"
    assert trials[8]["failure_reason"] == "'=HYPERLINK(1)"
    assert trials[0]["source"] == "recipe:alone"
    assert float(trials[0]["score"]) == store.records.trials[0].score
    assert {"student.width", "losses.kd.temperature"} <= trials[0].keys()
    assert len([row for row in rows("curves") if row["trial"] == "0"]) == 27
    assert len(rows("evidence")) == 3 * 5 + 1
    assert [row["against"] for row in rows("comparisons")] == ["alone", "kd"]
    assert len(rows("proxies")) == 12
    assert len(rows("runs")) == 10


def test_a_data_card_is_shown_without_repetition(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    card = {"classes": ["zebra"], "skipped_files": [], "also_in_train": {"test": 2}}
    store.settings.data.card.update(card)
    page = page_of(store, tmp_path)
    assert "Duplicates Also in training: 2 of test" in page.words
    assert "zebra" not in page.words
    assert "skipped files" not in page.words


def test_error_scale_spreads_good_accuracies() -> None:
    scale = ErrorScale(0.005, METRICS["accuracy"])
    assert [scale.at(score) for score in (0.0, 0.9, 0.99)] == pytest.approx([0.0, 1.0, 2.0])
    assert scale.at(1.0) == pytest.approx(scale.at(0.995))  # nothing wrong is drawn as half a sample wrong
    axis = scale.axis([scale.at(0.6), scale.at(0.99)])
    marks = dict(zip(axis["ticktext"], axis["tickvals"], strict=True))
    assert marks["90"] == pytest.approx(1.0)
    assert marks["99"] == pytest.approx(2.0)
    assert "98" in marks and "95" in marks


def test_better_is_drawn_higher_for_every_metric() -> None:
    for metric in METRICS.values():
        scale = ErrorScale(0.001, metric)
        good, bad = sorted((0.1, 0.4), key=metric.score, reverse=True)
        assert scale.at(good) > scale.at(bad)
    loss = ErrorScale(0.001, METRICS["log_loss"])
    axis = loss.axis([loss.at(0.02), loss.at(2.5)])  # beyond 1 nat, too
    assert {"0.1", "1"} <= set(axis["ticktext"]) and axis["title"]["text"] == "validation log loss (nats)"


def test_how_far_trials_got(fabricate: Fabricate) -> None:
    bars = survival(fabricate(trials=36))
    assert bars is not None
    assert [(line.title, line.text) for line in bars.lines] == [
        ("3 epochs", "33"),
        ("9 epochs", "11"),
        ("27 epochs", "3"),
    ]
    assert [line.share for line in bars.lines] == pytest.approx([33 / 36, 11 / 36, 3 / 36])
    assert bars.scale.at(36) == 100.0 and bars.scale.at(0) == 0.0


def add_race(store: Any) -> None:
    """What a study records of its noise, its designs and its race."""
    log, plain = store.log, {"losses": {"ce": {"use": "ce"}}}
    for seed, score in enumerate((0.90, 0.92, 0.94)):
        run = {"stage": "noise", "round": 0, "arm": "kd", "variant": "", "seed": seed, "pipeline": plain}
        log.append("run", **run, score=score, loss=0.2, seconds=1.0, failure=None)
    for stage, seeds in (("select", 4), ("claim", 5)):
        why = f"{seeds} seeds: noisy"
        design = Design(stage=stage, round=0, seeds=seeds, target=0.01, detectable=0.02, noise=None, reason=why)
        log.append("design", **design.to_plain())
    candidates = [
        Candidate(
            trial=trial,
            scores=scores,
            mean=mean,
            dropped_after=dropped,
            tied=tied,
            losses=2,
            params=1000,
            macs=31_000,
        )
        for trial, scores, mean, dropped, tied in (
            (8, [0.95, 0.94, 0.96], 0.95, None, True),
            (9, [0.95, 0.95, 0.94], 0.947, None, True),
            (10, [0.80, 0.81], 0.805, 2, False),
            (11, [0.93, 0.93, 0.93], 0.93, None, False),
        )
    ]
    why = "tied with trial 8 and simpler"
    choice = Choice(round=0, trials=36, trial=9, candidates=tuple(candidates), most_seeds=4, reason=why)
    log.append("choice", **choice.to_plain())


def test_the_noise_and_the_race_are_shown(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    assert "Noise and the number of seeds" not in page_of(store, tmp_path).words
    assert "A race" not in page_of(fabricate(name="before", claim=False), tmp_path).words
    add_race(store)
    words = page_of(store, tmp_path).words
    assert "Noise Plain KD under 3 seeds: 90.0 %, 92.0 %, 94.0 %; 92.0 ± 2.0 % (n = 3)" in words
    assert "select at most 4 seeds: noisy claim 5 seeds: noisy" in words
    assert "Trial 9: tied with trial 8 and simpler." in words and "A race: all are trained" in words
    for line in ("trial 8 tied with the best 2 31 k 1,000", "trial 9 chosen 2 31 k 1,000"):
        assert line in words
    assert "trial 10 stopped after 2 seeds: clearly worse" in words and "trial 11 behind" in words


def test_whether_short_trainings_predict_longer_ones(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=60)
    words = page_of(store, tmp_path).words
    assert "3 → 9 0.74 [0.47, 0.92] 18 strong" in words
    assert "27 → select, over seeds" in words and "– 1 unknown (only 1 trial)" in words
    assert "Short trainings are of use: 3 → 9 epochs agree strongly (0.74, from 0.47 to 0.92)." in words
    with (tmp_path / "demo" / "agreements.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["shorter"], row["longer"]) for row in rows] == [
        ("3", "9"), ("3", "27"), ("9", "27"), ("27", "select")
    ]  # fmt: skip


def test_what_a_rungs_score_is_is_told(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    assert "side branch" not in page_of(store, tmp_path).words
    store.settings.identity.budget["branch"] = 0.25
    assert "a trial’s score is that of a side branch, 25 % of its steps so far" in page_of(store, tmp_path).words


def test_a_budget_that_was_too_short_is_told(
    fabricate: Fabricate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "The budget was too short" not in page_of(fabricate(), tmp_path).words
    monkeypatch.setattr("autokd.report.sections.search.too_short", lambda records: "the budget was too short: so it is")
    assert "The budget was too short: so it is." in page_of(fabricate(name="other"), tmp_path).words


def test_proxy_taus_are_measured_on_trained_students(fabricate: Fabricate) -> None:
    found = {worth.name: worth for worth in worth_of_proxies(fabricate(trials=60).records)}
    assert list(found) == ["params", "macs", "nwot", "diswot", "learned"]
    assert found["params"].students == 12 and found["params"].trials == 55  # 18 finished the next rung: fewer than 20
    assert found["params"].tau == found["macs"].tau  # MACs are proportional to parameters here


def test_writing_again_replaces_the_report(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=6, claim=False)
    first = write(store, tmp_path).read_text(encoding="utf-8")
    assert write(store, tmp_path).read_text(encoding="utf-8") == first
    files = sorted(path.name for path in (tmp_path / "demo").iterdir())
    tables = ["agreements", "bank", "comparisons", "curves", "evidence", "losses", "proxies", "proxy_worth", "runs"]
    tables += ["time", "trials"]
    assert files == sorted([*(f"{name}.csv" for name in tables), "index.html", "report.json"])


def test_importing_the_report_is_light() -> None:
    heavy = "plotly, jinja2, optuna, scipy, torch, pandas"
    code = f"import sys, autokd.report; print([m for m in '{heavy}'.split(', ') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
