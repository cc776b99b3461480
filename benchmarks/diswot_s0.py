"""DisWOT on its own benchmark: 64 students whose distilled accuracy its authors published, beside counting parameters.

    OMP_NUM_THREADS=1 python -m benchmarks.diswot_s0 --table FILE --images DIR [--seeds 5]

`--table` is `diswot_s0_cifar100_kd.csv`: residual networks of 1, 3, 5 or 7 blocks in each of three stages (S0), their
distilled accuracy on CIFAR-100 (one run each), and the order in which the authors' figure has them. Each is scored as
the paper does, on a batch of 64 pictures (`--images` holds cifar-100-python) beside a random teacher of 18 blocks a
stage, with the weights that such networks begin with here (He) and with N(0, 1) weights as the released scripts have
them. A seed draws weights and batch; proxies without a teacher are scored at the first one only. Scores are kept in
`--runs` (by default `benchmarks/diswot_s0.jsonl`). Intervals are 95 % bootstrap intervals over students. Some four CPU
minutes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from autokd.components import StudentComponent
from autokd.networks.models import as_output, seeded
from autokd.proxies._grad_norm import grad_norm
from autokd.proxies._nwot import code_kernel, log_determinant
from autokd.proxies._snip import snip
from autokd.proxies.gradients import weight_gradients
from autokd.proxies.resemblance import Answers, relation_of, semantic_of
from autokd.proxies.untrained import gaussian_, scored
from autokd.spec import make
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Output
from benchmarks import common
from benchmarks.losses import append, lines
from benchmarks.ranks import kendall, told
from benchmarks.transfer_data import cifar100

BATCH, CLASSES, TEACHER = 64, 100, 18
TASK = task_of((3, 32, 32), classes=CLASSES)


def main() -> None:
    """Score what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/diswot_s0.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    table = pd.read_csv(asked.table)
    done = {run["seed"] for run in lines(asked.runs)}
    for seed in [seed for seed in range(asked.seeds) if seed not in done]:
        began = time.process_time()
        inputs, labels = pictures(asked.images, seed)
        teachers = {False: said(network(TEACHER, TEACHER, TEACHER, seed), inputs)}
        teachers[True] = said(gaussian_(network(TEACHER, TEACHER, TEACHER, seed), seed), inputs)
        rows = {
            name: resemblance(network(*blocks, seed + 1000), teachers, inputs, labels)
            for name, blocks in students(table).items()
        }
        if not seed:
            for name, blocks in students(table).items():
                rows[name] |= rivals(network(*blocks, seed + 1000), inputs, labels)
        append(asked.runs, {"seed": seed, "seconds": round(time.process_time() - began, 1), "scores": rows})
        print(seed, flush=True)
    print(f"{common.machine()}\n{report(table, lines(asked.runs))}")


def students(table: pd.DataFrame) -> dict[str, tuple[int, int, int]]:
    """Return the blocks of the students' stages, by the names that the table has for them."""
    columns = [table[name].astype(int).tolist() for name in ("struct", "d1", "d2", "d3")]
    return {str(name): (first, second, third) for name, first, second, third in zip(*columns, strict=True)}


def network(first: int, second: int, third: int, seed: int) -> nn.Module:
    """Return a network of so many blocks, drawn from a seed, in the mode that proxies score it in."""
    component: StudentComponent = make(
        "students", "resnet_cifar", {"blocks1": first, "blocks2": second, "blocks3": third}
    )
    with seeded(seed):
        built = scored(component.build(BuildContext(task=TASK)))
    return cast(nn.Module, built.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def pictures(folder: Path, seed: int) -> tuple[Tensor, Tensor]:
    """Return a batch of training pictures, normalised, and their labels."""
    images, numbers, _ = cifar100(folder, train=True)
    rows = np.random.default_rng(seed).choice(len(images), BATCH, replace=False)
    pixels = torch.from_numpy(images[rows]).permute(0, 3, 1, 2).float() / 255
    normal = (pixels - pixels.mean((0, 2, 3), keepdim=True)) / pixels.std((0, 2, 3), keepdim=True)
    return normal.contiguous(memory_format=torch.channels_last), torch.from_numpy(numbers[rows]).long()


@torch.no_grad()
def said(model: nn.Module, inputs: Tensor) -> Output:
    """Return a network's answer to the batch."""
    return as_output(model(inputs))


def resemblance(student: nn.Module, teachers: dict[bool, Output], inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the scores beside the teachers; the student's weights are drawn again for the second one."""
    scores: dict[str, float] = {}
    for gaussian, suffix in ((False, ""), (True, ", N(0, 1)")):
        both = Answers(teachers[gaussian], said(gaussian_(student, 1) if gaussian else student, inputs))
        relation, semantic = relation_of(both), semantic_of(both, labels)
        released = relation_of(both, as_released=True)
        scores |= {f"diswot{suffix}": relation + semantic, f"diswot as released{suffix}": released + semantic}
        scores |= {f"diswot_relation{suffix}": relation, f"diswot_semantic{suffix}": semantic}
        scores |= {f"diswot_relation as released{suffix}": released}
    return scores


def rivals(student: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the scores of proxies that know no teacher."""
    layers = weight_gradients(student, inputs, labels)
    kernel = code_kernel(student, inputs)
    return {"snip": snip(layers), "grad_norm": grad_norm(layers), "nwot": log_determinant(kernel)}


def report(table: pd.DataFrame, runs: list[dict[str, Any]]) -> str:
    """Return the rank correlations with distilled accuracy, of counts, the authors' order and the proxies."""
    distilled = table["kd"].to_numpy(float)
    known = {
        "params": table["params"],
        "macs": table["flops"],
        "depth": table["depth"],
        "accuracy without a teacher": table["cls"],
        "DisWOT, the authors' own order": table["diswot_rank_authors_fig"],
    }
    text = ["| score | tau, mean of seeds' scores | one seed, mean | tau between seeds |", "|---|---|---|---|"]
    text += [f"| {name} | {told(column.to_numpy(float), distilled)} | | |" for name, column in known.items()]
    for name in runs[0]["scores"][str(table["struct"][0])]:
        having = [run["scores"] for run in runs if name in run["scores"][str(table["struct"][0])]]
        seeds = np.array([[scores[str(each)][name] for each in table["struct"]] for scores in having])
        one = np.mean([kendall(row, distilled) for row in seeds])
        pairs = [kendall(a, b) for i, a in enumerate(seeds) for b in seeds[i + 1 :]]
        between = f"{np.mean(pairs):.2f}" if pairs else ""
        text.append(f"| {name} | {told(seeds.mean(0), distilled)} | {one:.2f} | {between} |")
    return "\n".join(text)


if __name__ == "__main__":
    main()
