"""The page in a real browser: ten kinds of study, at three widths, dark, printed, without JavaScript."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autokd.report import write
from tests.report.browser import CHROMIUM, Browser, browser
from tests.report.conftest import keep_answers, make_study
from tests.report.test_page import change, change_claim
from tests.report.test_verdicts import VERDICTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)"),
]

TURNED = "\N{RIGHT-TO-LEFT OVERRIDE}drow"
HOSTILE = ["<b>bold</b>", "{{ 7 * 7 }}", TURNED, "x" * 90, "'=1+1", "</script>", "naïve ß", "日本", " ", "\"'`"]
DIGITS = [str(digit) for digit in range(10)]
WIDTHS = (1280, 400, 320)


def fabricate(folder: Path, name: str, **changes: Any) -> Any:
    """A study as `conftest` fabricates it, here for all tests of the module."""
    usual = {
        "trials": 36, "claim": True, "gain": 0.012, "teacher_test": 0.991, "n_test": 540, "dataset": "digits",
        "classes": DIGITS,
    }  # fmt: skip
    return make_study(folder / name, **{**usual, **changes})


def all_failed(store: Any) -> None:
    """Trials that all failed, in two ways."""
    plain = {"format": 1, "student": {"use": "cnn"}, "losses": {"ce": {"use": "ce"}}}
    for number in range(4):
        kind, reason = ("out_of_memory", "needs 3 GB") if number % 2 else ("error", TURNED)
        store.log.append("trial", number=number, source="random", seed=0, pipeline=plain, params=None, cost={})
        store.log.append("failure", number=number, kind=kind, reason=reason)


def make_all(folder: Path) -> dict[str, Path]:
    """The pages of the studies, by name."""
    stores = {
        "finished": fabricate(folder, "finished"),
        "hostile": fabricate(folder, "hostile", classes=HOSTILE, dataset=HOSTILE[0]),
        "three": fabricate(folder, "three", trials=3),
        "thirty": fabricate(folder, "thirty", classes=[f"class {i}" for i in range(30)]),
        "objectives": fabricate(folder, "objectives"),
        "failed": fabricate(folder, "failed", trials=0, claim=False),
        "empty": fabricate(folder, "empty", trials=0, claim=False),
        "running": fabricate(folder, "running", trials=14, claim=False),
        "labels": fabricate(folder, "labels"),
        "alone": fabricate(folder, "alone"),
        "sixty": fabricate(folder, "sixty", trials=60),
        "many": fabricate(folder, "many", trials=500),
    }
    for name in ("finished", "hostile", "thirty"):
        keep_answers(stores[name])
    all_failed(stores["failed"])
    identity = stores["objectives"].settings.identity
    change(
        stores["objectives"],
        identity=dataclasses.replace(identity, objective={"accuracy": "maximize", "params": "minimize"}),
    )
    change_claim(stores["labels"], VERDICTS["labels_alone"][0])
    change_claim(stores["alone"], VERDICTS["no_teacher"][0])
    change(stores["alone"], teacher=None)
    assert not stores["alone"].records.claim.used.distils
    return {name: write(store, folder / "reports") for name, store in stores.items()}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    folder = tmp_path_factory.mktemp("pages")
    yield make_all(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def page() -> Iterator[Browser]:
    with browser() as found:
        yield found


NAMES = (
    "finished",
    "hostile",
    "three",
    "thirty",
    "objectives",
    "failed",
    "empty",
    "running",
    "labels",
    "alone",
    "many",
)
SOON = """
new Promise(done => {
  const last = Date.now() + 10000;
  const look = () => { const met = %s; met || Date.now() > last ? done(met) : setTimeout(look, 20); };
  look();
})
"""
"""Whether a condition is met soon: figures follow a new width in a moment."""
PICTURES = "[...document.querySelectorAll('svg.picture')].filter(one => one.getBoundingClientRect().width > 20).length"


@pytest.mark.parametrize("name", NAMES)
def test_a_page_works_at_every_width_and_without_a_script(name: str, page: Browser, pages: dict[str, Path]) -> None:
    page.open(pages[name])
    with_script = page.run(PICTURES)
    for width in WIDTHS:
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        assert page.run(SOON % f"document.documentElement.scrollWidth <= {width}"), f"it scrolls sideways at {width} px"
    plots = "[...document.querySelectorAll('.plot')].every(one => one.classList.contains('js-plotly-plot'))"
    assert page.run(SOON % plots), "a figure was not drawn"
    assert page.complaints == [] and page.requests == []
    page.open(pages[name], script=False)
    assert page.run(PICTURES) == with_script, "what decides is there without JavaScript"
    assert page.run("document.querySelector('h1').innerText.length") > 10


CONTRAST = """
(() => {
  const parse = text => {
    const found = text.match(/[\\d.]+/g).map(Number);
    return {rgb: found.slice(0, 3), alpha: found[3] ?? 1};
  };
  const light = rgb => rgb.map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const under = node => {
    for (; node; node = node.parentElement) {
      const {rgb, alpha} = parse(getComputedStyle(node).backgroundColor);
      if (alpha > 0.99) return rgb;
    }
    return [255, 255, 255];
  };
  const bad = [];
  const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), node = walk.currentNode.parentElement;
    if (!text || !node.checkVisibility() || node.closest(".plot, script, style")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color).rgb), light(under(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${ratio.toFixed(1)}: ${text.slice(0, 40)}`);
  }
  return bad;
})()
"""
"""Texts that stand out from what is under them by less than 4.5:1 (WCAG 2.2, 1.4.3)."""


def test_texts_can_be_read_in_light_and_dark_and_in_print_from_dark(page: Browser, pages: dict[str, Path]) -> None:
    page.open(pages["finished"])
    assert page.run(CONTRAST) == []
    page.open(pages["finished"], dark=True)
    assert page.run(CONTRAST) == []
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
    page.media("print", dark=True)
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.run(CONTRAST) == []
    assert page.run("[...document.querySelectorAll('details')].every(one => one.lastElementChild.checkVisibility())")
    assert not page.run("document.querySelector('nav').checkVisibility()")


def test_a_page_can_be_made_dark_by_hand(page: Browser, pages: dict[str, Path]) -> None:
    page.open(pages["three"])
    page.run("document.querySelector('header .tools button').click()")
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"


LOOSE = """
(() => {
  const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT), bad = [];
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.textContent.includes("\\u202e") && !node.parentElement.closest("bdi, script")) bad.push(node.textContent);
  }
  return bad.map(text => text.slice(0, 60));
})()
"""


def test_a_name_that_turns_round_its_neighbours_stays_alone(page: Browser, pages: dict[str, Path]) -> None:
    for name in ("hostile", "failed"):
        page.open(pages[name])
        assert page.run(LOOSE) == []


def test_the_first_screen_answers_the_four_questions(page: Browser, pages: dict[str, Path]) -> None:
    page.open(pages["finished"], width=1280, height=900)
    assert page.run("document.querySelector('table.arms').getBoundingClientRect().bottom") <= 900


def test_pages_are_as_small_as_they_are_to_be(pages: dict[str, Path]) -> None:
    assert pages["sixty"].stat().st_size <= 2.5e6
    assert pages["many"].stat().st_size <= 3.5e6
