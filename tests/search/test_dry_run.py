"""What a search expects of the teacher bank, and what it tells of it and of its time."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner, Result

from autokd.cli.commands import app
from autokd.engine.profile import PARTS
from autokd.engine.rung import run_samples
from autokd.engine.teacher_bank import block_bytes
from autokd.recipes import portfolio
from autokd.search import dry_run
from autokd.search.dry_run import BankPlan, plan, plan_bank
from autokd.search.prepare import prepare
from autokd.search.request import Request
from autokd.search.rungs import rung_plan, trial_epochs
from autokd.search.session import Setup
from autokd.search.work import Costs
from autokd.space import parse
from autokd.study.records import RecordLog, Records
from tests.search.spaces import SPACE, UNSCREENED

NARROW = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import nn

from autokd.declarations import Student
from autokd.ranges import Choice
from autokd.spec import make
from autokd.types import IMAGE


class Net(nn.Module):
    def __init__(self, network, most):
        super().__init__()
        self.network, self.most = network, most

    def forward(self, x):
        if self.training and not x.is_meta and torch.is_grad_enabled() and len(x) > self.most:
            raise torch.OutOfMemoryError(f"tried to hold {len(x)} samples")
        return self.network(x)


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """A student for which memory runs out above `most` samples."""

    declares = Student(name="t_narrow", modalities=IMAGE)

    most: Annotated[int, Choice(0, 16)] = 16

    def build(self, context):
        return Net(make("students", "cnn", {"layers": 2, "width": 16}).build(context), self.most)
'''
BRIEF = UNSCREENED.replace("finalists: 2, select_seeds: 2", "finalists: 1, select_seeds: 1")
WITH_NARROW = BRIEF.replace("    cnn:", "    t_narrow: {}\n    cnn:").replace("params: 4000", "params: 40000") + (
    "warm_starts:\n  - student: {use: t_narrow, most: 0}\n  - student: {use: t_narrow, most: 16}\n"
)
COMMAND = [
    *("search", "--dataset", "digits", "--limit-train", "64", "--device", "cpu", "--seed", "3"),
    *("--space", "tiny.yaml", "--plugins", "narrow.py"),
]


class Done(NamedTuple):
    """A search by command line: what it printed and recorded."""

    result: Result
    records: Records
    planned: Result


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("profiled")
    (folder / "tiny.yaml").write_text(WITH_NARROW)
    (folder / "narrow.py").write_text(NARROW)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUTOKD_CACHE", str(folder / "cache"))
        planned = CliRunner().invoke(app, [*COMMAND, "--dry-run"])
        assert not (folder / "studies").exists()
        result = CliRunner().invoke(app, [*COMMAND, "--profile"])
        assert result.exit_code == 0, result.output + str(result.exception)
        yield Done(result, RecordLog(Path("studies/digits/trials.jsonl"), read_only=True).records, planned)
    sys.modules.pop("autokd_plugin_narrow", None)


@pytest.mark.slow
def test_the_profile_is_shown_and_recorded(done: Done) -> None:
    (recorded,) = done.records.profile
    assert set(recorded.parts) == set(PARTS)
    assert 0.2 * recorded.total < sum(recorded.parts.values()) <= recorded.total
    table = done.result.stdout.partition("Where the time went")[2]
    rows = dict(re.findall(r"(\w+) .*?(\d+\.\d\d) ", table))
    assert set(rows) == {*PARTS, "other"}
    assert {name: f"{seconds:.2f}" for name, seconds in recorded.parts.items()}.items() <= rows.items()
    shares = [float(share) for share in re.findall(r"(\d+\.\d) %", table)]
    assert sum(shares) == pytest.approx(100, abs=0.6) and shares == sorted(shares, reverse=True)


@pytest.mark.slow
def test_the_plan_of_the_bank_is_told_before_the_first_trial_and_in_a_dry_run(done: Done) -> None:
    lines = [re.search(r"about (\S+) ([kM]B) kept; (\d+) % of epochs", t) for t in outputs(done)]
    assert all(lines)
    assert lines[0] and lines[1] and lines[0].groups() == lines[1].groups()
    assert "nothing was written" in done.planned.stdout
    stages = re.findall(r"^([a-z' ]+): ", done.result.stderr, flags=re.MULTILINE)
    assert stages.index("the teacher's answers") < stages.index("explore")


def outputs(done: Done) -> list[str]:
    return [" ".join(text.split()) for text in (done.planned.stdout, done.result.stderr)]


@pytest.mark.slow
def test_the_bank_is_measured_and_close_to_its_plan(done: Done) -> None:
    (bank,) = done.records.bank
    assert bank.asked == bank.hits + bank.computed > 20 and bank.dropped == 0 and bank.lost_mass == 0.0
    folder = Path("cache/bank")
    files = list(folder.rglob("*.safetensors"))
    assert len(files) == bank.computed
    assert 0 < (bank.nbytes or 0) < sum(file.stat().st_size for file in files)
    assert len(list(folder.glob("*/about.json"))) == bank.groups == bank.policies  # one view seed
    assert not list(folder.rglob("*.tmp")) and not list(folder.glob("users/*"))
    planned = re.search(r"(\d+) % of epochs", outputs(done)[0])
    assert planned is not None and abs(int(planned[1]) / 100 - bank.hit_rate) < 0.25


@pytest.mark.slow
def test_a_trial_without_memory_fails_alone_or_is_cut(done: Done) -> None:
    students = {json.dumps(t.pipeline["student"], sort_keys=True): t for t in done.records.trials.values()}
    none, some = (students[json.dumps({"most": most, "use": "t_narrow"})] for most in (0, 16))
    assert none.failure == {"kind": "out_of_memory", "reason": "tried to hold 1 samples"} and not none.rungs
    assert some.failure is None
    assert {line["micro_batches"] for rung in some.rungs for line in rung.curve} <= {2, 4}
    assert len(done.records.trials) == 8 and done.records.claims


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    path = tmp_path_factory.mktemp("plan") / "tiny.yaml"
    path.write_text(SPACE)
    request = Request(dataset="digits", space=path, limit_train=128, device="cpu", seed=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOKD_CACHE", str(path.parent))
        return prepare(request, lambda at: None, dry=True, for_study=False)


def narrowed(prepared: Setup, text: str, **budget: Any) -> Setup:
    """The same preparation with another space and budget, and hand KD as that space has it."""
    space = parse(text, "test").resolve(prepared.data.task, prepared.offers)
    changed = dataclasses.replace(prepared.budget, **budget)
    identity = dataclasses.replace(prepared.identity, rungs=rung_plan(changed))
    recipes = portfolio(space, prepared.data.task, prepared.offers)
    return dataclasses.replace(prepared, space=space, budget=changed, identity=identity, portfolio=recipes)


FIXED = """
objective: {accuracy: maximize}
student: {always: {cnn: {layers: 1, width: 4}}}
augment: {always: {AUGMENT: {}}}
losses: {always: {ce: {}, LOSS: {}}}
optimizer: {always: {sgd: {}}}
schedule: {always: {cosine: {}}}
batch_size: 32
"""
BUDGET = {
    "trials": 9,
    "epochs": 9,
    "rungs": 3,
    "eta": 3,
    "finalists": 1,
    "select_seeds": 2,
    "claim_seeds": 2,
}


def test_branches_take_their_time_and_their_blocks(prepared: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    text = FIXED.replace("AUGMENT: {}", "crop_flip: {padding: 0.125, flip: true}").replace("LOSS", "kd")
    setups = [narrowed(prepared, text, **BUDGET, branch=branch) for branch in (0.0, 0.5)]
    monkeypatch.setattr(dry_run, "measure_costs", lambda probe: Costs(train=1e-3, answer=1e-4))
    plans = [plan(setup) for setup in setups]
    trials = [7 * run_samples(trial_epochs(s.budget), 9, 128, len(s.data.validation)) for s in setups]
    assert trials[1] - trials[0] >= 7 * 128 * (0.5 * 1 + 0.5 * 3 / 3)
    assert plans[1].seconds - plans[0].seconds == pytest.approx(1e-3 * (trials[1] - trials[0]))
    assert plans[1].bank.nbytes == plans[0].bank.nbytes  # the baseline has been there
    assert plans[1].bank.hit_rate > plans[0].bank.hit_rate


def test_one_policy_needs_a_block_an_epoch(prepared: Setup) -> None:
    text = FIXED.replace("AUGMENT: {}", "crop_flip: {padding: 0.125, flip: true}").replace("LOSS", "kd")
    found = plan_bank(narrowed(prepared, text, **BUDGET, branch=0.0))
    size = block_bytes(prepared.offers, 10, 128, frozenset())
    assert size == 128 * 10 * 2
    assert (found.policies, found.nbytes) == (1, 9 * size)
    # hand KD reads 9 epochs, trials 3 and 6 read 3, the other five of 2 to 8 one; of confirm's runs, of 9 epochs each,
    # two of noise, two of select, six of choose (pick, its KD and the recipe by hand) and eight of claim
    assert found.hit_rate == pytest.approx(1 - 9 / (9 + 2 * 3 + 5 + (2 + 2 + 6 + 8) * 9))


def test_without_randomness_all_epochs_share_one_block(prepared: Setup) -> None:
    found = plan_bank(narrowed(prepared, FIXED.replace("AUGMENT", "none").replace("LOSS", "kd"), **BUDGET))
    assert (found.policies, found.nbytes) == (1, 128 * 10 * 2)
    assert found.hit_rate > 0.97


def test_losses_on_feature_maps_leave_the_bank_to_the_baseline_and_confirm(prepared: Setup) -> None:
    text = FIXED.replace("AUGMENT", "none").replace("LOSS: {}", "hint: {}")
    found = plan_bank(narrowed(prepared, text, **BUDGET))
    assert (found.policies, found.nbytes) == (1, 128 * 10 * 2)


def test_the_embedding_counts_where_a_loss_of_the_space_reads_it(prepared: Setup) -> None:
    text = FIXED.replace("AUGMENT", "none").replace("LOSS", "rkd")
    pooled = prepared.offers.pooled
    assert pooled is not None
    assert plan_bank(narrowed(prepared, text, **BUDGET)).nbytes == 128 * 2 * (10 + pooled)


def test_the_plan_in_words() -> None:
    assert str(BankPlan(1, 1_234_000, 0.876)) == "about 1.23 MB kept; 88 % of epochs find theirs there"
    assert str(BankPlan(3, 2_560, 0.004)) == "about 2.56 kB kept; hardly any epoch asks for the same ones again"
    assert str(BankPlan(0, 0, 0.0)).startswith("none is kept")
