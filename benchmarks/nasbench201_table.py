"""What the scores of `benchmarks.nasbench201` say: agreement with NASLib, rank against accuracy, and combinations.

    python -m benchmarks.nasbench201_table --tables DIR

Three tables. Agreement: Spearman with NASLib's scores of the same cells, beside that of two seeds of ours where both
were run. Accuracy: Kendall's tau with test accuracy after 200 epochs, three sets of data, 95 % bootstrap intervals over
cells, and the mean tau inside five strata of equally many parameters. Combinations: two without labels, named before
anything was looked at (mean rank of MACs, nwot and snip; the sum of log ranks of AZ-NAS), the mean rank of the three
that order one half of the cells best, and a ridge regression on ranks that learns from that half. They are compared,
paired and on the other half only, with MACs (which order cells as parameters do), parameters on a live path, and the
one of NASLib's proxies that is best on the first half.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from benchmarks.losses import lines
from benchmarks.nasbench201 import naslib
from benchmarks.ranks import (
    Values,
    apart,
    apart_within,
    kendall,
    log_rank_sum,
    rank_mean,
    ranked,
    spearman,
    told,
    told_spearman,
    told_within,
    within,
)

SETS = {"CIFAR-10": "c10_test200", "CIFAR-100": "c100_test200", "ImageNet16-120": "in16_test200"}
THEIRS = {
    "params": "params",
    "macs": "flops",
    "grad_norm": "grad_norm",
    "snip": "snip",
    "grasp": "grasp",
    "fisher": "fisher",
    "synflow": "synflow",
    "jacob_cov": "jacov",
    "nwot": "nwot",
}
"""Our proxies that NASLib scored, too, and its names for them."""
PUBLISHED = ("synflow", "grasp", "fisher", "grad_norm", "l2_norm", "plain", "nwot", "epe_nas", "jacov", "snip")
SIZES = ("params", "macs", "depth", "path_params")
LEARNED_FROM = (
    *SIZES,
    *("grad_norm", "snip", "synflow", "jacob_cov", "nwot", "zico"),
    *("az_expressivity", "az_progressivity", "az_trainability"),
)
STRATA = 5


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/nasbench201.jsonl"))
    asked = parser.parse_args()
    scores = {seed: scored(asked.runs, seed) for seed in (0, 1)}
    published = naslib(asked.tables).loc[scores[0].index]
    accuracy = pd.read_csv(asked.tables / "nb201_merged.csv.gz").set_index("arch").loc[scores[0].index]
    print(f"{len(scores[0])} cells\n\n{agreement(scores, published)}")
    print(f"\n{against_accuracy(scores[0], accuracy)}\n\n{combinations(scores[0], published, accuracy)}")


def scored(runs: Path, seed: int) -> pd.DataFrame:
    """Return the scores at a seed, a row a cell, in the order of the draw."""
    rows = {run["cell"]: run["scores"] for run in lines(runs) if run["seed"] == seed}
    return pd.DataFrame.from_dict(rows, orient="index").astype(float)


def agreement(scores: dict[int, pd.DataFrame], published: pd.DataFrame) -> str:
    """Return how alike our ranks and NASLib's are, and ours at two seeds."""
    both = scores[0].index.intersection(scores[1].index)
    text = [f"| proxy | with NASLib's | with NASLib's, {len(both)} cells | our two seeds, {len(both)} cells |"]
    text.append("|---" * 4 + "|")
    for ours, theirs in THEIRS.items():
        a, b = scores[0][ours].to_numpy(float), published[theirs].to_numpy(float)
        seeds = [table.loc[both, ours].to_numpy(float) for table in scores.values()] if len(both) else []
        few = published.loc[both, theirs].to_numpy(float)
        between = f"{spearman(seeds[0], few):.3f} | {spearman(*seeds):.3f}" if seeds else "|"
        text.append(f"| `{ours}` | {told_spearman(a, b)} | {between} |")
    return "\n".join(text)


def against_accuracy(scores: pd.DataFrame, accuracy: pd.DataFrame) -> str:
    """Return tau with accuracy on each set, and inside strata of parameters."""
    heads = [f"{name} | inside strata" for name in SETS]
    text = [f"| proxy | {' | '.join(heads)} |", "|---" * (1 + 2 * len(SETS)) + "|"]
    size = scores["params"].to_numpy(float)
    middle = accuracy[SETS["CIFAR-100"]].to_numpy(float)
    order = [-kendall(scores[name].to_numpy(float), middle) for name in scores]
    for name in scores.columns[np.argsort(order)]:
        column = scores[name].to_numpy(float)
        cells = [
            f"{told(column, target)} | {within(column, target, size, STRATA):.2f}"
            for target in (accuracy[each].to_numpy(float) for each in SETS.values())
        ]
        text.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(text)


def combinations(scores: pd.DataFrame, published: pd.DataFrame, accuracy: pd.DataFrame) -> str:
    """Return tau of the combinations on the second half of the cells, and the differences to their rivals, paired."""
    half = len(scores) // 2
    text = [f"| {len(scores) - half} held-out cells | tau | inside strata | minus best of NASLib's | minus MACs |"]
    text[0] = text[0] + " minus live parameters | minus those, inside strata |"
    text.append("|---" * 7 + "|")
    for title, name in SETS.items():
        target = accuracy[name].to_numpy(float)
        best = max(PUBLISHED, key=lambda each: kendall(published[each].to_numpy(float)[:half], target[:half]))
        sizes = [scores[each].to_numpy(float) for each in ("macs", "path_params")]
        rivals = [published[best].to_numpy(float), *sizes]
        for label, column in combined(scores, target, half).items():
            held = slice(half, None)
            size = scores["params"].to_numpy(float)[held]
            gains = " | ".join(apart(column[held], rival[held], target[held]) for rival in rivals)
            inside = told_within(column[held], target[held], size, STRATA)
            ahead = apart_within(column[held], rivals[-1][held], target[held], size, STRATA)
            text.append(f"| {title}, {label} | {told(column[held], target[held])} | {inside} | {gains} | {ahead} |")
        for label, rival in zip((f"NASLib's `{best}`", "MACs", "live parameters"), rivals, strict=True):
            inside = told_within(rival[held], target[held], size, STRATA)
            text.append(f"| {title}, {label} | {told(rival[held], target[held])} | {inside} | | | | |")
    return "\n".join(text)


def combined(scores: pd.DataFrame, target: Values, half: int) -> dict[str, Values]:
    """Return the combinations by name, a value a cell; the learned one has seen the targets of the first half."""
    columns = {str(name): scores[name].to_numpy(float) for name in scores}
    az = [columns[f"az_{part}"] for part in ("expressivity", "progressivity", "trainability")]
    features = np.stack([ranked(columns[name]) for name in LEARNED_FROM], 1) / len(scores) - 0.5
    model = Ridge(alpha=1.0).fit(features[:half], ranked(target[:half]))
    best = best_three(columns, target, half)
    chosen = ", ".join(f"`{name}`" for name in best)
    return {
        "mean rank of `macs`, `nwot`, `snip`": rank_mean(columns["macs"], columns["nwot"], columns["snip"]),
        "AZ-NAS: log ranks of its parts and `macs`": log_rank_sum(*az, columns["macs"]),
        f"mean rank of {chosen}, chosen by {half} labels": rank_mean(*(columns[name] for name in best)),
        f"ridge on ranks, {half} labels": np.asarray(model.predict(features), float),
    }


def best_three(columns: dict[str, Values], target: Values, half: int) -> tuple[str, ...]:
    """Return the three proxies whose mean rank orders the first half best."""
    seen = {name: ranked(columns[name][:half]) for name in LEARNED_FROM}
    order = np.sign(np.subtract.outer(target[:half], target[:half]))

    def agreement(names: tuple[str, ...]) -> float:
        mean = rank_mean(*(seen[name] for name in names))
        return float((np.sign(np.subtract.outer(mean, mean)) * order).sum())

    return max(itertools.combinations(LEARNED_FROM, 3), key=agreement)


if __name__ == "__main__":
    main()
