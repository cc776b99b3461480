"""The prepared sets and their default teachers as components, so that a search loads them by name like any other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from autokd.data import DataOptions, load
from autokd.data import Dataset as LoadedDataset
from autokd.data_types import DataContext, Raw
from autokd.declarations import Dataset, Teacher
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from autokd.teaching.taught import load_described
from autokd.types import IMAGE, TABLE, BuildContext
from autokd.types import Teacher as AnyTeacher
from benchmarks.by_hand import raw


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What prepared sets of all kinds have in common."""

    data_dir: str | None = None  # the set's folder

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        return raw.read(Path(str(self.data_dir)))


@dataclass(frozen=True, kw_only=True)
class PreparedImages(_Prepared):
    """A prepared set of images."""

    declares = Dataset(name="prepared_images", modality="image", default_space="image")


@dataclass(frozen=True, kw_only=True)
class PreparedTable(_Prepared):
    """A prepared table."""

    declares = Dataset(name="prepared_table", modality="table", default_space="tabular")


@dataclass(frozen=True, kw_only=True)
class PreparedTeacher:
    """The default teacher of a prepared set, handed over as a given one: its training costs the search nothing."""

    declares = Teacher(name="prepared_teacher", modalities=IMAGE | TABLE)

    file: str  # set.json of the set's folder
    kind: str  # of input
    epochs: int  # that it was trained for

    def build(self, context: BuildContext) -> AnyTeacher:
        """Return it from the cache, or train it now."""
        data = load_prepared(Path(self.file).parent, self.kind)
        return load_described(default_teacher.reference(Effort(self.epochs)), data, torch.device("cpu"))


def reference(kind: str) -> str:
    """Return the name under which a search finds prepared data of a kind."""
    return {"image": "prepared_images", "table": "prepared_table"}[kind]


def load_prepared(folder: Path, kind: str, seed: int = 0) -> LoadedDataset:
    """Return a prepared set, ready to train on."""
    return load(reference(kind), DataOptions(data_dir=folder, seed=seed))
