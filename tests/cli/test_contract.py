"""What holds for every command: quick help, exit codes, what goes to which stream, internal errors."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import autokd
from autokd.cli import commands as cli
from autokd.search.explore.explorer import Explorer
from autokd.search.session import Session

COMMANDS = (
    "search",
    "recommend",
    "report",
    "export",
    "train",
    "predict",
    "screen",
    "list",
    "describe",
    "check",
    "studies",
    "trials",
    "watch",
    "compare",
    "learn",
    "knowledge",
)
HEAVY = ("torch", "pandas", "numpy", "optuna", "sklearn", "plotly", "yaml")


def test_every_command_has_help_and_none_is_missing(run):
    ran = run("--help")
    assert ran.code == 0 and ran.err == ""
    assert [name for name in COMMANDS if not re.search(rf"^\W*{name} ", ran.out, re.MULTILINE)] == []
    for command in COMMANDS:
        ran = run(command, "--help")
        assert ran.code == 0 and f"autokd {command}" in ran.out


def test_help_imports_nothing_heavy_and_is_quick():
    script = (
        "import sys, time; from autokd.cli.commands import run_command; run_command(['search', '--help']);"
        f"print(time.process_time(), [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.splitlines()[-1].split(maxsplit=1)
    assert heavy == "[]"
    assert float(seconds) < 1.0  # of computing, Python's own start included; 0.2 where this was written


def test_version(run):
    assert run("--version") == (0, f"autokd {autokd.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch"], "Did you mean 'search'?"),
        (["search", "--tials", "3"], "--trials"),
        (["search", "--trials", "0"], "--trials"),
        (["search", "--seed", "-1"], "--seed"),
        (["describe", "losses"], "name"),
    ],
)
def test_usage_errors_exit_2_and_go_to_stderr(run, arguments, message):
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "") and message in ran.err


def test_internal_error_outside_a_study_names_a_file_with_the_traceback(run, monkeypatch):
    def broken(kind: str) -> list[str]:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("autokd.catalog.names", broken)
    ran = run("list", "losses")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: internal error: ZeroDivisionError: a mistake of ours\nthe traceback is in ")
    path = Path(ran.err.rpartition("the traceback is in ")[2].strip())
    assert "in broken" in path.read_text(encoding="utf-8")
    path.unlink()


def test_internal_error_of_a_search_leaves_the_traceback_in_the_studys_log(run, monkeypatch):
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(Explorer, "run", broken)
    ran = run("search", "--dataset", "wine", "--space", "space.yaml", "--quiet")
    log = Path("studies", "wine", "log.txt")
    assert ran == (1, "", f"error: internal error: ZeroDivisionError: a mistake of ours\nthe traceback is in {log}\n")
    assert "in broken" in log.read_text(encoding="utf-8")


def test_what_the_disk_refuses_is_one_line(run, study):
    Path("taken").write_text("", encoding="utf-8")
    ran = run("export", "wine", "-o", "taken/pipeline.yaml")
    assert ran == (2, "", "error: cannot write taken/pipeline.yaml: File exists\n")


def test_a_reader_that_leaves_early_is_no_error(study):
    command = [sys.executable, "-m", "autokd", "list", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


def test_no_colour_and_no_bars_off_a_terminal(run, study, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "")
    for arguments in (["trials", "wine"], ["studies"], ["describe", "losses", "kd"]):
        assert "\x1b" not in run(*arguments).out
    ran = run("search", "--dataset", "wine", "--space", "space.yaml", "--trials", "4")
    assert ran.code == 0 and "\x1b" not in ran.out + ran.err and "\r" not in ran.err
    lines = [line for line in ran.err.splitlines() if line.startswith("explore: 4/4")]
    assert len(lines) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_exits_130_says_how_to_go_on_and_the_same_command_does(run, monkeypatch):
    asked = ("search", "--dataset", "wine", "--space", "space.yaml", "--trials", "4", "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr(Session, "on_change", _interrupted_once(2))
        ran = run(*asked)
    said = "stopping once what runs is over; Ctrl-C again to wait less\n"
    assert ran == (130, "", f"{said}error: stopped; the same command goes on where this one left off\n")
    assert json.loads(run("studies", "--json").out)[0]["state"] == "unfinished"
    before = json.loads(run("trials", "wine", "--json").out)
    ran = run(*asked)
    after = json.loads(run("trials", "wine", "--json").out)
    assert ran.code == 0 and len(after) == 4 and after[0] == before[0]


def _interrupted_once(trials: int):
    """What sends one Ctrl-C once there are so many trials; a second one could meet what runs next."""
    sent: list[int] = []

    def look(session) -> None:
        if not sent and len(session.store.records.trials) == trials:
            sent.append(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    return look


def test_main_exits_with_the_code(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["autokd", "list", "nothing"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
