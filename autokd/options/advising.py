"""The options of recommending without a search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from autokd.options.groups import Overwrite
from autokd.options.option import Option


@dataclass(frozen=True, kw_only=True)
class Advising:
    """What is recommended, and what becomes of it."""

    objective: Annotated[str | None, Option("Metric that the student is to be good at (accuracy, macro_f1, …).")] = None
    epochs: Annotated[int | None, Option("Epochs of full training. Default: those of the space file.", minimum=1)] = (
        None
    )
    top: Annotated[int, Option("Number of pipelines.", minimum=1)] = 5
    out: Annotated[
        Path | str | None,
        Option("Folder to write a pipeline file for each to, for autokd train.", flags=("--output", "-o")),
    ] = None
    overwrite: Overwrite = False
    train: Annotated[
        bool, Option("Also train the first one, KD by hand and the student alone, and compare them on validation.")
    ] = False
    seeds: Annotated[int, Option("With --train: seeds of each.", minimum=1)] = 1
