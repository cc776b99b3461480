"""Lines where there is no terminal."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import subprocess
import sys

import pytest

from autokd.cli import progress
from autokd.lines import LineNotifier, line_of
from autokd.search.request import Progress, epoch_progress, starting


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_line_at_the_beginning_now_and_then_and_at_the_end(capsys):
    clock = Clock()
    lines = LineNotifier(clock)
    for second, done in ((0, 0), (1, 1), (29, 2), (30, 3), (31, 3), (59, 4), (61, 5), (62, 6)):
        clock.now = float(second)
        lines(Progress(stage="explore", done=done, total=6))
    lines(Progress(stage="confirm", done=0, total=2, best=0.5, failures=1, note="claim ce"))
    lines.finish()
    assert capsys.readouterr().err.splitlines() == [
        "explore: 0/6",
        "explore: 3/6",
        "explore: 5/6",
        "explore: 6/6",
        "confirm: 0/2 best 50.0 %, 1 failed, claim ce",
    ]


def test_a_total_that_is_an_upper_bound_says_so_and_an_empty_stage_nothing(capsys):
    lines = LineNotifier(Clock())
    lines(Progress(stage="explore", done=0, total=0))
    lines(Progress(stage="confirm", done=12, total=171, at_most=True))
    lines(Progress(stage="confirm", done=132, total=132))
    lines.finish()
    assert capsys.readouterr().err.splitlines() == ["confirm: 12 of at most 171", "confirm: 132/132"]


def test_nothing_at_all_when_quiet(capsys):
    with progress.shown(quiet=True) as notify:
        notify(Progress(stage="explore", done=0, total=6))
    assert capsys.readouterr() == ("", "")


def test_training_tells_its_epochs_and_what_is_left(capsys):
    with progress.shown(quiet=False) as notify:
        notify(starting("reading the data"))
        notify(starting("loading the teacher"))
        notify(Progress(stage="train", done=0, total=2, note="epoch 1"))
        line = {"epoch": 1, "epochs": 2, "loss": 0.5, "objective": "accuracy"}
        notify(dataclasses.replace(epoch_progress(line), left=75.0))
        notify(epoch_progress({**line, "epoch": 2, "loss": 0.25, "score": 0.9}))
    assert capsys.readouterr().err.splitlines() == [
        "start: reading the data",
        "start: loading the teacher",
        "train: 0/2 epoch 1",
        "train: 2/2 loss 0.250, validation 90.0 %",
    ]
    assert (
        line_of(dataclasses.replace(epoch_progress(line), left=75.0)) == "train: 1/2 loss 0.500, about 1 min 15 s left"
    )


def test_training_tells_the_metric_that_the_pipeline_is_about():
    line = {"epoch": 1, "epochs": 1, "loss": 0.25, "score": -0.31, "objective": "log_loss"}
    assert line_of(epoch_progress(line)) == "train: 1/1 loss 0.250, validation 0.310 nats"


def test_the_log_shows_warnings_only_unless_verbose_and_is_left_as_it_was(capsys):
    log = logging.getLogger("autokd")
    before = (log.level, list(log.handlers))
    for verbose in (False, True):
        with progress.logging_to_stderr(verbose=verbose):
            log.info("a detail")
            log.warning("a warning")
    assert capsys.readouterr().err.splitlines() == ["WARNING: a warning", "INFO: a detail", "WARNING: a warning"]
    assert (log.level, list(log.handlers)) == before


STANDS = """
from autokd.cli import progress
from autokd.search.request import Progress
with progress.shown(quiet=False) as notify:
    notify(Progress(stage="noise", done=0, total=0))
    notify(Progress(stage="screen", done=4, total=4, note="x" * 200))
    for done in range(6):
        notify(Progress(stage="explore", done=done, total=5, best=0.912, failures=2, note="trial 4"))
    notify(Progress(stage="start", done=0, total=1, note="loading"))
    notify(Progress(stage="train", done=3, total=9, note="loss 0.25", left=75))
    notify(Progress(stage="end", done=0, total=1, note="measuring"))
print("the result")
"""


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are a thing of Unix")
@pytest.mark.parametrize("no_color", [False, True])
def test_bars_on_a_terminal_fit_its_width_and_honour_no_color(no_color):
    import pty

    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm", "COLUMNS": "80"} | ({"NO_COLOR": "1"} if no_color else {})
    reader, writer = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", STANDS], stdout=subprocess.PIPE, stderr=writer, env=environment)
    os.close(writer)
    seen = b""
    while chunk := _read(reader):
        seen += chunk
    os.close(reader)
    with process:
        assert process.stdout is not None and process.stdout.read() == b"the result\n"
    assert process.returncode == 0
    text = seen.decode()
    assert bool(re.search(r"\x1b\[[\d;]*3\d", text)) is not no_color
    lines = re.sub(r"\x1b\[[\d;?]*\w", "", text).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 80
    last = [line for line in lines if line.lstrip().startswith("explore")][-1]
    assert re.search(r"5/5 .*best 91.2 %, 2 failed, t", last)
    assert not any("noise" in line for line in lines)
    assert any(re.search(r"screen .* 4/4 .*xxx", line) for line in lines)
    assert any(re.search(r"train .* 3/9 .*left 1 min 15 s.*loss", line) for line in lines)
    assert any(re.search(r"end .*measuring", line) for line in lines)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end is closed
        return b""
