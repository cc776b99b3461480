"""Writes the table of docs/recipes.md from the rules: run it after adding or changing one.

python docs/recipes.py           # write the table; the text around it is written by hand and stays
python docs/recipes.py --check   # only say whether it is up to date (exit code 1 where it is not)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from autokd.recipes import RULES, WITH_UNLABELLED, Rule  # noqa: E402
from docs.components import cell, write  # noqa: E402

PAGE = Path(__file__).with_name("recipes.md")
BEGIN, END = "<!-- recipes -->\n", "<!-- end of recipes -->"
BEGIN_POOL = "<!-- recipes for samples without labels -->\n"
END_POOL = "<!-- end of recipes for samples without labels -->"
HEAD = "| recipe | title | losses | optimizer | augmentation | head | by hand |\n|---|---|---|---|---|---|---|\n"


def page(text: str) -> str:
    """Return a page with the table between its markers written anew."""
    text = _with_table(text, BEGIN, END, HEAD + "".join(map(_row, RULES)))
    head = HEAD.replace("| losses |", "| share without labels | losses |").replace("---|\n", "---|---|\n")
    return _with_table(text, BEGIN_POOL, END_POOL, head + "".join(map(_row, WITH_UNLABELLED)))


def _with_table(text: str, begin: str, end: str, table: str) -> str:
    assert text.count(begin) == text.count(end) == 1, f"{PAGE} needs the markers {begin.strip()} and {end} once"
    return f"{text.partition(begin)[0]}{begin}{table}{end}{text.partition(end)[2]}"


def _row(rule: Rule) -> str:
    losses = " + ".join(_loss(use, values) for use, values in rule.losses.items())
    optimizer, head = _component(rule.optimizer), _component(rule.head)
    cells = (
        f"`{rule.name}`",
        rule.title,
        *([] if rule.unlabelled is None else [f"{rule.unlabelled:g}"]),
        losses,
        optimizer,
        f"`{rule.augment['use']}`",
        head,
        "yes" if rule.hand else "",
    )
    return f"| {' | '.join(map(cell, cells))} |\n"


def _loss(use: str, values: Mapping[str, Any]) -> str:
    """("kd", {"weight": 0.9, "temperature": 4.0}) -> "0.9 `kd` (temperature 4)"; what is 0 is left out."""
    others = {name: value for name, value in values.items() if name != "weight" and value}
    return f"{values['weight']:g} `{use}`{_fields(others)}"


def _component(plain: Mapping[str, Any]) -> str:
    return f"`{plain['use']}`{_fields({name: value for name, value in plain.items() if name != 'use'})}"


def _fields(values: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items())
    return f" ({listed})" if listed else ""


if __name__ == "__main__":
    sys.exit(write(PAGE, page(PAGE.read_text(encoding="utf-8")), sys.argv[1:], script=Path(__file__)))
