"""Writes the tables of docs/methods.md: the losses from the code, the measurements from the runs in benchmarks/.

python docs/methods.py           # write the tables; the text around them is written by hand and stays
python docs/methods.py --check   # only say whether they are up to date (exit code 1 where they are not)
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from autokd import catalog  # noqa: E402
from autokd.declarations import Loss  # noqa: E402
from benchmarks import losses, selections  # noqa: E402
from docs.components import cell, shipped, write  # noqa: E402

PAGE = Path(__file__).with_name("methods.md")
GROUPS = {
    "answers": "What the teacher answers",
    "labels": "Without a teacher",
    "peer": "What a peer answers, a second network that trains beside the student",
    "features": "What it sees on the way, of each sample",
    "relations": "How it relates the samples of a batch",
    "tokens": "Tokens of transformers",
}
DATASETS = ("fashion_mnist", "fashion_mnist-peer", "cifar100")


def page(text: str) -> str:
    """Return a page with the content between its markers written anew."""
    measured = {name: _runs(f"losses-{name}") for name in DATASETS} | {"stages": _runs("stages-fashion_mnist")}
    for name, content in {"losses": _losses(), **measured, "selections": _selections()}.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        assert text.count(begin) == text.count(end) == 1, f"{PAGE} needs the markers of {name!r} once"
        text = f"{text.partition(begin)[0]}{begin}\n{content}\n{end}{text.partition(end)[2]}"
    return text


def group_of(declares: Loss) -> str:
    """Return the group of a loss, by what it declares that it reads."""
    if declares.teacher == "none":
        return "labels"
    if declares.reads_of == "peer":
        return "peer"
    if (declares.reads | declares.student_reads) & {"tokens", "attention"}:
        return "tokens"
    if declares.reads:
        return "relations" if declares.batch_statistic else "features"
    return "answers"


def _losses() -> str:
    classes = {name: catalog.load("losses", name) for name in shipped("losses")}
    parts = []
    for group, title in GROUPS.items():
        rows = "".join(_row(name, cls) for name, cls in classes.items() if group_of(cls.declares) == group)
        head = "| loss | what it is | source | reads | step | weight of 1 |\n|---|---|---|---|---|---|\n"
        parts.append(f"### {title}\n\n{head}{rows}")
    return "\n".join(parts)


def _row(name: str, cls: type[Any]) -> str:
    about = (inspect.getdoc(cls) or "").split("\n\n")[0]
    source = (importlib.import_module(cls.__module__).__doc__ or "").split("\n\n")[0]
    declares: Loss = cls.declares
    scale = f"{declares.scale.value:g}; {declares.scale.source}"
    cells = (f"`{name}`", about, source, _reads(declares), f"x{declares.cost:g}", scale)
    return f"| {' | '.join(map(cell, cells))} |\n"


def _reads(declares: Loss) -> str:
    """What a loss reads, beside the student's logits."""
    of = "each member of an ensemble" if declares.members else declares.reads_of
    teacher = [f"{of}: {', '.join(sorted(declares.reads)) or 'logits'}"] if of else []
    student = [f"student: {', '.join(sorted(declares.student_reads))}"] if declares.student_reads else []
    parts = [*teacher, *student] or ["labels"]
    return "; ".join([*parts, *(["the whole batch"] if declares.batch_statistic else [])])


def _runs(name: str) -> str:
    return losses.table(losses.read(ROOT / "benchmarks" / f"{name}.jsonl")) + "\n"


def _selections() -> str:
    runs = losses.lines(ROOT / "benchmarks" / "selections-fashion_mnist.jsonl")
    return selections.table(runs) + "\n"


if __name__ == "__main__":
    sys.exit(write(PAGE, page(PAGE.read_text(encoding="utf-8")), sys.argv[1:], script=Path(__file__)))
