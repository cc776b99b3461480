"""A rung as a job: what goes wrong in it becomes an outcome, and a lost checkpoint costs only time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from autokd.data import Dataset
from autokd.engine.checkpoint import load_checkpoint, load_state, save_state
from autokd.errors import Interrupted
from autokd.execution.executor import RungJob, Stop
from autokd.execution.inline import InlineExecutor
from autokd.execution.run_job import run_job
from tests.search.plugins import plugin
from tests.search.spaces import CPU, context, resolved


@pytest.fixture(autouse=True)
def _plugin(tmp_path: Path) -> Iterator[None]:
    with plugin():
        yield


def job(data: Dataset, *, losses: dict[str, Any] | None = None, until: int = 1, **others: Any) -> RungJob:
    plain = resolved(data).default().plain
    chosen = {**plain, "student": {"use": "cnn", "width": 4, "layers": 2}}
    chosen = chosen if losses is None else {**chosen, "losses": losses}
    return RungJob(pipeline=chosen, seed=1, view_seed=2, horizon=4, until=until, **others)


@pytest.mark.parametrize(
    ("loss", "kind", "reason"),
    [
        ("t_raises", "error", "RuntimeError: this loss raises"),
        ("t_nan", "not_finite", "the training loss became nan in epoch 1"),
        ("t_memory", "out_of_memory", "this loss needs 80 GB"),
        ("t_host_memory", "out_of_memory", "MemoryError"),
        ("t_cpu_allocator", "out_of_memory", "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory"),
        ("t_unbuilt", "error", "ValueError: this loss cannot be built"),
        ("nobody", "error", "ComponentError: losses.bad.use: there is no loss called 'nobody'"),
    ],
)
def test_what_goes_wrong_is_an_outcome_with_its_reason(digits: Dataset, loss: str, kind: str, reason: str) -> None:
    outcome = run_job(context(digits), job(digits, losses={"bad": {"use": loss}}))
    assert outcome.result is None and outcome.failure is not None
    assert outcome.failure["kind"] == kind
    assert outcome.failure["reason"].startswith(reason) and "\n" not in outcome.failure["reason"]


def test_a_failure_leaves_the_next_job_alone(digits: Dataset) -> None:
    where = context(digits)
    first = run_job(where, job(digits))
    run_job(where, job(digits, losses={"bad": {"use": "t_raises"}}))
    again = run_job(where, job(digits))
    assert first.result is not None and again.result is not None
    assert first.result.curve == again.result.curve


def test_an_interruption_is_no_outcome(digits: Dataset) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_job(context(digits), job(digits, losses={"bad": {"use": "t_interrupts"}}))


def test_outcomes_come_in_the_order_of_submission(digits: Dataset) -> None:
    executor = InlineExecutor(context(digits))
    executor.submit(job(digits, losses={"bad": {"use": "t_raises"}}))
    executor.submit(job(digits))
    assert executor.collect().failure is not None
    assert executor.collect().result is not None


def trained(data: Dataset, folder: Path, **wanted: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    outcome = run_job(context(data), job(data, student=folder / "student.safetensors", **wanted))
    assert outcome.result is not None
    return outcome.result, load_file(folder / "student.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("damage", ["none", "bare", "missing", "torn", "nonsense", "flipped", "other", "format"])
def test_a_rung_is_the_same_with_and_without_its_checkpoint(digits: Dataset, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "0001" / "rung0.pt"
    run_job(context(digits), job(digits, until=2, save=file))
    whole, expected = trained(digits, tmp_path, until=4)
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    bad = {"torn": content[:-100], "nonsense": b"x" * 1000, "flipped": bytes(flipped)}
    if damage == "missing":
        file.unlink()
    elif damage == "bare":  # as it was written before there were checksums
        torch.save(load_state(file, CPU), file)
    elif damage == "other":
        torch.save([1, 2], file)
    elif damage == "format":
        save_state(file, {**(load_state(file, CPU) or {}), "format": 99})
    elif damage in bad:
        file.write_bytes(bad[damage])
    result, student = trained(digits, tmp_path, until=4, load=file)
    assert same(student, expected)
    assert [line["epoch"] for line in result.curve] == ([3, 4] if damage in ("none", "bare") else [1, 2, 3, 4])
    assert (result.score, result.loss) == (whole.score, whole.loss)
    assert file.with_suffix(".damaged").exists() == (damage in ("torn", "nonsense", "flipped", "other"))


@pytest.mark.parametrize(("until", "branch"), [(4, 0.0), (3, 0.25), (2, 0.25)])
def test_a_rung_that_is_left_goes_on_where_it_was(digits: Dataset, tmp_path: Path, until: int, branch: float) -> None:
    whole, expected = trained(digits, tmp_path, until=until, branch=branch)
    cut = tmp_path / "0001" / "cut.pt"
    epochs: list[Mapping[str, Any]] = []
    with pytest.raises(Interrupted):
        left = job(digits, until=until, branch=branch, cut=cut)
        run_job(context(digits), left, epochs.append, lambda: len(epochs) == 2)
    assert cut.exists()
    result, student = trained(digits, tmp_path, until=until, branch=branch, cut=cut)
    assert same(student, expected) and not cut.exists()
    assert (result.score, result.curve) == (whole.score, whole.curve)
    assert [line.get("branch") for line in result.curve] == [None] * (until - 1) + [result.score if branch else None]


def test_nothing_begins_once_the_search_is_to_stop(digits: Dataset) -> None:
    executor = InlineExecutor(context(digits), stop=Stop(draining=True))
    executor.submit(job(digits))
    with pytest.raises(Interrupted):
        executor.collect()


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a" / "rung0.pt"
    save_state(file, {"format": 1, "seen": 1})
    monkeypatch.setattr(os, "fsync", lambda handle: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_state(file, {"format": 1, "seen": 2})
    assert load_checkpoint(file, CPU) == {"format": 1, "seen": 1}


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"format": 1, "seen": Evil()}, tmp_path / "rung0.pt")
    assert load_checkpoint(tmp_path / "rung0.pt", CPU) is None
    assert not (tmp_path / "touched").exists()
