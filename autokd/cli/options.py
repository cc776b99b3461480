"""Options and arguments of the commands, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autokd._version import __version__
from autokd.study.arms import ARM_KINDS


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"autokd {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]

# Data
Dataset = Annotated[str, typer.Option(help="A name (see autokd list datasets), a folder of images, or a table file.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder with the files of named datasets; by default $AUTOKD_DATA, or the cache.")
]
Target = Annotated[str | None, typer.Option(help="Label column of a table.")]
Group = Annotated[str | None, typer.Option(help="Column of groups: rows with the same value stay in one split.")]
Validation = Annotated[Path | None, typer.Option(help="A folder or table to validate on.")]
ImageSize = Annotated[int | None, typer.Option(min=4, help="Resize images to this many pixels a side.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Skip unreadable files instead of stopping.")]
Download = Annotated[bool, typer.Option("--download", help="Allow downloading a named dataset.")]
LimitTrain = Annotated[int | None, typer.Option(min=2, help="Train on a stratified sample of this size.")]

# What is searched
Space = Annotated[str | None, typer.Option(help="A shipped search space (digits, image, tabular) or a YAML file.")]
Teacher = Annotated[
    str | None,
    typer.Option(help="ARCH[:k=v,…]@FILE, timm:NAME@FILE, torchvision:NAME@FILE, pkg.module:factory@FILE, or FILE."),
]
Plugins = Annotated[list[Path] | None, typer.Option(help="A Python file with your own components; repeatable.")]
Objectives = Annotated[
    str | None,
    typer.Option(help="A metric (accuracy, macro_f1, …), or several objectives: accuracy,latency."),
]

# Limits
MaxParams = Annotated[str | None, typer.Option(help="Maximum number of student parameters, e.g. 300k.")]
MaxMacs = Annotated[str | None, typer.Option(help="Maximum number of multiply-accumulates per sample, e.g. 20M.")]
MaxSize = Annotated[str | None, typer.Option(help="Maximum size of the student's weights, e.g. 200KB.")]
MaxLatency = Annotated[
    str | None, typer.Option(help="Maximum latency of one sample on the device, measured before training, e.g. 5ms.")
]

# Length
Trials = Annotated[int | None, typer.Option(min=1, help="Total number of trials, including both baselines.")]
Time = Annotated[
    str | None, typer.Option(help="Total time budget, e.g. 90s, 20m, 3h; runs and trials are fitted to it.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs of the longest trials and of the final comparison.")]
Quick = Annotated[
    bool,
    typer.Option("--quick", help="A first impression: a quarter of the trials (or --time), two seeds, no tuning."),
]
Train = Annotated[
    bool,
    typer.Option("--train", help="Also train the recommended pipeline at full length, inside --time where given."),
]
MaxFailures = Annotated[int | None, typer.Option(min=1, help="Stop after this many failed trials.")]

# The study
Study = Annotated[str, typer.Argument(help="Name or folder of a study.")]
Arm = Annotated[str | None, typer.Option(help=f"Export this arm of the final comparison, e.g. {', '.join(ARM_KINDS)}.")]
StudyName = Annotated[str | None, typer.Option(help="Name of the study; by default the dataset's name.")]
Seed = Annotated[int, typer.Option(min=0, help="Random seed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Delete the existing study of this name first.")]
Storage = Annotated[
    str | None, typer.Option(help="Database to mirror the study to, for dashboards, e.g. postgresql://…")
]

# Where and how it runs
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Number of local worker processes; changes the speed only.")]
Slots = Annotated[
    int | None,
    typer.Option(min=1, help="Rungs trained at a time; part of the study, by default the number of workers."),
]
BankSize = Annotated[str, typer.Option(help="Maximum disk space for stored teacher outputs, e.g. 20GB.")]
BankFeatures = Annotated[
    bool, typer.Option("--bank-features", help="Also store the teacher's feature maps where they are small enough.")
]
Profile = Annotated[bool, typer.Option("--profile", help="Measure where the time goes and show it at the end.")]

# What is printed
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the log in full.")]
