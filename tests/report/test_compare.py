"""`autokd compare`: several studies side by side, whatever their names, metrics and states."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from autokd.cli.commands import run_command
from autokd.cli.console.compared import compared
from autokd.cli.console.output import out
from autokd.files import write_tensors
from autokd.objective import Objective
from autokd.report.compare import facts, page
from autokd.report.compare.courses import courses
from autokd.study.checks import check
from tests.report.conftest import Fabricate, FakeStore, keep_answers

OLD = Path(__file__).parents[1] / "old" / "studies"
HOSTILE = "<script>alert(1)</script>"


class Balanced(HTMLParser):
    """Sees that every element is closed, and collects what may run or be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.active: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.active += [tag] if tag in ("script", "img", "iframe", "link") else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None: ...

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(html: str) -> str:
    parser = Balanced()
    parser.feed(html)
    assert parser.open == [] and parser.active == []
    return html


def test_two_studies_are_told_apart_by_what_differs(fabricate: Fabricate) -> None:
    studies = [fabricate(name="one"), fabricate(name="two", gain=0.0, trials=20)]
    rows = facts.rows(studies)
    assert [row.label for row in rows] == ["one", "two"]
    for row, study in zip(rows, studies, strict=True):
        claim = study.records.claim
        assert claim is not None and row.over_kd is not None and row.over_alone is not None
        assert row.over_kd[:3] == (claim.comparisons["kd"].difference, *_ends(claim.comparisons["kd"]))
        assert row.over_alone.difference == claim.comparisons["alone"].difference
    assert all(fact.same for fact in facts.conditions(studies))
    assert "Yes: data, teacher, metric, epochs and limits are the same." in checked(page.render(studies))
    names = {fact.name for fact in facts.differing(studies)}
    assert "losses.dist" in names and "optimizer" not in names
    assert all(len(set(fact.values)) > 1 for fact in facts.differing(studies))


def test_the_checks_of_each_study_are_counted(fabricate: Fabricate) -> None:
    studies = [fabricate(name="one"), fabricate(name="two")]
    keep_answers(studies[1], plain=0.99)
    rows = facts.rows(studies)
    counted = [[each.severity for each in check(study)] for study in studies]
    assert [(row.stops, row.warnings) for row in rows] == [(each.count("stop"), each.count("warn")) for each in counted]
    assert rows[0].stops < rows[1].stops
    html = checked(page.render(studies))
    assert all(f'aria-label="stops">✕</span> {row.stops} <span' in html for row in rows)


def _ends(compared) -> tuple[float, float]:
    return compared.low, compared.high


def test_answers_that_were_kept_give_a_paired_difference(fabricate: Fabricate) -> None:
    studies = [fabricate(name=name) for name in ("one", "two", "other")]
    labels = torch.arange(100) % 10
    for study, wrong in zip(studies, (30, 10, 10), strict=True):
        right = torch.nn.functional.one_hot(labels, 10).float()
        right[:wrong] = right[:wrong].roll(1, dims=1)
        kept = {f"pick/{seed}/test": right.clone() for seed in range(5)} | {"labels/test": labels}
        (study.path / "confirm").mkdir()
        write_tensors(study.path / "confirm" / "round0.safetensors", kept)
    first, second, third = facts.rows(studies)
    assert first.over_first is None and second.over_first == third.over_first and second.over_first is not None
    assert second.over_first.difference == pytest.approx(0.2) and second.over_first.verdict == "better"
    assert 0.05 < second.over_first.low < 0.2 < second.over_first.high < 0.35  # 20 of 100 items: sd 0.04
    write_tensors(third_file(studies[2]), {**_tensors(third_file(studies[2])), "labels/test": labels.flip(0)})
    assert facts.rows(studies)[2].over_first is None  # other items


def third_file(study: FakeStore) -> Path:
    return study.path / "confirm" / "round0.safetensors"


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


def test_names_that_are_hostile_or_the_same_stay_text(fabricate: Fabricate, tmp_path: Path) -> None:
    strange = fabricate(name=HOSTILE.replace("/", "∕") + "\u202egnirts", dataset=HOSTILE, trials=8)
    one = fabricate(name="one", trials=8)
    shutil.copytree(one.path, tmp_path / "elsewhere" / "one")
    again = FakeStore(tmp_path / "elsewhere" / "one", one.settings, one.log)
    html = checked(page.render([strange, one, again]))
    assert "\u202e" not in html and "&lt;script&gt;" in html
    assert facts.labels([one, again]) == [str(one.path), str(again.path)]
    name = facts.file_name([strange, one, again]).name
    assert re.fullmatch(r"compare-[A-Za-z0-9_-]+\.html", name)


def test_twelve_studies_unfinished_failed_and_of_another_metric(fabricate: Fabricate, tmp_path: Path) -> None:
    studies = [fabricate(name=f"s{number}", trials=6 + number) for number in range(8)]
    unfinished, empty = fabricate(name="unfinished", claim=False), fabricate(name="empty", trials=0, claim=False)
    failed = fabricate(name="failed", trials=0, claim=False)
    plain = studies[0].records.trials[0].pipeline
    failed.log.append("trial", number=0, source="random", seed=0, pipeline=plain, params={}, cost={})
    failed.log.append("failure", number=0, kind="not_finite", reason="nan")

    class OfLogLoss(FakeStore):
        objective = Objective(("log_loss",))

    other = fabricate(name="other", claim=False)
    all_of_them = [*studies, unfinished, empty, failed, OfLogLoss(other.path, other.settings, other.log)]
    rows = {row.label: row for row in facts.rows(all_of_them)}
    assert rows["failed"].result == "no result: all 1 trials failed" and rows["empty"].result == "no trial yet"
    assert rows["unfinished"].result.startswith("no claim yet; best of 36 trials ")
    assert rows["other"].metric == "log_loss" and "nats" in rows["other"].result
    html = checked(page.render(all_of_them))
    assert "12 studies side by side" in html and "They differ in metric." in html
    assert {metric for metric, _ in courses(all_of_them)} == {"accuracy", "log_loss"}
    path = page.write(all_of_them, tmp_path / "reports")
    assert path.stat().st_size < 200_000


def test_effects_of_a_loss_have_their_counts_and_courses_never_fall(fabricate: Fabricate) -> None:
    studies = [fabricate(name="one"), fabricate(name="two", trials=6)]
    many, few = facts.loss_effects(studies)["dist"]
    scored = [trial for trial in studies[0].records.trials.values() if trial.rungs]
    assert many is not None and many.with_it == sum("dist" in trial.pipeline["losses"] for trial in scored)
    assert many.with_it + many.without == len(scored) and many.sure and not (few is not None and few.sure)
    ((_, found),) = courses(studies).items()
    for course, study in zip(found, studies, strict=True):
        values = [value for _, value in course.points]
        assert values == sorted(values) and study.best is not None and values[-1] == study.best.score


def test_the_command_writes_a_page_and_prints_a_table_or_a_document(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["compare", str(OLD / "old-wine"), str(OLD / "old-front")]
    assert run_command(asked) == 0
    told = capfd.readouterr().out
    assert "old-wine" in told and "against no teacher" in told
    assert "page: reports/compare-old_wine-old_front.html" in told
    checked(Path("reports/compare-old_wine-old_front.html").read_text(encoding="utf-8"))
    assert run_command([*asked, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert [row["label"] for row in document["studies"]] == ["old-wine", "old-front"]
    assert document["studies"][0]["over_alone"]["verdict"] and document["conditions"] and document["courses"]
    assert run_command(asked[:2]) == 2 and "name two or more" in capfd.readouterr().err


def test_a_table_of_studies_without_a_claim(fabricate: Fabricate, capsys) -> None:
    studies = [fabricate(name="one", claim=False, trials=6), fabricate(name="two", claim=False, trials=0)]
    out(compared(studies, Path("there.html"), as_json=False))
    assert "no trial yet" in " ".join(capsys.readouterr().out.split())


def test_the_forest_has_plain_kd_beside_what_is_recommended(fabricate: Fabricate) -> None:
    store = fabricate(name="kept")
    keep_answers(store)
    claim = store.records.claim
    assert claim is not None
    (row,) = facts.rows([store])
    assert row.kd_over_alone is not None and row.used_kind == "pick"
    (forest,) = page.forests([row])
    ((_, marks),) = forest["rows"]
    assert [mark.kind for mark in marks] == ["pick", "kd"]
    assert marks[0].gain.value == pytest.approx(claim.comparisons["alone"].difference)
    assert forest["scale"].low < 0.0 < forest["scale"].high
