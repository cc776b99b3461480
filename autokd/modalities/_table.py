"""Tables: one row a sample, columns of numbers and of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from pandas import DataFrame
from torch import Tensor

from autokd.batching import single
from autokd.declarations import Modality
from autokd.input_kind import InputKind
from autokd.input_values import Feed, OnnxForm, Preview, ReadInputs, Suspects, TeacherRecipe
from autokd.modalities.fitting import fit_columns
from autokd.modalities.foreign_rows import as_read_by_others
from autokd.modalities.made_rows import Rows, make_rows
from autokd.modalities.rows import TablePreprocess, form_of, given_rows, read_all_columns, read_rows, table_preprocess
from autokd.modalities.table_graph import table_form
from autokd.modalities.telling import telling_columns
from autokd.nodes import Nodes
from autokd.types import BuildContext, Inputs, Split, Task

MEMBERS = 5
"""Networks of a default teacher."""
SIZES: Mapping[str, tuple[int, int]] = {"large": (3, 128)}
"""Depth and width of a default teacher's networks by name."""


@dataclass(frozen=True, kw_only=True)
class Table(InputKind):
    """Stored as float32, standardised numbers and one-hot categories, and seen by a network as they are."""

    declares = Modality(noun="table", default_space="tabular")
    teacher_networks: ClassVar[tuple[str, ...]] = tuple(SIZES)
    as_table = staticmethod(as_read_by_others)

    def fit(self, raw: DataFrame, classes: tuple[str, ...]) -> tuple[TablePreprocess, dict[str, str]]:
        """Fit the columns; see `InputKind.fit`."""
        columns, dropped = fit_columns(raw)
        return TablePreprocess(classes=classes, columns=columns), dropped

    def kept(self, preprocess: TablePreprocess, reading: str | None) -> TablePreprocess:
        """Return a preprocessing that reads files in the encoding of its dataset; see `InputKind.kept`."""
        return replace(preprocess, encoding=reading)

    def in_encoding(self, preprocess: TablePreprocess, encoding: str) -> TablePreprocess:
        """Return a preprocessing that reads tables in an encoding; see `InputKind.in_encoding`."""
        return replace(preprocess, encoding=encoding)

    def restore(self, plain: dict[str, Any]) -> TablePreprocess:
        """Inverse of `TablePreprocess.to_json`; see `InputKind.restore`."""
        return table_preprocess(plain)

    def take(self, raw: DataFrame, rows: Any) -> DataFrame:
        """Return the rows at some positions."""
        taken: DataFrame = raw.iloc[rows]
        return taken

    def read(self, preprocess: TablePreprocess, paths: Sequence[Path], *, skip_bad: bool) -> ReadInputs:
        """Read CSV, TSV and Parquet files; see `InputKind.read`."""
        return read_rows(preprocess, paths, skip_bad=skip_bad)

    def read_unlabelled(self, preprocess: TablePreprocess, path: Path, like: DataFrame) -> ReadInputs:
        """Read a table file, all its columns; see `InputKind.read_unlabelled`."""
        return read_all_columns(preprocess, path, like)

    def made_rows(self, preprocess: TablePreprocess, raw: DataFrame, asked: str, seed: int) -> ReadInputs:
        """Make rows by swap noise or MUNGE; see `InputKind.made_rows`."""
        made = make_rows(Rows(raw, preprocess.columns, preprocess.apply(raw)), asked, seed)
        return ReadInputs(range(len(made)), made)

    def given(self, preprocess: TablePreprocess, samples: Any, *, skip_bad: bool) -> ReadInputs:
        """Take a table, rows by column name, or an array where the columns are numbered; see `InputKind.given`."""
        return given_rows(preprocess, samples, skip_bad=skip_bad)

    def describe(self, preprocess: TablePreprocess) -> Mapping[str, Any]:
        """Return what each column holds, by name; see `InputKind.describe`."""
        columns = {column.name: column.about for column in preprocess.columns}
        return {"form": form_of(preprocess), "columns": columns}

    def groups(self, preprocess: TablePreprocess) -> tuple[int, ...]:
        """Return the number of values of each category, and 1 for what is a number; see `InputKind.groups`."""
        return tuple(width for column in preprocess.columns for width in column.groups)

    def onnx_form(self, preprocess: TablePreprocess, nodes: Nodes) -> OnnxForm:
        """Write an input a column; see `InputKind.onnx_form`."""
        return table_form(preprocess, nodes)

    def build(self, context: BuildContext) -> Feed:
        """Return how rows get to a network."""
        task = context.task
        return Feed(
            example=partial(_example, task.input_shape),
            constants={
                "mean": torch.tensor(task.mean or (0.0,)).reshape(1, -1),
                "std": torch.tensor(task.std or (1.0,)).reshape(1, -1),
            },
            to_view=_as_it_is,
            to_network=_normalise,
            lay_out=lambda network: network,
        )

    def preview(self, preprocess: TablePreprocess, inputs: Inputs) -> Preview:
        """Return the columns as they were read; see `InputKind.preview`."""
        return Preview(columns=tuple((column.name, column.about, column.gaps) for column in preprocess.columns))

    def suspects(self, preprocess: TablePreprocess, train: Split, held: Split) -> Suspects:
        """Find columns that give the class away; see `InputKind.suspects`."""
        return Suspects(telling=telling_columns(preprocess, train, held))

    def numbers(self, inputs: Inputs) -> Tensor:
        """Return the rows as a network sees them, before normalisation; see `InputKind.numbers`."""
        return single(inputs).cpu().float()

    def teacher_recipe(self, task: Task, network: str) -> TeacherRecipe:
        """Return an ensemble of perceptrons, with trees beside; see `InputKind.teacher_recipe`."""
        depth, width = SIZES[network]
        pipeline = {
            "format": 1,
            "student": {"use": "mlp", "depth": depth, "width": width, "dropout": 0.1},
            "augment": {"use": "none"},
            "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
            "optimizer": {"use": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2},
            "schedule": {"use": "one_cycle"},
            "batch_size": 64,
        }
        return TeacherRecipe("MLPs", (pipeline,), members=MEMBERS, trees=("gradient boosting", "forest"))

    def reference_pipeline(self, task: Task) -> Mapping[str, Any]:
        """Return a small perceptron; see `InputKind.reference_pipeline`."""
        return {
            "format": 1,
            "student": {"use": "mlp", "depth": 2, "width": 32},
            "augment": {"use": "none"},
            "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
            "optimizer": {"use": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-2},
            "schedule": {"use": "one_cycle"},
            "batch_size": 64,
        }


def _example(shape: tuple[int, ...], n: int, generator: torch.Generator | None) -> Tensor:
    return torch.zeros(n, *shape) if generator is None else torch.rand(n, *shape, generator=generator)


def _as_it_is(stored: Inputs) -> Inputs:
    return stored


def _normalise(inputs: Inputs, constants: Mapping[str, Tensor]) -> Tensor:
    """Subtract the mean and divide by the standard deviation where there are such; a copy in any case."""
    return (single(inputs) - constants["mean"]) / constants["std"]
