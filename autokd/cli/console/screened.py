"""Students that were scored without training."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document
from autokd.options import options_of
from autokd.report import words
from autokd.study.choice import ScreenedStudent
from autokd.study.writer import written

if TYPE_CHECKING:
    from autokd.search.request import Screening

STUDENTS, PROXIES = 20, 3
"""Students and proxies, beside the sizes and latency, that the table has room for."""
SIZES = ("params", "macs", "latency")
"""Proxies that have columns of their own."""
ORDER = (
    "In the order in which a search tries them: of every size, and of every family. Score: mean rank by size, 1 is the "
    "largest. Whether a proxy orders students beyond their size shows once some are trained; until then none decides "
    "anything. Fields in which all students of a family agree are left out."
)


def screened(rows: Sequence[ScreenedStudent], asked: Screening, *, as_json: bool) -> Shown:
    """Return screened students, in the order in which a search would try them.

    Args:
      rows: the students.
      asked: what the user asked for; the proxies that it names are all shown.
      as_json: all students, with all that proxies say of them and the spread of it.
    """
    if as_json:
        return document([dataclasses.asdict(row) for row in rows])
    there = [name for name in rows[0].proxies if name not in SIZES]
    shown = there if asked.proxy else there[:PROXIES]
    table = Table(box=None, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("student", overflow="fold")
    for title in ("score", "params", "MACs", "ms", *(name.replace("_", "_\n", 1) for name in shown)):
        table.add_column(title, justify="right", vertical="top", no_wrap=True)
    first = rows[:STUDENTS]
    told = _fields_that_differ(first)
    for place, row in enumerate(first, start=1):
        cells = [str(place), told(row.student), f"{row.score:.2f}", words.compact(row.params), words.compact(row.macs)]
        table.add_row(*map(Text, [*cells, *(_proxy(row, name) for name in ("latency", *shown))]))
    return Group(table, Text(""), Text(ORDER), *map(Text, _more(rows, there, shown)), Text(f"next: {_search(asked)}"))


def _fields_that_differ(rows: Sequence[ScreenedStudent]) -> Any:
    """What writes a student without the fields in which all those shown of its family agree."""
    values: dict[tuple[str, str], set[str]] = {}
    families = [row.student["use"] for row in rows]
    for row in rows:
        for name, value in row.student.items():
            values.setdefault((row.student["use"], name), set()).add(repr(value))

    def told(student: Mapping[str, Any]) -> str:
        use = student["use"]
        alone = families.count(use) == 1
        fields = {name: value for name, value in student.items() if alone or len(values[use, name]) > 1}
        return words.component({**fields, "use": use})

    return told


def _proxy(row: ScreenedStudent, name: str) -> str:
    return "not finite" if name in row.not_finite else words.figure(row.proxies.get(name))


def _more(rows: Sequence[ScreenedStudent], there: Sequence[str], shown: Sequence[str]) -> list[str]:
    """What the table leaves out, and where it is."""
    left = there[len(shown) :]
    students = [words.number_of(len(rows) - STUDENTS, "more student")] if len(rows) > STUDENTS else []
    proxies = [f"{words.number_of(len(left), 'more proxy')} ({', '.join(left)})"] if left else []
    found = words.listed([*students, *proxies]).replace("proxys", "proxies")
    where = "--proxy NAME shows one in the table, and --json all" if left else "--json shows all"
    return [f"{words.capital(found)}: {where}, with standard deviations over seeds and batches."] if found else []


def _search(asked: Screening) -> str:
    """The search that would try these students."""
    line = ["autokd", "search"]
    for option in options_of(type(asked)):
        value = getattr(asked, option.name)
        named = option.name == "dataset" or value not in (None, option.default)
        if option.flags and option.name != "proxy" and named:
            line += written(option, value)
    return shlex.join(line)
