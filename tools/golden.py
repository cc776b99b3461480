"""Whether two versions of autokd train and search alike, bit for bit: for every step of a restructuring.

    python tools/golden.py BASE          BASE is a git revision, for instance origin/main

The same searches run in a worktree of BASE and in the working tree, with the same settings and caches of their own.
What is compared: every trial (source, seed, pipeline, costs), every promotion, every epoch of every rung's curve with
loss and metrics, every run outside explore, and the logits of the claimed students. Seconds are left out, and so are
the names of arms and events that hold no number. The exit code is 1 where something differs.

The searches of the base are kept in a folder of the system's temporary one, so the second comparison with a base takes
half the time. The numbers themselves are written nowhere: they differ between processors.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("AUTOKD_TEST_DATA", ROOT.parent / "shared" / "data"))
TIMED = {"time", "seconds", "latency", "milliseconds", "date", "created"}
"""Keys that hold what a clock measured."""
NAMES = {"arm", "stage", "reason", "text"}
"""Keys that hold words."""
RENAMED = {"baseline:ce": "baseline:alone"}
"""Words that have changed."""


COLD = "--cold"
"""Past studies change with the version, so they are not asked; a version without them begins so anyway."""


class Case(NamedTuple):
    """A search that both versions run.

    Args:
      name: of the study.
      arguments: of `autokd search`.
      needs: a folder of real data without which it is left out, or None.
    """

    name: str
    arguments: tuple[str, ...]
    needs: Path | None = None


CASES = (
    Case("digits", ("--dataset", "digits", "--trials", "16", "--epochs", "9", "--limit-train", "400")),
    Case("breast_cancer", ("--dataset", "breast_cancer", "--trials", "16", "--epochs", "9")),
    Case(
        "fashion_mnist",
        (
            *("--dataset", "fashion_mnist", "--data-dir", str(DATA), "--limit-train", "300", "--image-size", "16"),
            *("--trials", "2", "--epochs", "9", "--space", "digits", "--max-params", "20k"),
        ),
        DATA / "fashion_mnist",
    ),
)


def main() -> int:
    """Run and compare all cases; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("base", help="a git revision to compare the working tree with")
    parser.add_argument("--case", choices=[case.name for case in CASES], help="this one alone")
    chosen = parser.parse_args()
    revision = _git("rev-parse", chosen.base)
    kept = Path(tempfile.gettempdir()) / f"autokd-golden-{revision[:12]}"
    cases = [case for case in CASES if chosen.case in (None, case.name)]
    differing = 0
    with tempfile.TemporaryDirectory(prefix="autokd-golden-") as folder:
        for case in cases:
            if case.needs is not None and not case.needs.is_dir():
                print(f"{case.name}: left out, {case.needs} is missing")
                continue
            before = _searched_at(revision, case, kept)
            after = _search(ROOT, case, Path(folder))
            lines = list(_differences(before, after))
            differing += bool(lines)
            print("\n".join([f"{case.name}: {'DIFFERS' if lines else 'alike'}", *lines[:20]]), flush=True)
    return int(bool(differing))


def _searched_at(revision: str, case: Case, kept: Path) -> Path:
    """Return the study that the base makes of a case, made once."""
    study = kept / case.name / "studies" / case.name
    if not (study / "golden-done").exists():
        tree = kept / "tree"
        if not tree.exists():
            kept.mkdir(parents=True, exist_ok=True)
            archive = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
            tree.mkdir()
            subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)
        _search(tree, case, kept)
        (study / "golden-done").touch()
    return study


def _search(tree: Path, case: Case, folder: Path) -> Path:
    """Run a case with the version in a tree; return the study's folder."""
    here = folder / case.name
    here.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(tree), "AUTOKD_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    cold = [COLD] if "    cold:" in (tree / "autokd" / "options" / "groups.py").read_text(encoding="utf-8") else []
    told = [*case.arguments, *cold, "--study", case.name, "--fresh", "--quiet"]
    command = [sys.executable, "-m", "autokd", "search", *told]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case.name} in {tree}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    return here / "studies" / case.name


def _differences(before: Path, after: Path) -> Iterator[str]:
    """Yield one line for each thing in which two studies differ."""
    one, other = dict(_facts(before)), dict(_facts(after))
    for key in [*one, *(key for key in other if key not in one)]:
        if one.get(key) != other.get(key):
            yield f"  {key}: {_short(one.get(key))} -> {_short(other.get(key))}"


def _facts(study: Path) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of what must be alike."""
    counts: dict[str, int] = {}
    for line in (study / "trials.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        kind = event["event"]
        if kind in ("trial", "refused", "promote", "rung", "failure", "run", "screen"):
            number = counts[kind] = counts.get(kind, -1) + 1
            yield from _flat(_untimed(event), f"{kind} {number}")
    for file in sorted((study / "confirm").glob("round*.safetensors")):
        yield from _tensors(file)


def _tensors(file: Path) -> Iterator[tuple[str, str]]:
    """Yield how often each tensor stands in a file; arms may have other names. Plain models came later than others."""
    from safetensors.torch import load_file

    digests = sorted(
        f"{tuple(tensor.shape)} {hashlib.sha256(tensor.contiguous().view(-1).numpy().tobytes()).hexdigest()[:16]}"
        for name, tensor in load_file(file).items()
        if not name.startswith("plain/")
    )
    yield from ((f"{file.name} {index}", digest) for index, digest in enumerate(digests))


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(item) for key, item in value.items() if key not in TIMED | NAMES}
    if isinstance(value, list):
        return [_untimed(item) for item in value]
    return RENAMED.get(value, value) if isinstance(value, str) else value


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}.{index}")
    else:
        yield path, value


def _short(value: Any) -> str:
    return repr(value)[:80]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
