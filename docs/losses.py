"""Writes the two lists of losses that are files of their own: run it after adding a loss.

They are the types of `from autokd.losses import …` and the space that searches over all losses.

python docs/losses.py           # write both
python docs/losses.py --check   # only say whether they are up to date (exit code 1 where one is not)
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from autokd import catalog  # noqa: E402
from autokd.losses import ALIASES  # noqa: E402
from docs.components import shipped, write  # noqa: E402
from docs.methods import group_of  # noqa: E402

STUB = ROOT / "autokd" / "losses" / "__init__.pyi"
SPACE = ROOT / "search_spaces" / "image_all_losses.yaml"
PLACES = {"answers": 0, "labels": 0, "features": 1, "relations": 2, "peer": 3}
"""Which group of the space the losses of a group of docs/methods.md are in; it has no student with tokens."""
WIDTH, INDENT = 118, 6


def stub(names: list[str]) -> str:
    """Return the types of the package: every loss's function, and the second names."""
    functions = "".join(f"from autokd.losses._{name} import {name} as {name}\n" for name in names)
    second_names = "".join(f"{second} = {name}\n" for second, name in ALIASES.items())
    return f"{functions}\nALIASES: dict[str, str]\n\n{second_names}"


def space(text: str, places: dict[str, int]) -> str:
    """Return a space with the losses that its groups lack, each at the end of its group.

    Args:
      text: the space; its groups are written `from: {kd: {}, …}`.
      places: loss -> index of its group.
    """
    groups = re.findall(r"from: \{(?:[^{}]|\{\})*\}", text)
    there = set(re.findall(r"(\w+): \{\}", "".join(groups)))
    for index, group in enumerate(groups):
        lacking = [name for name, place in places.items() if place == index and name not in there]
        if lacking:
            text = text.replace(group, _group([*re.findall(r"(\w+): \{\}", group), *lacking]))
    return text


def _group(names: list[str]) -> str:
    entries = "from:\0{" + ", ".join(f"{name}:\0{{}}" for name in names) + "}"  # no line ends between : and {}
    lines = textwrap.wrap(entries, WIDTH - INDENT, subsequent_indent=" " * len("from: {"))
    return f"\n{' ' * INDENT}".join(lines).replace("\0", " ")


def main(arguments: list[str]) -> int:
    """Write both files, or check them; return the exit code."""
    names = shipped("losses")
    groups = {name: group_of(catalog.load("losses", name).declares) for name in names if name != "ce"}
    places = {name: PLACES[group] for name, group in groups.items() if group in PLACES}
    texts = {STUB: stub(names), SPACE: space(SPACE.read_text(encoding="utf-8"), places)}
    return max(write(path, text, arguments, script=Path(__file__)) for path, text in texts.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
