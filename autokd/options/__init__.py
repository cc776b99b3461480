"""The options of autokd: each one field, from which the command line, the keywords in Python and the records are made.

Nothing heavy is imported here, so that `autokd --help` is quick.
"""

from __future__ import annotations

from autokd.options.advising import Advising
from autokd.options.groups import (
    REPORTS,
    STUDIES,
    Comparison,
    Components,
    DataDir,
    DataOptions,
    Dataset,
    Device,
    Download,
    Encoding,
    Execution,
    Knowledge,
    Length,
    Limits,
    Naming,
    Overwrite,
    Past,
    Place,
    Plugins,
    SkipBad,
    Subject,
    Target,
    TeacherClasses,
    TeacherMean,
    TeacherSize,
    TeacherStd,
)
from autokd.options.keywords import takes
from autokd.options.option import Keyword, Listed, Option, first_type, options_of, split
from autokd.options.students import FullTraining, ModelExport, NewInputs
from autokd.options.teacher import Teacher

__all__ = [
    "REPORTS",
    "STUDIES",
    "Advising",
    "Comparison",
    "Components",
    "DataDir",
    "DataOptions",
    "Dataset",
    "Device",
    "Download",
    "Encoding",
    "Execution",
    "FullTraining",
    "Keyword",
    "Knowledge",
    "Length",
    "Limits",
    "Listed",
    "ModelExport",
    "Naming",
    "NewInputs",
    "Option",
    "Overwrite",
    "Past",
    "Place",
    "Plugins",
    "SkipBad",
    "Subject",
    "Target",
    "Teacher",
    "TeacherClasses",
    "TeacherMean",
    "TeacherSize",
    "TeacherStd",
    "first_type",
    "options_of",
    "split",
    "takes",
]
