"""What all sides have of a set: data, teacher, limit, full length, and runs as a search would make them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autokd import catalog
from autokd.engine.context import TrainContext
from autokd.engine.memory import keep_freed_memory
from autokd.files import cache_dir
from autokd.recipes.records import RunRow
from autokd.search.prepare import context_of, prepare
from autokd.search.request import Progress, Request
from autokd.search.session import Setup
from autokd.space import find, parse
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from benchmarks.by_hand import components, raw
from benchmarks.by_hand.sets import SETS, BenchmarkSet

PLANS = Path(__file__).parent / "plans.json"
"""Full length of each set, as the search's plan fixed it."""
COLD: Mapping[str, Any] = {"cold": True} if "cold" in Request.__dataclass_fields__ else {}
"""Past studies are about the same sets, so they are not asked; earlier versions have none."""
SHARED = ("teachers", "by_hand", "unpacked")
"""Folders of the cache that all sides share; each has its own bank of teacher answers, so that none inherits any."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A set, ready to train on.

    Args:
      wanted: the set.
      folder: its prepared data.
      setup: as a search prepares it, with runs of the set's full length.
      context: as a search's rungs see it.
    """

    wanted: BenchmarkSet
    folder: Path
    setup: Setup
    context: TrainContext

    @property
    def epochs(self) -> int:
        """Full length."""
        return self.setup.budget.epochs

    def row(self, side: str, pipeline: Mapping[str, Any], **values: Any) -> RunRow:
        """Return the record of a run.

        Args:
          side: who chose the pipeline.
          pipeline: plain.
          values: the other fields of `RunRow` that are the run's own.
        """
        task = self.setup.data.task
        return RunRow(
            dataset=self.wanted.name,
            family=self.wanted.family,
            n_train=task.train_size,
            classes=task.num_classes,
            kind=self.wanted.kind,
            limit={"params": self.wanted.params},
            side=side,
            pipeline=pipeline,
            versions={name: importlib.metadata.version(name) for name in ("autokd", "torch")},
            **values,
        )


def bench(name: str, data: Path, epochs: int, seed: int) -> Bench:
    """Prepare a set.

    Args:
      name: of the set.
      data: folder of the original files.
      epochs: full length.
      seed: of the study.

    Raises:
      Missing: the files are not there.
    """
    keep_freed_memory()
    folder = raw.prepared(name, data)
    asked = request(name, folder, seed, epochs=epochs)
    setup = prepare(asked, _unseen, for_study=False)
    return Bench(wanted=SETS[name], folder=folder, setup=setup, context=context_of(setup, asked))


def request(name: str, folder: Path, seed: int, **values: Any) -> Request:
    """Return what a user would ask of a search on a prepared set, whose teacher is given; past studies are not asked.

    Args:
      name: of the set.
      folder: of its data.
      seed: of the study.
      values: other fields.
    """
    wanted = SETS[name]
    catalog.load_plugins(components.__file__)
    return Request(
        dataset=components.reference(wanted.kind),
        teacher={
            "use": "prepared_teacher",
            "file": str(folder / "set.json"),
            "kind": wanted.kind,
            "epochs": teacher_epochs(wanted.kind),
        },
        max_params=wanted.params,
        device="cpu",
        seed=seed,
        data_dir=folder,
        **COLD,
        **values,
    )


def make_teacher(name: str, data: Path) -> str:
    """Train the set's teacher where it is not in the cache; say what it is."""
    folder, kind = raw.prepared(name, data), SETS[name].kind
    catalog.load_plugins(components.__file__)
    loaded = components.load_prepared(folder, kind)
    return default_teacher.obtain(loaded, Effort(teacher_epochs(kind)), torch.device("cpu")).origin


def teacher_epochs(kind: str) -> int:
    """Return the length of the default teacher's training in the shipped space for a kind of input."""
    text, source = find({"image": "image", "table": "tabular"}[kind])
    return parse(text, source).budget.teacher_epochs


def full_length(name: str) -> int:
    """Return the epochs of a set's full length, as they are recorded."""
    plans = read_plans()
    if name not in plans:
        raise SystemExit(f"{name} is not planned yet; run with --plan first")
    return int(plans[name]["epochs"])


def read_plans() -> dict[str, dict[str, Any]]:
    """Return what was planned, by set; {} before anything was."""
    plans: dict[str, dict[str, Any]] = json.loads(PLANS.read_text(encoding="utf-8")) if PLANS.is_file() else {}
    return plans


@contextlib.contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Use a cache in a folder, with the prepared data and the teachers of the present one, but without its bank."""
    before = os.environ.get("AUTOKD_CACHE")
    for name in SHARED:
        (folder / name).symlink_to(cache_dir(name), target_is_directory=True)
    os.environ["AUTOKD_CACHE"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["AUTOKD_CACHE"]
        else:
            os.environ["AUTOKD_CACHE"] = before


def _unseen(progress: Progress) -> None:
    """Nobody looks."""
