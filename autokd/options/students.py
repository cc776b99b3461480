"""The options of what is done with a pipeline and with a trained student: full training, exports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from autokd.options.groups import DataDir, Device, Download, Encoding, Overwrite, Plugins, SkipBad
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
    all_data: Annotated[
        bool, Option("Train on validation too: the final student, once the choice is made. Test is read as ever.")
    ] = False
    figures_from: Annotated[
        Path | str | None,
        Option(
            "With --all-data: a bundle of the same pipeline trained without, for validation figures and calibration."
        ),
    ] = None
    tensorboard: Annotated[
        Path | str | None, Option("Folder for TensorBoard: losses, scores and learning rate of each epoch.")
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


@dataclass(frozen=True, kw_only=True)
class NewInputs:
    """How files are read that a student predicts for."""

    skip_bad: SkipBad = False
    encoding: Encoding = None


@dataclass(frozen=True, kw_only=True)
class ModelExport:
    """What `autokd export-model` and `autokd.export_model` are asked."""

    source: Annotated[
        Path | str, Option("A student bundle; a pipeline file where only the training is exported.", argument=True)
    ] = dataclasses.field(kw_only=False)
    format: Annotated[str, Option("What to write; see autokd list exports.")] = "onnx"
    output: Annotated[
        Path | str | None,
        Option(
            "File or folder to write.",
            flags=("--output", "-o"),
            python="By default one that is named after the format, in this folder.",
        ),
    ] = None
    int8: Annotated[bool, Option("Quantise weights and activations to 8 bits, and measure what that costs.")] = False
    overwrite: Overwrite = False
    data_dir: DataDir = None
    plugins: Plugins = None
    dataset: Annotated[Any, Keyword("The data as an `autokd.data.Dataset`, if they are already loaded.")] = None
