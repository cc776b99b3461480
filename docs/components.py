"""Writes docs/components.md, the list of all components, from the code: run it after adding or changing one.

python docs/components.py           # write the page
python docs/components.py --check   # only say whether it is up to date (exit code 1 where it is not)
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import autokd
from autokd import catalog
from autokd.spec import FieldInfo, fields_of

PAGE = Path(__file__).with_name("components.md")
KINDS = {
    "modalities": "Kinds of input: everything that autokd knows about images and about tables.",
    "datasets": "For `--dataset NAME`. A folder, a table file and arrays need no name: `--dataset path/to/images`.",
    "teachers": "For `--teacher`. Without it, autokd trains a teacher on the data ([teachers](teachers.md)).",
    "students": "The architecture of the student: `student` in a space.",
    "heads": "What replaces the student's classifier: `head` in a space. A head is part of the student.",
    "inits": "The student's weights when training begins: `init` in a space. If left out, random weights.",
    "augments": "The augmentation: `augment` in a space.",
    "selections": "Which training samples a run uses: `selection` in a space. If left out, all of them.",
    "losses": "What the student minimises: `losses` in a space. `weight` is relative to the method's own scale "
    "([losses](methods.md)).",
    "optimizers": "`optimizer` in a space.",
    "schedules": "How the learning rate changes during training: `schedule` in a space.",
    "exports": "What `autokd export-model --format NAME` writes ([exports](exports.md)).",
    "proxies": "Scores of untrained students, named in a space by `screen: {proxies: [...]}` ([proxies](proxies.md)).",
}
HEAD = """# Components

Every component that a search space can name, with its fields and source. To see one in full, or to list them with those
of your own:

```console
$ autokd describe losses dkd
$ autokd list losses
```

The last column lists the fields. A field with a range is searched unless a space fixes it. Its default is in brackets.

This page is written by `python docs/components.py` from the code; do not edit it.
"""


def page() -> str:
    """Return the page's text."""
    return HEAD + "".join(_section(kind) for kind in catalog.KINDS)


def shipped(kind: str) -> list[str]:
    """Return the names of the components of a kind that come with autokd, without those of installed plug-ins."""
    return sorted(file.stem[1:] for file in (Path(autokd.__file__).parent / kind).glob("_[a-z]*.py"))


def _section(kind: str) -> str:
    rows = "".join(_row(kind, name) for name in shipped(kind))
    return f"\n## {kind}\n\n{KINDS[kind]}\n\n| name | what it is | fields |\n|---|---|---|\n{rows}"


def _row(kind: str, name: str) -> str:
    cls = catalog.load(kind, name)
    about = (importlib.import_module(cls.__module__).__doc__ or "").split("\n\n")[0]
    fields = "; ".join(_field(field, info) for field, info in fields_of(cls).items())
    return f"| `{name}` | {cell(about)} | {cell(fields)} |\n"


def _field(name: str, info: FieldInfo) -> str:
    default = f" [{info.default}]" if isinstance(info.default, (bool, int, float, str)) and info.default != "" else ""
    return f"`{name}` {info.range}{default}" if info.range else f"`{name}`{default}"


def cell(text: str) -> str:
    """Return text as it may stand in a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def write(path: Path, text: str, arguments: list[str], *, script: Path) -> int:
    """Write a file, or with --check say whether it is up to date; return the exit code."""
    if arguments == ["--check"]:
        current = path.is_file() and path.read_text(encoding="utf-8") == text
        print(f"{path} is {'up to date' if current else f'out of date; run: python docs/{script.name}'}")
        return 0 if current else 1
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(write(PAGE, page(), sys.argv[1:], script=Path(__file__)))
