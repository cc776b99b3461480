"""Tables as many programs write them, each with what it means."""

from __future__ import annotations

import csv
import datetime
import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

MISSING = ("", "", "NA", "?", "n/a", "NaN", "null", "None", "-nan"[1:], "<NA>")
WORDS = (
    *("red", "Blue", "green-ish", "ÄÖ", "naïve café", "漢字", "a,b", "c;d", 'say "hi"', "tab\there", "two\nlines"),
    *("=1+1", "-", "+", "@home", "#7", "'quoted'", "1st", "12_5", "1_000", "x\u00a0y", "0x1F", "True", "no", "A|B"),
    *("\u2028", "e5", "infinite", "3 m", "5'", "€", "%", "($)", "\ufeff", "ﬁ", "ß", "İ", "1-2", "..", ",", "'", '"'),
)
NAMES = (
    *("age", "Age (years)", "a,b", "c;d", 'the "x"', "two\nlines", "größe", "漢字", "#id", "a.1", "=sum", "x y"),
    *("[x]{y}", "1", "2.5", "label", "y", "Unnamed: 3", "%", "'a'", "a\tb", "A|B", "-", "nan", "NA", "index", "0"),
)


@dataclass(frozen=True)
class Column:
    """A column as it is written.

    Args:
      name: of it.
      cells: text of each row.
      values: what each cell means: a number, a date, a text, or None where it is missing.
      kind: "number", "date" or "text".
    """

    name: str
    cells: list[str]
    values: list[Any]
    kind: str


@dataclass(frozen=True)
class Written:
    """A table file.

    Args:
      columns: features, and the label last.
      content: bytes of the file.
    """

    columns: list[Column]
    content: bytes

    @property
    def target(self) -> str:
        return self.columns[-1].name


def texts(rng: random.Random, n: int) -> tuple[list[str], list[Any]]:
    """A few words that recur, some of them odd."""
    pool = rng.sample(WORDS, rng.randint(1, 5))
    cells = [rng.choice(pool) for _ in range(n)]
    return cells, [cell.strip() for cell in cells]


def plain_numbers(rng: random.Random, n: int) -> tuple[list[str], list[Any]]:
    """Numbers as programs write them."""
    draw: Callable[[], Any] = rng.choice(
        (
            lambda: rng.randint(-5, 5),
            lambda: rng.randint(-(10**6), 10**6),
            lambda: round(rng.uniform(-3, 3), 3),
            lambda: rng.gauss(0, 1) * 10 ** rng.randint(-8, 8),
            lambda: float(rng.randint(0, 9)),
        )
    )
    values = [draw() for _ in range(n)]
    return [repr(value) for value in values], list(map(float, values))


def people_numbers(rng: random.Random, n: int, *, comma: bool) -> tuple[list[str], list[Any]]:
    """Numbers as people write them in one country, with a decimal point or comma."""
    point, thousands = (",", rng.choice((".", " ", "\u00a0", "\u202f", "'"))) if comma else (
        ".", rng.choice((",", " ", "\u00a0", "\u2009", "'", "’")))  # fmt: skip
    places, size = rng.choice((1, 2, 4)), 10 ** rng.randint(1, 7)
    before, after, share = rng.choice(
        (("", "", 1), ("$", "", 1), ("", " €", 1), ("", " %", 100), ("", "%", 100), ("USD ", "", 1), ("£ ", "", 1))
    )
    grouped = rng.random() < 0.7
    negative = rng.choice(("-{}", "({})", "\u2212{}"))
    cells, values = [], []
    for _ in range(n):
        value = round(rng.uniform(0, size), places)
        text = f"{value:,.{places}f}" if grouped else f"{value:.{places}f}"
        text = text.replace(",", "T").replace(".", point).replace("T", thousands)
        cell, sign = f"{before}{text}{after}", 1
        if rng.random() < 0.2:
            cell, sign = negative.format(cell), -1
        cells.append(cell)
        values.append(sign * float(f"{value:.{places}f}") / share)
    return cells, values


DATES = (
    *("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y", "%m/%d/%Y"),
    *("%d/%m/%Y", "%Y/%m/%d", "%d %b %Y", "%B %d, %Y", "%d-%b-%Y", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%y"),
)


def dates(rng: random.Random, n: int) -> tuple[list[str], list[Any]]:
    """Dates in one format, one of them after the 12th so that day and month can be told apart."""
    pattern, start = rng.choice(DATES), datetime.datetime(2001, 1, 1)
    found = [start + datetime.timedelta(minutes=rng.randint(0, 12_000_000)) for _ in range(n)]
    found[0] = found[0].replace(day=28)
    cells = [date.strftime(pattern) for date in found]
    return cells, [datetime.datetime.strptime(cell, pattern) for cell in cells]


KINDS: dict[str, Callable[[random.Random, int], tuple[list[str], list[Any]]]] = {
    "text": texts,
    "number": plain_numbers,
    "date": dates,
}


def column(rng: random.Random, name: str, kind: str, n: int) -> Column:
    """A column, some of whose cells may be missing."""
    cells, values = KINDS[kind](rng, n)
    return with_missing(rng, Column(name, cells, values, kind))


def with_missing(rng: random.Random, whole: Column) -> Column:
    """The same with some cells missing, in one of the ways in which they are."""
    share = rng.choice((0, 0, 0.1, 0.4))
    absent = [rng.random() < share for _ in whole.cells]
    token = rng.choice(MISSING)
    cells = [token if gone else cell for gone, cell in zip(absent, whole.cells, strict=True)]
    values = [None if gone else value for gone, value in zip(absent, whole.values, strict=True)]
    return Column(whole.name, cells, values, whole.kind)


def labels(rng: random.Random, name: str, n: int) -> Column:
    """A label column: each class in several rows."""
    pools = (
        ["sick", "well"], ["0", "1"], ["-1", "1"], ["+", "-"], ["None", "some", "NA"], ["1.5", "2.5"], ["x=1", "=1+1"],
        ["Größe", "漢字", "a,b", 'q"q'], ["yes", "no"], ["True", "False"], ["1_0", "10"], ["01", "2", "3"],
        ["<5", ">5"], ["nan", "inf", "ok"],
    )  # fmt: skip
    pool = rng.choice(pools)
    cells = [pool[row % len(pool)] for row in range(n)]
    rng.shuffle(cells)
    return Column(name, cells, list(cells), "text")


def content_of(columns: Sequence[Column], rng: random.Random, how: Sequence[str]) -> bytes:
    """Write a table: delimiter, quoting, line ends, encoding, and what may stand around it."""
    delimiter, quoting, newline, encoding, extra = how
    out = io.StringIO(newline="")
    modes: dict[str, Any] = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL}
    writer = csv.writer(out, delimiter=delimiter, quoting=modes[quoting], lineterminator=newline)
    n = len(columns[0].cells)
    rows = [[each.cells[row] for each in columns] for row in range(n)]
    heading = [each.name for each in columns]
    if extra == "title":
        out.write(f"Export of May, all wards{newline}{newline}".replace(",", ""))
    if extra == "comments":
        out.write(f"# made by hand{newline}# twice{newline}")
    if extra == "sep":
        out.write(f"sep={delimiter}{newline}")
    writer.writerow([*heading, ""] if extra == "trailing" else heading)
    for number, row in enumerate(rows):
        named = [f"r{number}", *row] if extra == "row names" else row
        writer.writerow([*named, ""] if extra == "trailing" else named)
        if extra == "blank lines" and rng.random() < 0.3:
            out.write(newline)
    text = out.getvalue()
    return (text.rstrip(newline) if extra == "no last line end" else text).encode(encoding)


@st.composite
def tables(draw: st.DrawFn, kinds: Sequence[str] = ("text", "number", "date")) -> Written:
    """A table file of one to four features and a label."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    n = draw(st.sampled_from((6, 12, 24, 40)))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=5, unique=True))
    columns = [column(rng, name, draw(st.sampled_from(kinds)), n) for name in names[:-1]]
    columns.append(labels(rng, names[-1], n))
    return draw(files(columns, rng))


@st.composite
def people_tables(draw: st.DrawFn) -> Written:
    """A table file of numbers as people write them in one country; the first column shows in which."""
    rng, comma = random.Random(draw(st.integers(0, 2**32))), draw(st.booleans())
    n = draw(st.sampled_from((8, 24, 40)))
    columns = []
    for place in range(draw(st.integers(1, 3))):
        cells, values = people_numbers(rng, n, comma=comma)
        columns.append(with_missing(rng, Column(f"c{place}", cells, values, "number")))
    shown = [round(rng.uniform(1, 9), 1) + 0.05 for _ in range(n)]
    cells = [f"{value:.2f}".replace(".", "," if comma else ".") for value in shown]
    columns.insert(0, Column("shows", cells, [float(f"{value:.2f}") for value in shown], "number"))
    columns.append(labels(rng, "class", n))
    return draw(files(columns, rng))


@st.composite
def files(draw: st.DrawFn, columns: list[Column], rng: random.Random) -> Written:
    """Some way to write a table that can hold it."""
    held = "".join(text for each in columns for text in (each.name, *each.cells))
    encodings = ["utf-8", "utf-8-sig", "utf-16"]
    try:
        "".join(held).encode("cp1252")
        encodings.append("cp1252")
    except UnicodeEncodeError:
        pass
    extras = ("", "", "title", "comments", "sep", "trailing", "row names", "blank lines", "no last line end")
    newline = draw(st.sampled_from(("\n", "\r\n", "\r")))
    bare = newline == "\r" and "\n" in held  # Python's writer would leave such cells without quotes
    how = (
        draw(st.sampled_from(",;\t|")),
        draw(st.sampled_from(("all",) if bare else ("minimal", "all"))),
        newline,
        draw(st.sampled_from(encodings)),
        draw(st.sampled_from(extras)),
    )
    return Written(columns, content_of(columns, rng, how))


def same_number(found: float, meant: float | None, missing: float, scale: float = 1.0) -> bool:
    """Whether a number was read as it was meant; `missing` stands for none, `scale` is how large such numbers are."""
    return math.isclose(found, missing if meant is None else meant, rel_tol=1e-9, abs_tol=1e-9 * scale)
