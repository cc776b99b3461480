"""The options of a search and of full training, each a field: its type, help, unit, least value and default.

Command line and `autokd.search` are made from these fields, and `study.yaml` records them. On the command line a field
of several types has the first. What stands in more than one group has a name of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

from autokd.errors import UserError
from autokd.options import units
from autokd.options.option import Keyword, Option
from autokd.options.teacher import Teacher

if TYPE_CHECKING:
    from torch.nn import Module as Network
else:
    Network = Any  # torch is not imported for the sake of a type

STUDIES = Path("studies")
REPORTS = Path("reports")

Dataset = Annotated[
    str | Any,
    Option(
        "Name of a dataset (see autokd list datasets), a folder of images, or a table file.",
        python="In Python also arrays (X, y) or a torch Dataset.",
    ),
]
DataDir = Annotated[
    Path | str | None,
    Option("Folder with the files of named datasets (default: $AUTOKD_DATA or the cache), or of data that were moved."),
]
Target = Annotated[str | None, Option("Label column of a table.")]
Encoding = Annotated[
    str | None, Option("Encoding of a table, e.g. cp1251 or gbk. Default: UTF-8, UTF-16, else Windows-1252.")
]
SkipBad = Annotated[bool, Option("Skip unreadable files instead of stopping.")]
Download = Annotated[bool, Option("Allow downloading a named dataset.")]
Unlabelled = Annotated[
    Path | str | Any | None,
    Option("Samples without labels to distil on: a folder of pictures, or a table.", python="In Python also an array."),
]
MadeRows = Annotated[
    str | None,
    Option("Distil on rows made of a table's training rows: swap_noise or munge; munge:10 for ten times as many."),
]
Plugins = Annotated[
    list[Path] | Sequence[Path | str] | None,
    Option("A Python file with your own components; repeatable.", python="In Python a list of files."),
]
Knowledge = Annotated[
    list[Path] | Sequence[Path | str] | None,
    Option(
        "A knowledge base to begin with beside that of autokd: a folder, a file, or own: what autokd learn fills; "
        "repeatable.",
        python="In Python a list of them.",
    ),
]
Device = Annotated[str, Option("Device: auto, cpu, cuda or cuda:0.")]
Overwrite = Annotated[bool, Option("Replace what is already there.")]


TeacherClasses = Annotated[
    Path | str | Sequence[str] | Mapping[Any, Any] | None,
    Option(
        "File with the teacher's class names in the order of its outputs: one a line, or JSON.",
        python="In Python also the names, or a mapping such as class_to_idx.",
    ),
]


TeacherMean = Annotated[
    str | float | Sequence[float] | None,
    Option("Mean of the teacher's input, 0 to 1: 0.5, or one a channel: 0.485,0.456,0.406. Default: found by trying."),
]
TeacherStd = Annotated[
    str | float | Sequence[float] | None,
    Option("Standard deviation of the teacher's input, written like --teacher-mean."),
]
TeacherSize = Annotated[
    int | None, Option("Side of the teacher's input in pixels. Default: found by trying.", minimum=1)
]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a search is about."""

    dataset: Dataset = dataclasses.field(default="digits", kw_only=False)
    space: Annotated[str | Path | None, Option("Built-in search space (image, photos, …) or a YAML file.")] = None
    weights: Annotated[Path | str | None, Option("Folder of students' pretrained weights: NAME.safetensors, ….")] = None
    teacher: Annotated[
        list[str] | str | Path | Network | Teacher | Mapping[str, Any] | Sequence[Any] | Any | None,
        Option(
            "Your own teacher: FILE, ARCH[:k=v,…]@FILE, timm:NAME@FILE, torchvision:NAME@FILE, "
            "pkg.module:factory@FILE, sklearn:FILE, lightgbm:FILE, xgboost:FILE, catboost:FILE or onnx:FILE. "
            "Repeat it for an ensemble. Default: a teacher is trained on the data.",
            python="In Python also a network, a model with predict_proba, an `autokd.Teacher`, or a list of these.",
        ),
    ] = None
    teacher_classes: TeacherClasses = None
    teacher_mean: TeacherMean = None
    teacher_std: TeacherStd = None
    teacher_size: TeacherSize = None
    teacher_as_is: Annotated[
        bool,
        Option("Use the teacher as it is, without trying it first, even if it only guesses."),
    ] = False
    fine_tune: Annotated[
        bool,
        Option("Train the given pretrained network on the data first: a new head for its classes, then all of it."),
    ] = False
    teacher_predictions: Annotated[
        Path | str | None,
        Option("Predictions of a teacher that cannot run here, for every sample: an .npz, .csv or .parquet file."),
    ] = None

    @property
    def given_teacher(self) -> Any:
        """The teacher that is given, in whatever way; None for none.

        Raises:
          UserError: it is given in two ways.
        """
        if self.teacher_predictions is None:
            return self.teacher
        if self.teacher is not None:
            raise UserError(
                "--teacher and --teacher-predictions are two teachers; give one of them, or for an ensemble --teacher "
                "predictions:FILE beside the other"
            )
        return f"predictions:{self.teacher_predictions}"


@dataclass(frozen=True, kw_only=True)
class Length:
    """How long a search is. What is not given follows from the time, or is the space file's."""

    trials: Annotated[int | None, Option("Total number of trials, including the two baselines.", minimum=1)] = None
    time: Annotated[
        float | None,
        Option("Total time budget, e.g. 90s, 20m, 3h; the search is planned to fit into it.", unit=units.SECONDS),
    ] = None
    began: Annotated[float, Keyword("Start of the time budget, by `time.monotonic`. Default: now.")] = (
        dataclasses.field(default_factory=monotonic)
    )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a student may cost: `max_` and the name of the cost, see `autokd.objective.COSTS`; how that is measured."""

    max_params: Annotated[
        float | None, Option("Maximum number of student parameters, e.g. 300k.", unit=units.COUNT)
    ] = None
    max_macs: Annotated[
        float | None, Option("Maximum number of multiply-accumulates per sample, e.g. 20M.", unit=units.COUNT)
    ] = None
    max_size: Annotated[
        float | None,
        Option(
            "Maximum size of the student's weights, e.g. 200KB; with accuracy_int8 of its file in 8 bits.",
            unit=units.WEIGHTS_SIZE,
        ),
    ] = None
    max_latency: Annotated[
        float | None,
        Option(
            "Maximum latency for one sample on the device, e.g. 5ms; measured before training.", unit=units.MILLISECONDS
        ),
    ] = None
    latency_with: Annotated[
        str, Option("What measures latency: torch on the device, or onnx: onnxruntime on the CPU.")
    ] = "torch"

    @property
    def limits(self) -> dict[str, float | None]:
        """The limits by the name of their option."""
        names = [item.name for item in dataclasses.fields(Limits) if item.name.startswith("max_")]
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """By what pipelines are compared, and how thoroughly."""

    objective: Annotated[
        str | Sequence[str] | None,
        Option(
            "Metric to optimise (accuracy, macro_f1, …), or several objectives: accuracy,latency.",
            python="In Python also a list of names.",
        ),
    ] = None
    epochs: Annotated[int | None, Option("Epochs of the longest trials and of the final comparison.", minimum=1)] = None
    quick: Annotated[
        bool, Option("First impression: a quarter of the trials (or --time in full), two seeds, no tuning.")
    ] = False
    train: Annotated[
        bool, Option("Also train the recommended pipeline at full length, within --time if that is given.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class Naming:
    """What the study is called, and where it is."""

    study: Annotated[str | None, Option("Name of the study. Default: the dataset's name.")] = None
    studies_dir: Annotated[Path | str, Keyword("Folder of studies.")] = STUDIES


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where rungs are trained."""

    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Where a dataset is, and how it is read and split."""

    seed: Annotated[int, Option("Random seed.", minimum=0)] = 0
    data_dir: DataDir = None
    target: Target = None
    classification: Annotated[
        bool, Option("Treat numeric labels of a table as classes, even if they look like a regression.")
    ] = False
    group: Annotated[
        str | None,
        Option(
            "What must stay in one split: a column of a table; for pictures a pattern in their paths, such as 'p\\d+', "
            "or 'folder' for the folder below the class."
        ),
    ] = None
    validation: Annotated[Path | str | None, Option("A folder or table to validate on.")] = None
    unlabelled: Unlabelled = None
    made_rows: MadeRows = None
    image_size: Annotated[int | None, Option("Side of the resized images in pixels.", minimum=4)] = None
    encoding: Encoding = None
    resize: Annotated[
        str | None,
        Option("How images become square: crop, pad or squash. Default: crop if that cuts off little."),
    ] = None
    ground: Annotated[str | None, Option("Background of transparent images: white (default) or black.")] = None
    skip_bad: SkipBad = False
    download: Download = False
    largest_side: Annotated[int | None, Keyword("Side in pixels that images get at most by default.")] = None
    limit_train: Annotated[int | None, Option("Train on a stratified sample of this size.", minimum=2)] = None


@dataclass(frozen=True, kw_only=True)
class Components:
    """Which components there are beside those of the package."""

    plugins: Plugins = None


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a search begins with of what past studies taught."""

    knowledge: Knowledge = None
    cold: Annotated[bool, Option("Begin with the known recipes alone, not with what past studies advise.")] = False


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a search runs, and what it keeps."""

    fresh: Annotated[bool, Option("Delete the existing study of this name first.")] = False
    bank_bytes: Annotated[
        float,
        Option(
            "Maximum disk space for stored teacher outputs, e.g. 20GB.",
            flags=("--bank-size",),
            unit=units.DISK_SPACE,
            shown="20GB",
        ),
    ] = 20e9
    bank_features: Annotated[bool, Option("Also store the teacher's feature maps if they are small enough.")] = False
    no_samples: Annotated[bool, Option("Keep no pictures of samples in the study and its report.")] = False
    profile: Annotated[bool, Option("Measure where the time goes, and show it at the end.")] = False
    workers: Annotated[int | None, Option("Number of local worker processes; affects only the speed.", minimum=1)] = (
        None
    )
    slots: Annotated[
        int | None,
        Option("Number of rungs trained at a time; part of the study. Default: the number of workers.", minimum=1),
    ] = None
    storage: Annotated[
        str | None, Option("Database to mirror the study to, for dashboards, e.g. postgresql://…", secret=True)
    ] = None
    max_failures: Annotated[int | None, Option("Stop after this many failed trials.", minimum=1)] = None
