"""The recommended pipeline on fresh seeds at full length, and its answers on test, which no side has seen before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.torch import load_file

from autokd.engine.build import build_student
from autokd.engine.evaluate import predict
from autokd.engine.views import to_device
from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.networks.models import seeded
from autokd.seeds import derive
from autokd.spec import fingerprint, from_plain
from benchmarks.by_hand.answers import Answer, FreshRun, packed
from benchmarks.by_hand.bench import Bench
from benchmarks.by_hand.tuning import Candidate

RUNS = 3


class Trained(NamedTuple):
    """A fresh run, and its seconds; 0 where it was known."""

    tested: FreshRun
    seconds: float


def fresh_runs(
    bench: Bench, candidate: Candidate, seed: int, known: Iterable[Answer], runs: int = RUNS
) -> list[Trained]:
    """Train a pipeline on the study's fresh seeds, the same for every side, and read test.

    Args:
      bench: the set.
      candidate: the pipeline.
      seed: of the study.
      known: answers whose runs are taken where they are the same ones.
      runs: how many.
    """
    there = {
        (fingerprint(dict(answer.pipeline)), run.seed): run
        for answer in known
        if (answer.set, answer.epochs) == (bench.wanted.name, bench.epochs)
        for run in answer.tested
    }
    seeds = [derive(seed, "by hand", "test", number) for number in range(runs)]
    return [
        Trained(there[candidate.key, each], 0.0) if (candidate.key, each) in there else _run(bench, candidate, each)
        for each in seeds
    ]


def _run(bench: Bench, candidate: Candidate, seed: int) -> Trained:
    """One run; one that fails is right nowhere."""
    data, epochs = bench.setup.data, bench.epochs
    labels = data.read_test().labels
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.safetensors"
        job = RungJob(
            pipeline=candidate.pipeline, seed=seed, view_seed=seed, horizon=epochs, until=epochs, student=file
        )
        result = run_job(bench.context, job).result
        if result is None:
            nowhere = np.zeros(len(labels), dtype=bool)
            return Trained(
                FreshRun(seed=seed, validation=0.0, test=0.0, correct=packed(nowhere), items=len(labels)), 0.0
            )
        spec = from_plain(candidate.pipeline)
        with seeded(seed):
            student = build_student(spec.student, data.task, head=spec.head, teacher=bench.setup.offers)
        student.load_state_dict(load_file(file))
    logits = predict(student, to_device(data.read_test(), data.task, bench.setup.device))
    right = (logits.argmax(1) == labels).numpy()
    tested = FreshRun(
        seed=seed,
        validation=result.score,
        test=float(right.mean()),
        correct=packed(right),
        items=len(labels),
    )
    return Trained(tested, result.seconds)
