"""What docs/methods.md says of the losses is what their code says, and what the recorded runs gave."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from autokd import catalog

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
LOSSES = [path.stem[1:] for path in sorted((ROOT / "autokd" / "losses").glob("_[a-z]*.py"))]
OF_MEMBERS = [name for name in LOSSES if catalog.load("losses", name).declares.members]
OF_PEERS = [name for name in LOSSES if catalog.load("losses", name).declares.teacher == "peer"]
"""Losses that read a second network that trains beside the student: measured apart, with one."""
FOR_RARE = [name for name in LOSSES if catalog.load("losses", name).declares.replaces]
"""Losses in place of cross-entropy, for data with rare classes: measured by `benchmarks.imbalance`."""
needs_benchmarks = pytest.mark.skipif(
    not (ROOT / "benchmarks" / "losses.py").is_file(), reason="the benchmarks are not part of this copy"
)


def between(name: str) -> str:
    return PAGE.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- end of {name} -->")[0]


def cells_of(name: str) -> list[str]:
    (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", between("losses"), re.MULTILINE)
    return row.split(" | ")


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_methods", ROOT / "docs" / "methods.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_loss_is_listed_once() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", between("losses"), re.MULTILINE)) == LOSSES
    assert set(LOSSES) <= set(catalog.names("losses"))


@pytest.mark.parametrize("name", LOSSES)
def test_the_source_is_that_of_the_module(name: str) -> None:
    text = (ROOT / "autokd" / "losses" / f"_{name}.py").read_text(encoding="utf-8")
    first = text.removeprefix('"""').partition("\n\n")[0].partition('"""')[0]
    assert cells_of(name)[1] == " ".join(first.split())


@pytest.mark.parametrize(
    ("name", "reads", "step", "weight"),
    [
        ("kd", "teacher: logits", "x1", "1; T² KL is in nats like ce; published mixtures use 0.5 to 0.9"),
        ("reviewkd", "teacher: features, pooled; student: features, pooled", "x2", "1; published by pair: 0.6"),
        ("dist", "teacher: logits; the whole batch", "x1", "2; published weight of both terms"),
        ("pkt", "teacher: pooled; student: pooled; the whole batch", "x1", "30000; weight in the CRD benchmark"),
        ("uskd", "student: features", "x1", "1; published: alpha, beta and mu are the weights"),
        ("tfkd", "labels", "x1", "0.1; published alpha"),
        ("attention_relation", "teacher: attention; student: attention", "x1.2", "1; weight of each of the three"),
    ],
)
def test_what_a_loss_reads_costs_and_weighs(name: str, reads: str, step: str, weight: str) -> None:
    assert cells_of(name)[2:4] == [reads, step]
    assert cells_of(name)[4].startswith(weight)


@needs_benchmarks
def test_the_page_is_up_to_date() -> None:
    assert script().page(PAGE) == PAGE


@needs_benchmarks
def test_the_tables_are_those_of_the_recorded_runs() -> None:
    losses = script().losses
    files = sorted((ROOT / "benchmarks").glob("losses-*.jsonl"))
    datasets = {file.stem.removeprefix("losses-") for file in files} - {"cost"}
    assert datasets == set(script().DATASETS)
    for dataset in datasets:
        runs = losses.read(ROOT / "benchmarks" / f"losses-{dataset}.jsonl")
        assert between(dataset).strip() == losses.table(runs)
        names = {name for name, _ in runs}
        if dataset.endswith("-peer"):
            assert names == {losses.ALONE, "dml", "kd", "kd + dml"}
            continue
        on_tokens = {"attention_relation", "communication", "rdist"}  # which these students have none of
        assert names == {*LOSSES, losses.ALONE} - {"ce", *on_tokens, *OF_PEERS, *OF_MEMBERS, *FOR_RARE}
        assert {seed for _, seed in runs} == {0, 1, 2} and len(runs) == 3 * len(names)


@needs_benchmarks
def test_a_table_of_known_runs() -> None:
    losses = script().losses
    runs = {
        (losses.ALONE, 0): {"accuracy": 0.5, "seconds": 10.0},
        (losses.ALONE, 1): {"accuracy": 0.6, "seconds": 12.0},
        ("kd", 0): {"accuracy": 0.7, "seconds": 20.0},
    }
    assert losses.table(runs).splitlines()[2:] == [
        "| kd | 70.0 (n=1) | +15.0 | 20 |",
        "| (student alone) | 55.0 ± 7.1 (n=2) | +0.0 | 11 |",
    ]


@needs_benchmarks
def test_the_declared_costs_are_the_measured_ones() -> None:
    losses = script().losses
    lines = losses.lines(ROOT / "benchmarks" / "losses-cost.jsonl")
    assert [line["loss"] for line in lines] == LOSSES
    for line in lines:
        assert catalog.load("losses", line["loss"]).declares.cost == losses.cost_class(line["ratio"]) == line["cost"]
    bounds = {0.97: 1.0, 1.09: 1.0, 1.1: 1.2, 1.29: 1.2, 1.3: 1.6, 1.99: 1.6, 2.0: 2.0, 5.0: 2.0}
    assert {ratio: losses.cost_class(ratio) for ratio in bounds} == bounds
