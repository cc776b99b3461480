"""How large the package's folders, files and functions are, and which of them are too large.

    python tools/sizes.py            the tables
    python tools/sizes.py --check    the same; exit code 1 where a bar is exceeded

The bars: a folder (without its subfolders) holds at most 12 % of the package's lines, the kinds of components excepted,
which grow by a file a component; at most 6 files have more than 300 lines, and none has more than 400; at most 0.8 % of
the functions have a cyclomatic complexity above 10 as `radon cc` counts it; and no function has more than six
parameters, keyword-only ones included.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from radon.complexity import cc_visit
from radon.visitors import Class, Function

from autokd import catalog

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "autokd"
FOLDER_SHARE = 0.12
LONG, LONGEST, MANY_LONG = 300, 400, 6
"""Lines of a file above which it is long, or too long; and how many may be long."""
COMPLEX, COMPLEX_SHARE = 10, 0.008
"""Complexity of a function above which it is complex, and the share of functions that may be."""
PARAMETERS = 6
KINDS = frozenset(PACKAGE / kind for kind in catalog.KINDS)
"""Folders of components: one file each."""


class Measured(NamedTuple):
    """A function as the tables name it, with a number of it.

    Args:
      name: "file: function" or "file: Class.method".
      line: where it begins.
      value: its complexity, or the number of its parameters.
    """

    name: str
    line: int
    value: int


def main() -> int:
    """Print the tables; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail where a bar is exceeded")
    chosen = parser.parse_args()
    sources = {path: path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
    lines = {path: len(source.splitlines()) for path, source in sources.items()}
    problems = [
        *_show_folders(lines),
        *_show_files(lines),
        *_show_complexity(_of_all(sources, complexities)),
        *_show_parameters(_of_all(sources, parameters)),
    ]
    print("\n" + "\n".join([f"too large: {problem}" for problem in problems] or ["all within the bars"]))
    return int(chosen.check and bool(problems))


def _of_all(sources: Mapping[Path, str], measure: Callable[[Path, str], Iterator[Measured]]) -> list[Measured]:
    return [function for path, source in sources.items() for function in measure(path, source)]


def complexities(path: Path, source: str) -> Iterator[Measured]:
    """Yield the complexity of each function of a module; one inside another counts for itself, not for the other."""
    yield from _complexities(cc_visit(source), f"{_name(path)}: ")


def _complexities(blocks: Sequence[Class | Function], prefix: str) -> Iterator[Measured]:
    for block in blocks:
        if isinstance(block, Function):
            name = f"{prefix}{block.fullname}"
            yield Measured(name, block.lineno, block.complexity)
            yield from _complexities(block.closures, f"{name}.")
        else:
            for inner in block.inner_classes:
                yield from _complexities([*inner.methods, inner], f"{prefix}{block.name}.")


def parameters(path: Path, source: str) -> Iterator[Measured]:
    """Yield the number of parameters of each function of a module, but for `self`, `cls`, `*args` and `**kwargs`."""
    yield from _parameters(ast.parse(source), f"{_name(path)}: ")


def _parameters(parent: ast.AST, prefix: str) -> Iterator[Measured]:
    for node in ast.iter_child_nodes(parent):
        inside = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            of = node.args
            bound = isinstance(parent, ast.ClassDef) and not any(map(_is_static, node.decorator_list))
            count = len(of.posonlyargs) + len(of.args) + len(of.kwonlyargs) - bound
            yield Measured(f"{prefix}{node.name}", node.lineno, count)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = f"{prefix}{node.name}."
        yield from _parameters(node, inside)


def _is_static(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id == "staticmethod"


def _show_folders(lines: Mapping[Path, int]) -> list[str]:
    """Print the folders, largest first; return what exceeds a bar."""
    folders: Counter[Path] = Counter()
    for path, count in lines.items():
        folders[path.parent] += count
    total = folders.total()
    print(f"lines of {len(folders)} folders, without their subfolders (at most {FOLDER_SHARE:.0%}):")
    for folder, count in folders.most_common():
        note = "  (components)" if folder in KINDS else ""
        print(f"  {_name(folder):<24} {count:>6}  {100 * count / total:>5.1f} %{note}")
    print(f"  {'total':<24} {total:>6}")
    shares = {folder: count / total for folder, count in folders.items() if folder not in KINDS}
    return [
        f"{_name(folder)} holds {share:.1%} of the lines" for folder, share in shares.items() if share > FOLDER_SHARE
    ]


def _show_files(lines: Mapping[Path, int]) -> list[str]:
    """Print the long files, longest first; return what exceeds a bar."""
    long = sorted(((count, _name(path)) for path, count in lines.items() if count > LONG), reverse=True)
    print(
        f"\n{len(long)} of {len(lines)} files are longer than {LONG} lines (at most {MANY_LONG}, none above {LONGEST}):"
    )
    print("\n".join(f"  {count:>4}  {name}" for count, name in long))
    too_many = [f"{len(long)} files have more than {LONG} lines"] if len(long) > MANY_LONG else []
    return [*(f"{name} has {count} lines" for count, name in long if count > LONGEST), *too_many]


def _show_complexity(functions: Sequence[Measured]) -> list[str]:
    """Print the complex functions, the most complex first; return what exceeds a bar."""
    complex_ones = [function for function in functions if function.value > COMPLEX]
    share = len(complex_ones) / len(functions)
    print(
        f"\n{len(complex_ones)} of {len(functions)} functions ({100 * share:.1f} %) have a complexity above {COMPLEX} "
        f"(at most {100 * COMPLEX_SHARE:.1f} %):"
    )
    _show(complex_ones)
    above = share > COMPLEX_SHARE
    return [f"{100 * share:.1f} % of the functions have a complexity above {COMPLEX}"] if above else []


def _show_parameters(functions: Sequence[Measured]) -> list[str]:
    """Print the functions with many parameters, most first; return what exceeds a bar."""
    wide = [function for function in functions if function.value > PARAMETERS]
    print(f"\n{len(wide)} functions have more than {PARAMETERS} parameters (none may):")
    _show(wide)
    return [f"{one.name} has {one.value} parameters" for one in wide]


def _show(functions: Sequence[Measured]) -> None:
    for function in sorted(functions, key=lambda one: (-one.value, one.name)):
        print(f"  {function.value:>4}  {function.name} (line {function.line})")


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    raise SystemExit(main())
