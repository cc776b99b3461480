"""A component in one file of the user's own: `--plugins FILE.py`, searched, resumed, exported and trained."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LOSS = '''\
"""Mean squared difference of the logits (Ba and Caruana, NeurIPS 2014, arXiv 1312.6184, eq. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from autokd.declarations import Loss, Scale
from autokd.losses.common import teacher_of
from autokd.ranges import Real
from autokd.types import BuildContext, Step, Term


@dataclass(frozen=True, kw_only=True)
class LogitDifference:
    """Half the mean over classes of the squared difference."""

    declares = Loss(name="logit_difference", teacher="stored", scale=Scale(1.0, "that of ce"))

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # of the term

    def build(self, context: BuildContext) -> Term:
        """Return [B]."""
        return lambda step: (step.student.logits - teacher_of(step).logits).square().mean(-1) / 2
'''


@pytest.fixture
def plugin(here: Path) -> Iterator[list[str]]:
    """The options that bring the loss along; the file is forgotten after the test."""
    (here / "my_loss.py").write_text(LOSS, encoding="utf-8")
    text = (here / "space.yaml").read_text(encoding="utf-8")
    before, after = "any_of: {at_most: 1, from: {kd: {}}}", "any_of: {at_most: 0, from: {kd: {}}}"
    wanted = text.replace("label_smoothing: 0.0}}", "label_smoothing: 0.0}, logit_difference: {}}")
    assert before in wanted and "logit_difference" in wanted
    (here / "my_space.yaml").write_text(wanted.replace(before, after), encoding="utf-8")
    yield ["--plugins", "my_loss.py"]
    forget()


def forget() -> None:
    """Forget the plug-in files imported so far, as a new process would."""
    for name in [name for name in sys.modules if name.startswith("autokd_plugin_")]:
        del sys.modules[name]


@pytest.mark.slow
def test_a_loss_of_ones_own_from_search_to_bundle(run, here, plugin):
    asked = ["search", "--dataset", "wine", "--space", "my_space.yaml", "--quiet"]
    without = run(*asked)
    assert without.code == 2 and "no loss called 'logit_difference'" in without.err
    assert run("check", "my_space.yaml", *plugin).code == 0
    assert json.loads(run("describe", "losses", "logit_difference", "--json", *plugin).out)["source"].startswith("Mean")

    assert run(*asked, *plugin).code == 0
    assert run(*asked, *plugin, "--trials", "4").code == 0
    trials = json.loads(run("trials", "wine", "--json").out)
    mine = [trial for trial in trials if "logit_difference" in trial["pipeline"]["losses"]]
    assert len(trials) == 4 and len(mine) == 2 and all(trial["state"] == "complete" for trial in mine)

    assert run("export", "wine", "--trial", str(mine[0]["number"])).code == 0
    forget()
    assert run("trials", "wine").code == 0 and run("report", "wine").code == 0, "what is there can be read without it"
    without = run("train", "pipeline.yaml", "--epochs", "1")
    assert without.code == 2 and "logit_difference" in without.err
    assert run("train", "pipeline.yaml", "--epochs", "1", *plugin, "--quiet").code == 0


def test_a_plugin_whose_import_needs_torchvision_is_tried_again(run, here, plugin, monkeypatch):
    monkeypatch.setattr("autokd.compat.torchvision", lambda: calls.append("mended"))
    calls: list[str] = []
    monkeypatch.setattr("autokd.compat.calls", calls, raising=False)
    fails = (
        "from autokd import compat\nif not compat.calls: raise RuntimeError('operator torchvision::nms does not exist')"
    )
    (here / "my_loss.py").write_text(LOSS.replace("from typing", f"{fails}\nfrom typing"), encoding="utf-8")
    ran = run("list", "losses", *plugin)
    assert (ran.code, calls) == (0, ["mended"]) and "logit_difference" in ran.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "no component in it; a component is a frozen dataclass with a build method"),
        (LOSS.replace("declares = Loss(name", "declares = Loss(nam"), "unexpected keyword argument 'nam'"),
        (LOSS.replace('"stored"', '"Stored"'), "Loss(teacher='Stored'): there is no 'Stored'; did you mean 'stored'?"),
    ],
)
def test_a_plugin_file_that_cannot_be_used(run, here, text, message):
    (here / "broken_plugin.py").write_text(text, encoding="utf-8")
    ran = run("list", "losses", "--plugins", "broken_plugin.py")
    assert (ran.code, ran.out) == (2, "") and message in ran.err and "Traceback" not in ran.err
