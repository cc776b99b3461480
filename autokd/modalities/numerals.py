"""Numbers as people write them: 1,234.5 and 1.234,5, 12 %, $5, (3).

How the cells of a column are written is found once, for the whole column, since 1,234 alone may be either.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

PLAIN = "plain"
"""As a program writes them: 1234.5, 1e3."""
POINT = "point"
"""With a decimal point, and perhaps commas or blanks between thousands, a currency or a percent sign: $1,234.5."""
COMMA = "comma"
"""With a decimal comma, and perhaps points or blanks between thousands, a currency or a percent sign: 1.234,5 €."""
FORMS = (PLAIN, POINT, COMMA)

_CURRENCY = r"(?:[$€£¥₹₽₩₺₴₪฿¢]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|SEK|NOK|DKK|PLN|BRL|US\$|R\$|kr|zł)(?![a-z]))"
_BLANKS = "[ '’\u00a0\u2009\u202f]"
_MINUS = str.maketrans({"\u2212": "-", "\u2012": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-"})


def _pattern(point: str, comma: str) -> re.Pattern[str]:
    """A number with this decimal point and, between thousands, this comma."""
    groups = (
        rf"[1-9]\d{{0,2}}(?:(?:{comma}\d{{3}})+|(?:{_BLANKS}\d{{3}})+)|[1-9]\d?(?:{comma}\d{{2}})+{comma}\d{{3}}|\d+"
    )
    body = rf"(?P<whole>{groups})?(?:{point}(?P<part>\d*))?(?P<power>[eE][-+]?\d+)?"
    return re.compile(
        rf"(?P<open>\()?\s*(?P<sign>[-+]?)\s*{_CURRENCY}?\s*(?P<inner>[-+]?){body}\s*(?P<share>%)?\s*{_CURRENCY}?\s*(?(open)\))",
        re.IGNORECASE,
    )


_WRITTEN: Mapping[str, re.Pattern[str]] = {POINT: _pattern(r"\.", ","), COMMA: _pattern(",", r"\.")}
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})*")
"""A number without decimals, points between its thousands."""
_DECIMAL = re.compile(r"\.(\d{1,2}|\d{4,})(?!\d)")
"""A point that is no separator of thousands."""
_FEW = 0.1
"""Share of the cells that may be no numbers in a column that says how numbers are written."""


def number(cell: str, form: str = PLAIN) -> float:
    """Return the number that a cell is in some form; NaN where it is none.

    Example:
      >>> number("1,234.5", POINT), number("1.234,5 €", COMMA), number("12 %", POINT), number("(3)", POINT)
      (1234.5, 1234.5, 0.12, -3.0)
    """
    plain = _plain(cell) if form == PLAIN or (form == POINT and "," not in cell) else math.nan
    if form == PLAIN or not math.isnan(plain):
        return plain
    found = _WRITTEN[form].fullmatch(cell.translate(_MINUS))
    return math.nan if found is None else _value(found)


def _plain(cell: str) -> float:
    try:
        return math.nan if "_" in cell else float(cell)  # 1_000 is a number in Python, and a name elsewhere
    except ValueError:
        return math.nan


def _value(found: re.Match[str]) -> float:
    """The number that was matched; NaN where there is no digit, or two signs."""
    signs = found["sign"] + found["inner"]
    if not (found["whole"] or found["part"]) or len(signs) > 1:
        return math.nan
    whole = re.sub(r"\D", "", found["whole"] or "0")
    size = float(f"{whole}.{found['part'] or '0'}{found['power'] or ''}") / (100 if found["share"] else 1)
    return -size if signs == "-" or found["open"] else size


class Written(NamedTuple):
    """How the cells of a column are written.

    Args:
      form: one of `FORMS`.
      strays: how many distinct cells are no number in that form.
      either: whether a decimal comma, or points between thousands, would explain the cells as well.
    """

    form: str
    strays: int
    either: bool = False


def written(cells: Iterable[str]) -> Written:
    """Return how distinct cells that are not missing are written."""
    cells = list(cells)
    strays = {PLAIN: _strays(cells, PLAIN)}
    if strays[PLAIN] == 0:
        points = any("." in cell for cell in cells)
        return Written(PLAIN, 0, either=points and all(map(_GROUPED.fullmatch, cells)))
    some = [cell for cell in cells if any(map(str.isdigit, cell))]
    strays |= {form: len(cells) - len(some) + _strays(some, form) for form in (POINT, COMMA)}
    form = min(FORMS, key=lambda form: strays[form])  # the first of equals
    commas = any("," in cell for cell in some)
    return Written(form, strays[form], either=form == POINT and commas and strays[COMMA] == strays[POINT])


def _strays(cells: list[str], form: str) -> int:
    return sum(math.isnan(number(cell, form)) for cell in cells)


def forms(columns: Mapping[str, Iterable[str]]) -> dict[str, Written]:
    """Return how each column is written, by name, given its distinct cells that are not missing.

    A column that may be read both ways follows the others: where some have a decimal comma and none a decimal point, it
    is read with a decimal comma too.
    """
    distinct = {name: list(cells) for name, cells in columns.items()}
    found = {name: written(cells) for name, cells in distinct.items()}
    sure = [(each.form, distinct[name]) for name, each in found.items() if _is_sure(each, distinct[name])]
    if not any(form == COMMA for form, _ in sure) or any(map(_has_points, sure)):
        return found
    return {name: each._replace(form=COMMA) if each.either else each for name, each in found.items()}


def _has_points(column: tuple[str, list[str]]) -> bool:
    """Whether a column, its form and its cells, has a decimal point."""
    form, cells = column
    return form != COMMA and any(map(_DECIMAL.search, cells))


def _is_sure(found: Written, cells: list[str]) -> bool:
    """Whether a column shows how its file writes numbers."""
    return not found.either and found.strays <= _FEW * len(cells)
