"""How often a study's records are read by string keys: `claim["arms"]`, `row.get("mean")`, `"front" in claim`.

    python tools/keys.py             a table by file
    python tools/keys.py --keys      a table by key
    python tools/keys.py --check     the first table; exit code 1 above the bar

Claims, choices, designs, candidates and settings have a home, `autokd/study/`, where they become typed values once.
Whoever reads them by key elsewhere knows their spelling by heart, and no type checker can tell that he does.

**The rule.** In every module of the package but those of `autokd/study/` and those below it in the layers (`BELOW`),
this counts: a subscript that is read, `.get(…)`, `.pop(…)`, `.setdefault(…)`, `itemgetter(…)`, `in`, `not in` and a key
of a `match` pattern, where the key is a string and one of `KEYS`. What the mapping is called and how it came there
makes no difference, so no renaming lowers the number; nor does a name for the key, since the package's constants that
hold such a string count like the string itself. A `{"key": value}` that is written does not count.

The rule takes the spelling for the meaning: a mapping of another kind that happens to have the same key counts too
(`metrics["test"]` of a bundle). That is the price of a rule that can't be argued with, and the bar leaves room for it.
What a mapping holds by a name that a user or a component chose (arms, metrics, costs, proxies, fields of components) is
no key of `KEYS`. Plain pipelines are counted in a column of their own, since their home is another one.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "autokd"
BAR = 40
"""So many keyed reads may be left."""
HOME = "study"
"""The folder where records become values."""
BELOW = frozenset(
    {"augments", "datasets", "heads", "inits", "losses", "modalities", "optimizers", "proxies", "schedules", "students"}
    | {"selections", "teachers"}
    | {"data", "engine", "imaging", "networks", "space", "spec"}
    | {
        "catalog.py",
        "checks.py",
        "compat.py",
        "components.py",
        "data_types.py",
        "declarations.py",
        "errors.py",
        "faults.py",
        "files.py",
        "input_kind.py",
    }
    | {"batching.py", "metrics.py", "objective.py", "ranges.py", "seeds.py", "tables.py", "types.py"}
)
"""Files and folders that stand beside or below `study` in the layers: they see no record."""

RECORDS: Mapping[str, tuple[str, ...]] = {
    "study.yaml": (
        *("name", "created", "identity", "settings", "versions", "machine", "data", "teacher", "dropped", "time_plan"),
    ),
    "identity": (
        *("space", "data", "teacher", "objective", "objective_order", "rungs", "budget", "seed", "slots"),
        *("bank_features", "latency_device", "reference", "fingerprint"),
    ),
    "budget": (
        *("trials", "epochs", "rungs", "eta", "branch", "views", "recipes", "noise_seeds", "finalists", "select_seeds"),
        *("grid", "choose_seeds", "claim_seeds", "fresh_claim", "ablation_seeds", "train_epochs", "teacher_epochs"),
    ),
    "settings": (
        *("trials", "epochs", "max_params", "max_macs", "max_size", "max_latency", "time", "space", "device", "seed"),
        *("data_dir", "cache", "threads", "value", "from"),
    ),
    "machine": ("device", "name", "threads", "native_bfloat16", "system"),
    "data": ("name", "modality", "classes", "input_shape", "train", "validation", "test", "card", "task"),
    "card": (
        *("name", "modality", "input_shape", "classes", "samples", "class_counts", "official", "also_in_train"),
        *("skipped_files", "dropped_columns", "fingerprint", "train", "validation", "test"),
    ),
    "teacher": (
        *("origin", "fingerprint", "validation_accuracy", "validation_metrics", "may_have_seen_validation", "offers"),
    ),
    "time plan": ("seconds", "budget", "limit_train", "whole_data", "teacher_epochs", "grid", "reason"),
    "screened student": ("proxies", "score"),
    "failure": ("kind", "reason"),
    "choice": ("round", "trials", "trial", "candidates", "most_seeds", "reason"),
    "candidate": ("trial", "scores", "mean", "dropped_after", "tied", "objectives", "on_front"),
    "design": ("stage", "round", "arms", "seeds", "target", "detectable", "noise", "reason"),
    "noise": ("sd", "df", "mean"),
    "claim": (
        *("round", "trials", "trial", "pipeline", "epochs", "seeds", "arms", "metric", "teacher", "comparator"),
        *("comparisons", "prediction_interval", "gap_closed", "n_test", "cost", "front"),
    ),
    "arm": ("pipeline", "validation", "test"),
    "comparison": (
        *("difference", "low", "high", "standard_error", "df", "detectable", "verdict", "seeds_needed", "text"),
    ),
    "bank": ("hits", "computed", "dropped", "policies", "groups", "bytes", "hit_rate", "lost_mass"),
    "profile": ("total", "parts"),
}
"""The keys of each kind of record, as `docs/formats.md` and the code that writes them have it."""
KEYS = frozenset(key for keys in RECORDS.values() for key in keys)
PIPELINE = frozenset(
    {"student", "head", "init", "augment", "losses", "optimizer", "schedule", "batch_size", "ema", "qat", "use"}
)
"""The keys of a plain pipeline, which has its own home, `autokd/spec.py`; shown, without a bar."""
READERS = frozenset({"get", "pop", "setdefault"})
"""Methods of a mapping whose first argument is the key that is read."""


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", action="store_true", help="by key, not by file")
    parser.add_argument("--check", action="store_true", help=f"fail above {BAR}")
    chosen = parser.parse_args()
    reads = count_reads(PACKAGE)
    counts: Counter[tuple[str, bool]] = Counter()
    for file, keys in reads.items():
        for key, count in keys.items():
            counts[key if chosen.keys else f"autokd/{file}", key in KEYS] += count
    rows = sorted({name for name, _ in counts}, key=lambda name: (-counts[name, True], -counts[name, False], name))
    total = sum(count for (_, of_record), count in counts.items() if of_record)
    width = max([len("total"), *map(len, rows)])
    print(f"{'':<{width}}  records  pipelines")
    for name in rows:
        print(f"{name:<{width}}  {counts[name, True]:>7}  {counts[name, False]:>9}")
    print(f"{'total':<{width}}  {total:>7}  {counts.total() - total:>9}   (records: at most {BAR})")
    return int(chosen.check and total > BAR)


def count_reads(package: Path) -> dict[str, Counter[str]]:
    """Return how often each module reads each key, by the module's path inside the package."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))}
    constants = {name: value for tree in trees.values() for name, value in _constants(tree)}
    reads = {}
    for path, tree in trees.items():
        inside = path.relative_to(package)
        if inside.parts[0] not in BELOW | {HOME}:
            keys = Counter(key for key in _keys_read(tree, constants) if key in KEYS | PIPELINE)
            if keys:
                reads[inside.as_posix()] = keys
    return reads


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of a module's names for strings."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        else:
            continue
        if isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str):
            yield from ((target.id, statement.value.value) for target in targets if isinstance(target, ast.Name))


def _keys_read(tree: ast.Module, constants: Mapping[str, str]) -> Iterator[str]:
    """Yield every string that a module looks up in a mapping."""
    for node in ast.walk(tree):
        for key in _looked_up(node):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value
            elif isinstance(key, ast.Name) and key.id in constants:
                yield constants[key.id]


def _looked_up(node: ast.AST) -> list[ast.expr]:
    """Return the keys that a piece of syntax looks up."""
    match node:
        case ast.Subscript(slice=key, ctx=ast.Load()):
            return [key]
        case ast.Call(func=ast.Attribute(attr=method), args=[key, *_]) if method in READERS:
            return [key]
        case ast.Call(func=ast.Name(id="itemgetter") | ast.Attribute(attr="itemgetter"), args=keys):
            return keys
        case ast.Compare(left=key, ops=[ast.In() | ast.NotIn(), *_]):
            return [key]
        case ast.MatchMapping(keys=keys):
            return keys
    return []


if __name__ == "__main__":
    raise SystemExit(main())
