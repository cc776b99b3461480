"""The errors autokd raises on purpose.

AutokdError                    the base; the command line exits with 1
├── UserError                  bad input: one line says what is wrong and what would work; exit code 2
│   ├── ComponentError         an unknown component, or a field that is unknown or out of range
│   ├── DataError              a dataset, image, table or new input that cannot be used
│   ├── TeacherError           a teacher that cannot be loaded, or does not fit the data
│   ├── SpaceError             a search space with mistakes (all of them, in `problems`)
│   ├── StudyError             a study that is missing, held by another process, or differs from what is asked
│   ├── BundleError            a student bundle or pipeline file that cannot be used
│   └── MissingDependency      an optional package is needed; the message gives the pip line
├── NothingFeasible            no candidate lies inside the budget, or no trial finished; exit code 3
├── TooManyFailures            trials fail again and again; exit code 4
├── Interrupted                a search left its work to be gone on with, as it was asked to; exit code 130
└── TrialFailure               one trial went wrong in a way that the search records and survives
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""How the system says that a disk is full."""


class AutokdError(Exception):
    """Base of every error that autokd raises on purpose."""

    exit_code = 1


class UserError(AutokdError):
    """Bad input. The message is one line: what is wrong, what was seen, what would work."""

    exit_code = 2


class ComponentError(UserError):
    """An unknown component, or a field that is unknown or out of range."""


class DataError(UserError):
    """A dataset, image, table or new input that cannot be used; line ends in names stand as blanks in the message."""

    def __str__(self) -> str:
        return " ".join(super().__str__().splitlines())


class TeacherError(UserError):
    """A teacher that cannot be loaded, or does not fit the data."""


class SpaceError(UserError):
    """A search space with mistakes.

    Args:
      problems: every mistake, each with its path in the file.
      source: the file or name of the space.
    """

    def __init__(self, problems: list[str], source: str = "search space") -> None:
        self.problems = list(problems)
        self.source = source
        many = [f"{len(self.problems)} mistakes", *(f"  {problem}" for problem in self.problems)]
        super().__init__(f"{source}: " + "\n".join(self.problems if len(self.problems) == 1 else many))


class StudyError(UserError):
    """A study that is missing, held by another process, or differs from what is asked."""


class BundleError(UserError):
    """A student bundle or a pipeline file that cannot be used."""


class MissingDependency(UserError):
    """An optional package is needed.

    Args:
      package: what is missing.
      extra: autokd's extra that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; get it with: pip install 'autokd[{extra}]'")


class NothingFeasible(AutokdError):
    """No candidate lies inside the budget, or no trial finished."""

    exit_code = 3


class TooManyFailures(AutokdError):
    """Trials fail again and again: something is wrong that more trials will not mend."""

    exit_code = 4


class Interrupted(AutokdError):
    """A search stopped as it was asked to; the same command goes on with it."""

    exit_code = 130

    def __init__(self, message: str = "stopped; the same command goes on where this one left off") -> None:
        super().__init__(message)


class TrialFailure(AutokdError):
    """One trial went wrong in a way that the search records and survives.

    Args:
      kind: "out_of_memory", "not_finite" or "error".
      reason: one line for the record.
    """

    def __init__(self, kind: str, reason: str) -> None:
        self.kind = kind
        self.reason = reason
        super().__init__(f"{kind}: {reason}")


def one_line(error: BaseException) -> str:
    """Return what an error says, on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200]


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return a hint that names the closest valid name, or lists them all.

    Args:
      name: what was given.
      valid: what would have been accepted.
    Example:
      >>> nearest("widht", ["depth", "width"])
      "did you mean 'width'?"
      >>> nearest("colour", ["depth", "width"])
      'one of: depth, width'
      >>> nearest("acc", ["accuracy", "mcc"])
      "did you mean 'accuracy'?"
    """
    options = sorted(valid)
    begun = [option for option in options if len(str(name)) > 1 and option.lower().startswith(str(name).lower())]
    close = begun if len(begun) == 1 else difflib.get_close_matches(str(name), options, n=1)
    return f"did you mean {close[0]!r}?" if close else f"one of: {', '.join(options) or '(none)'}"
