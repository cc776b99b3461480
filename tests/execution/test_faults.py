"""What a night on a shared machine brings, done for real: the search ends as if nothing had been."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from autokd.study.records import Records
from tests.search.plugins import plugin
from tests.search.processes import (
    FORKED,
    SEARCH,
    ended,
    held_workers,
    records_in,
    release,
    started,
    started_held,
    wait_until,
)
from tests.search.records import comparable
from tests.search.spaces import SPACE, UNSCREENED

pytestmark = pytest.mark.slow
TRIALS = 10

OFTEN = """
import os, random, signal, sys, time
from pathlib import Path
import autokd, torch
from autokd.search import run
from autokd.cli.commands import run_command

command = ["search", "--dataset", "digits", "--limit-train", "64", "--device", "cpu", "--seed", "3", "--study", "mine",
           "--quiet", "--space", *sys.argv[1:]]
records, rng, kills = Path("studies/mine/trials.jsonl"), random.Random(0), 0


def lines():  # but those that every session begins with
    told = records.read_bytes() if records.exists() else b""
    return told.count(b"\\n") - told.count(b'"event": "seconds"')


while kills < 12:
    before, wanted = lines(), rng.randint(0, 7)
    child = os.fork()
    if child == 0:
        os._exit(run_command(command))
    while lines() < before + wanted and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
        break
    kills += 1
late = b'"stage": "select"' in records.read_bytes()
code = run_command(command)
print("kills", kills, "the last in confirm" if late else "all in explore")
sys.exit(code)
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "tiny.yaml"
    path.write_text(SPACE.replace("trials: 8", f"trials: {TRIALS}"))
    return path


def whole_and_once(folder: Path, found: Records) -> None:
    """No trial is left under way, none told twice."""
    assert found.in_flight == [] and len(found.trials) == TRIALS and found.claims
    events = [json.loads(line) for line in (folder / "studies/mine/trials.jsonl").read_bytes().splitlines()]
    for kind, of in (("trial", ("number",)), ("rung", ("number", "rung")), ("promote", ("number", "rung"))):
        told = [tuple(event[name] for name in of) for event in events if event["event"] == kind]
        assert told and len(told) == len(set(told))
    runs = [(r.stage, r.round, r.arm, r.variant, r.seed) for r in found.runs]
    assert len(runs) == len(set(runs))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, space: Path) -> Records:
    folder = tmp_path_factory.mktemp("undisturbed")
    found = ended(folder, started(folder, space))
    whole_and_once(folder, found)
    return found


@pytest.fixture(scope="module")
def with_two_slots(tmp_path_factory: pytest.TempPathFactory, space: Path) -> Records:
    folder = tmp_path_factory.mktemp("two_slots")
    return ended(folder, started(folder, space, "--slots", "2"))


def test_killed_a_dozen_times_from_start_to_confirm(undisturbed: Records, space: Path, tmp_path: Path) -> None:
    found = ended(tmp_path, started(tmp_path, space, code=OFTEN))
    last = (tmp_path / "output.txt").read_text().splitlines()[-1]
    assert last in {f"kills {kills} the last in confirm" for kills in (10, 11, 12)}  # a fast machine may be done before
    assert comparable(found) == comparable(undisturbed)
    whole_and_once(tmp_path, found)


def damage(study: Path) -> None:
    """What a machine that lost its power may leave: a line that is cut off, and checkpoints that lack their end."""
    with (study / "trials.jsonl").open("ab") as file:
        file.write(b'{"event": "rung", "number": 3, "ru')
    checkpoints = list(study.rglob("rung*.pt"))
    assert checkpoints
    for number, path in enumerate(checkpoints):
        path.write_bytes(path.read_bytes()[: -10 * (number + 1)])


def test_two_workers_give_the_same_study_though_all_are_killed_and_their_files_damaged(
    with_two_slots: Records, space: Path, tmp_path: Path
) -> None:
    process = started_held(tmp_path, space, "--workers", "2", event="rung", count=8, code=FORKED + SEARCH)
    both = held_workers(tmp_path)
    assert len(set(both)) == 2
    for pid in (process.pid, *both):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    damage(tmp_path / "studies" / "mine")
    release(tmp_path)
    process = started_held(tmp_path, space, "--workers", "2", event="rung", count=13, code=FORKED + SEARCH)
    os.kill(held_workers(tmp_path)[0], signal.SIGKILL)  # this the search survives
    release(tmp_path)
    found = ended(tmp_path, process)
    assert comparable(found) == comparable(with_two_slots)
    whole_and_once(tmp_path, found)


WAIT, LESS = "stopping once what runs is over; Ctrl-C again to wait less", "stopping at the next epoch; Ctrl-C again to"
STOPPED = "stopped; the same command goes on where this one left off"
STOPS = (
    (4, [(signal.SIGINT, WAIT)]),
    (9, [(signal.SIGINT, WAIT), (signal.SIGINT, LESS)]),
    (14, [(signal.SIGTERM, "")]),
)
"""After so many rungs, the signals, each with what the search says to it."""


def says(output: Path, text: str) -> bool:
    return text in output.read_text()


def test_signals_stop_and_the_same_command_goes_on(undisturbed: Records, space: Path, tmp_path: Path) -> None:
    """One study, stopped three times on its way, each time within a rung."""
    output = tmp_path / "output.txt"
    for rungs, signals in STOPS:
        output.unlink(missing_ok=True)
        process = started_held(tmp_path, space, event="rung", count=rungs)
        for number, said in signals:
            process.send_signal(number)
            wait_until(functools.partial(says, output, said), tmp_path, process)
        release(tmp_path)
        assert process.wait(timeout=300) == 130
        cut = records_in(tmp_path)
        assert not cut.claims and STOPPED in output.read_text()
        assert len(cut.in_flight) <= 1
    found = ended(tmp_path, started(tmp_path, space))
    assert comparable(found) == comparable(undisturbed)
    whole_and_once(tmp_path, found)


def test_a_second_coordinator_is_refused(space: Path, tmp_path: Path) -> None:
    process = started_held(tmp_path, space, event="trial", count=1)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "studies").symlink_to(tmp_path / "studies")
    second = started(tmp_path / "second", space)
    assert second.wait(timeout=300) == 2
    said = (tmp_path / "second" / "output.txt").read_text()
    assert f"mine is being run by another process (host {os.uname().nodename}, process {process.pid}, since" in said
    assert len(said.strip().splitlines()[-1]) < 300 and "Traceback" not in said
    process.kill()
    process.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_loses_nothing(undisturbed: Records, space: Path, tmp_path: Path) -> None:
    disk = tmp_path / "studies"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        process = started(tmp_path, space)
        assert process.wait(timeout=300) == 2
        said = (tmp_path / "output.txt").read_text()
        assert "No space left on device; make room, and the same command goes on" in said and "Traceback" not in said
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        found = ended(tmp_path, started(tmp_path, space))
    finally:
        subprocess.run(["umount", str(disk)], check=False)
    assert comparable(found) == comparable(undisturbed)


BAD = """
warm_starts:
  - {losses: {ce: {weight: 1.0}, t_segfault: {}}}
  - {losses: {ce: {weight: 1.0}, t_nan: {}}}
"""


def test_trials_that_segfault_or_diverge_in_a_worker_are_told_and_survived(tmp_path: Path) -> None:
    """One each: the first costs two workers."""
    text = (
        UNSCREENED.replace("{kd: {}, hint: {}}", "{t_segfault: {}, t_nan: {}}").replace("trials: 8", "trials: 4") + BAD
    )
    (tmp_path / "bad.yaml").write_text(text)
    with plugin() as path:
        options = ["--workers", "1", "--plugins", str(path)]
        found = ended(tmp_path, started(tmp_path, tmp_path / "bad.yaml", *options, code=FORKED + SEARCH))
    kinds = {next(iter(set(t.pipeline["losses"]) - {"ce"}), ""): t.failure for t in found.trials.values()}
    assert len(found.trials) == 4 and found.in_flight == [] and found.claims
    segfault, nan = kinds.get("t_segfault"), kinds.get("t_nan")
    assert segfault is not None and segfault["kind"] == "crash"
    assert nan is not None and nan["kind"] == "not_finite"
