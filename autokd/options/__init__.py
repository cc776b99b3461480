"""The options of autokd: each one field, from which the command line, the keywords in Python and the records are made.

Nothing heavy is imported here, so that `autokd --help` is quick.
"""

from __future__ import annotations

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
    Execution,
    FullTraining,
    Length,
    Limits,
    Naming,
    Place,
    Plugins,
    SkipBad,
    Subject,
    Target,
    TeacherClasses,
)
from autokd.options.keywords import takes
from autokd.options.option import Keyword, Listed, Option, first_type, options_of, split

__all__ = [
    "REPORTS",
    "STUDIES",
    "Comparison",
    "Components",
    "DataDir",
    "DataOptions",
    "Dataset",
    "Device",
    "Download",
    "Execution",
    "FullTraining",
    "Keyword",
    "Length",
    "Limits",
    "Listed",
    "Naming",
    "Option",
    "Place",
    "Plugins",
    "SkipBad",
    "Subject",
    "Target",
    "TeacherClasses",
    "first_type",
    "options_of",
    "split",
    "takes",
]
