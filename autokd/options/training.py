"""The options of full training; see `autokd.options.groups`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from autokd.options.groups import DataDir, Device, Download, Plugins
from autokd.options.option import Keyword, Option


@dataclass(frozen=True, kw_only=True)
class FullTraining:
    """What `autokd train` and `autokd.train` are asked."""

    pipeline: Annotated[Path | str, Option("A pipeline file.", argument=True)] = dataclasses.field(kw_only=False)
    epochs: Annotated[int | None, Option("Number of epochs, instead of the one in the file.", minimum=1)] = None
    out: Annotated[
        Path | str | None,
        Option(
            "Folder of the student bundle to write.",
            flags=("--output", "-o"),
            python="By default the file's name without its ending.",
        ),
    ] = None
    seed: Annotated[int | None, Option("Random seed, instead of the one in the file.", minimum=0)] = None
    tensorboard: Annotated[
        Path | None, Option("Folder for TensorBoard: losses, scores and learning rate of each epoch.")
    ] = None
    device: Device = "auto"
    data_dir: DataDir = None
    download: Download = False
    plugins: Plugins = None
    dataset: Annotated[Any, Keyword("The data as an `autokd.data.Dataset`, if they are already loaded.")] = None
    on_epoch: Annotated[
        Callable[[Mapping[str, Any]], None] | None,
        Keyword(
            'Called after each epoch with its line of the curve, "epochs", their number, "objective", the metric that '
            'its score is of, and "seconds_left", about.'
        ),
    ] = None
    notify: Annotated[
        Callable[[Any], None] | None,
        Keyword(
            "Called with a `Progress` while data are read, a teacher and the student are trained; by default, a "
            "notebook shows lines below the cell."
        ),
    ] = None
