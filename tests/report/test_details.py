"""The details: what it takes to reproduce a study, without what is of one machine alone."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from autokd.report.page import render
from autokd.report.sections.details import data, proxies
from autokd.study.fidelity import Tau
from autokd.study.proxies import Worth
from autokd.study.settings import Setting
from tests.report.test_page import Page, change, change_teacher

Fabricate = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("checkpoint /home/me/models/big.pt, resnet", "checkpoint big.pt, resnet"),
        (r"C:\Users\me\teacher.onnx", "teacher.onnx"),
        ("~/data/cats/train.csv", "train.csv"),
        ("losses.kd and 3/4 of it, at https://example.org/a/b", "losses.kd and 3/4 of it, at https://example.org/a/b"),
    ],
)
def test_a_text_that_is_passed_on_holds_no_folders(text: str, left: str) -> None:
    assert data.shareable(text) == left


def test_no_folder_of_this_machine_is_on_the_page(fabricate: Fabricate) -> None:
    store = fabricate()
    store.settings.settings["cache"] = Setting("/home/me/.cache/autokd", "AUTOKD_CACHE")
    store.settings.settings["dataset"] = Setting("/home/me/cats", "asked")
    change_teacher(store, origin="/home/me/big.pt")
    change(store, dropped=("losses.mine: /home/me/mine.py is gone",), machine={"device": "cpu", "name": "my-laptop"})
    page = Page(render(store))
    assert "/home/me" not in page.text and "my-laptop" not in page.text
    assert "Origin big.pt" in page.words and "dataset cats (asked)" in page.words and "mine.py is gone" in page.words


def test_the_data_card_is_told_in_words(fabricate: Fabricate) -> None:
    store = fabricate()
    card = {"official": {"validation": False, "test": True}, "also_in_train": {"validation": 0, "test": 2}}
    store.settings.data.card.update(card)
    words = Page(render(store)).words
    assert "Splits Validation drawn from training; test supplied with the data" in words
    assert "Duplicates Also in training: 2 of test" in words
    assert "class training validation 0 100 25 1 100 25" in words


def test_seeds_are_numbered_and_the_real_ones_are_in_the_file(fabricate: Fabricate) -> None:
    store = fabricate()
    fold = re.findall(r'id="details-seeds">.*?</details>', render(store), re.DOTALL)[0]
    rows = re.findall(r'<tr><th scope="row">(\d+)</th><td class="n">\d', fold)
    assert rows == ["1", "2", "3", "4", "5"]


def worth(name: str, trials: int, students: int, *, decides: bool, not_finite: int = 0) -> Worth:
    tau = Tau(0.5, 0.3, 0.7, trials)
    why = "" if decides else "what it says beyond size may be chance"
    return Worth(name, tau, tau, 0.01, trials, students, 0.9, not_finite, decides, why)


def test_screening_is_judged_from_twenty_trials_on() -> None:
    few = proxies.of_proxies([worth("params", 19, 9, decides=True), worth("nwot", 19, 9, decides=False)])
    assert few.endswith("cannot be told: 19 trials of 9 students finished, not 20 of at least 8.")
    sizes = [worth("params", 30, 9, decides=True), worth("macs", 30, 9, decides=True)]
    found = [*sizes, worth("nwot", 30, 9, decides=True), worth("diswot", 30, 9, decides=False)]
    assert proxies.of_proxies(found) == "Nwot orders students beyond what their size says."
    assert proxies.of_proxies(found[::3]).startswith("No score without training orders students beyond")
    assert [proxies.verdict(each) for each in found] == [
        "size",
        "size",
        "orders students beyond their size",
        "what it says beyond size may be chance",
    ]
    assert proxies.of_proxies([]) == ""


def test_what_screening_left_out_is_told(fabricate: Fabricate) -> None:
    store = fabricate(trials=60)
    store.records.screening.left_out = {"snip": "snip reads convolutions; this student has none"}
    store.records.screen[0] = dataclasses.replace(store.records.screen[0], not_finite=("nwot",))
    words = Page(render(store)).words
    assert "Snip was left out: snip reads convolutions; this student has none." in words
    assert "Nwot gave no finite number for 1 student, which count as its worst." in words
