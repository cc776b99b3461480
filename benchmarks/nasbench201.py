"""The proxies on cells of NAS-Bench-201: beside scores that NASLib published, and against accuracy.

    OMP_NUM_THREADS=1 python -m benchmarks.nasbench201 --tables DIR --images DIR [--cells 300]

`--tables` holds `nb201_merged.csv.gz`, accuracies of all 15,625 cells after 200 epochs, and
`naslib_zc_nb201_sample.csv.gz`, some 725 cells with NASLib's scores on CIFAR-10. Cells are drawn from the second, once
and for all. Each is built as in the benchmark (16 channels, five cells a stage, 10 classes) and scored on one batch of
32 pictures of CIFAR-100 (`--images` holds cifar-100-python), of ten of its classes, at one seed. The teacher of
DisWOT is a random network here, as in the paper: the S0 of DisWOT's largest. So what compares with a *trained* teacher
is not measured here.

What needs the same passes is computed together; the first cell checks that this gives the proxies' own scores. A cell
is appended to a file (`--runs`, by default `benchmarks/nasbench201.jsonl`) as it ends, and is not repeated. Some five
CPU seconds a cell. `--seed` scores again with other weights and pictures, to tell how much of a rank is chance.
`nasbench201_table` prints what the scores say.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autokd.components import StudentComponent
from autokd.networks import cost
from autokd.networks.models import NetworkTeacher, as_output, seeded
from autokd.proxies._fisher import fisher
from autokd.proxies._grad_norm import grad_norm
from autokd.proxies._jacob_cov import input_jacobian, spread_of_correlations
from autokd.proxies._nwot import code_kernel, log_determinant
from autokd.proxies._snip import snip
from autokd.proxies.blocks import block_outputs, spectral_entropy, trainability
from autokd.proxies.gradients import weight_gradients
from autokd.proxies.resemblance import Answers, relation_of, semantic_of
from autokd.proxies.untrained import gaussian_, scored, untrained_student
from autokd.spec import make
from autokd.students._nasbench201 import NASBench201
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Output, Proxy, ScreenInput, Shapes
from benchmarks import common
from benchmarks.losses import append, lines
from benchmarks.transfer_data import cifar100

BATCH, CLASSES, DRAWN = 32, 10, 0
TASK = task_of((3, 32, 32), classes=CLASSES)
TEACHER = {"blocks1": 7, "blocks2": 7, "blocks3": 7}
PLACES = (0, 1, 3, 2, 4, 5)
"""Where NASLib keeps the i-th edge of a cell as the benchmark writes it."""
OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""NASLib's numbers of operations."""
ALONE = ("params", "depth", "path_params", "grasp", "synflow", "zico", "zen")
"""Proxies that share no pass with another."""
Values = NDArray[np.float64]


class Fixed(NamedTuple):
    """A teacher that has answered the one batch."""

    output: Output
    offers: Shapes
    fingerprint: str = "random"
    origin: str = "random weights"
    params: int = 0
    head: None = None

    def predict(self, inputs: Any) -> Output:
        """Return the answer."""
        return self.output

    def to(self, device: torch.device) -> Fixed:
        """Return itself."""
        return self


def main() -> None:
    """Score the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/nasbench201.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    done = {(run["cell"], run["seed"]) for run in lines(asked.runs)}
    batch = pictures(asked.images, asked.seed)
    teacher = random_teacher(batch[0])
    for cell in cells_of(asked.tables)[: asked.cells]:
        if (cell, asked.seed) not in done:
            screen = screened(cell, *batch, teacher, asked.seed)
            if not done:
                check(screen)
            began = time.process_time()
            scores = shared(screen) | dict(alone(screen))
            seconds = round(time.process_time() - began, 2)
            append(asked.runs, {"cell": cell, "seed": asked.seed, "seconds": seconds, "scores": rounded(scores)})
            done.add((cell, asked.seed))
            print(cell, seconds, flush=True)
    print(common.machine())


def cells_of(tables: Path) -> list[str]:
    """Return the cells that NASLib scored on CIFAR-10, as the benchmark writes them, in the order of the draw."""
    published = naslib(tables)
    return list(published.sample(frac=1, random_state=DRAWN).index)


def naslib(tables: Path) -> pd.DataFrame:
    """Return NASLib's scores on CIFAR-10, a row a cell."""
    table = pd.read_csv(tables / "naslib_zc_nb201_sample.csv.gz")
    table = table[table["dataset"] == "cifar10"]
    return table.assign(cell=table["arch_op_indices"].map(written)).drop_duplicates("cell").set_index("cell")


def written(indices: str) -> str:
    """Return a cell as the benchmark writes it, given NASLib's tuple of operations as text."""
    numbers = [int(each) for each in indices.strip("()").split(",")]
    names = [OPERATIONS[numbers[place]] for place in PLACES]
    fields: dict[str, Any] = dict(zip(NASBench201.OPERATION_FIELDS, names, strict=True))
    return NASBench201(**fields).cell


def pictures(folder: Path, seed: int) -> tuple[Tensor, Tensor]:
    """Return the batch of a seed, training pictures of the first ten classes in their order, normalised, and labels."""
    images, numbers, _ = cifar100(folder, train=True)
    few = np.flatnonzero(numbers < CLASSES)[seed * BATCH : (seed + 1) * BATCH]
    pixels = torch.from_numpy(images[few]).permute(0, 3, 1, 2).float() / 255
    mean, deviation = (pixels.transpose(0, 1).flatten(1).mean(1), pixels.transpose(0, 1).flatten(1).std(1))
    normal = (pixels - mean[:, None, None]) / deviation[:, None, None]
    return normal.contiguous(memory_format=torch.channels_last), torch.from_numpy(numbers[few]).long()


@torch.no_grad()
def random_teacher(inputs: Tensor) -> Fixed:
    """Return what a residual network with weights from N(0, 1) says of the batch, normalised over the batch."""
    with seeded(0):
        component: StudentComponent = make("students", "resnet_cifar", TEACHER)
        network = gaussian_(scored(component.build(BuildContext(task=TASK))), 0)
    return Fixed(as_output(network(inputs)), NetworkTeacher([network], TASK, origin="").offers)


def screened(cell: str, inputs: Tensor, labels: Tensor, teacher: Fixed, seed: int) -> ScreenInput:
    """Return what a proxy sees of a cell's network."""
    component = NASBench201.of_cell(cell)

    def build(chosen: int) -> nn.Module:
        with seeded(chosen):
            network = component.build(BuildContext(task=TASK))
        return cast(nn.Module, network.to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    return ScreenInput(build=build, task=TASK, inputs=inputs, labels=labels, teacher=teacher, seed=seed)


def shared(screen: ScreenInput) -> dict[str, float]:
    """Return the scores whose passes are shared."""
    network, inputs = untrained_student(screen), screen.inputs
    layers = weight_gradients(network, inputs, screen.labels)
    scores = {"grad_norm": grad_norm(layers), "snip": snip(layers), "fisher": fisher(network, inputs, screen.labels)}
    scores["jacob_cov"] = spread_of_correlations(input_jacobian(network, inputs))
    scores["nwot"] = log_determinant(code_kernel(network, inputs))
    scores["macs"] = float(cost.macs(network, TASK))
    teacher = cast(Fixed, screen.teacher).output
    for suffix, student in (("", network), ("_gaussian", gaussian_(untrained_student(screen), screen.seed))):
        with torch.no_grad():
            both = Answers(teacher, as_output(student(inputs)))
        relation, semantic = relation_of(both), semantic_of(both, screen.labels)
        scores |= {f"diswot_relation{suffix}": relation, f"diswot_semantic{suffix}": semantic}
        scores |= {f"diswot{suffix}": relation + semantic}
        scores[f"diswot_as_released{suffix}"] = relation_of(both, as_released=True) + semantic
    return scores | az_parts(screen)


def az_parts(screen: ScreenInput) -> dict[str, float]:
    """Return the three scores of AZ-NAS."""
    maps = block_outputs(untrained_student(screen), screen.inputs)
    generator = torch.Generator().manual_seed(screen.seed)
    entropies = torch.tensor([spectral_entropy(each) for each in maps])
    trainable = [trainability(*pair, generator) for pair in itertools.pairwise(maps)]
    return {
        "az_expressivity": float(entropies.sum()),
        "az_progressivity": float(entropies.diff().min()),
        "az_trainability": sum(trainable) / len(trainable),
    }


def alone(screen: ScreenInput) -> Iterator[tuple[str, float]]:
    """Yield the scores that share no pass."""
    for name in ALONE:
        yield name, proxy(name, screen)(screen)


def proxy(name: str, screen: ScreenInput, **fields: Any) -> Proxy:
    """Return a proxy by its name."""
    offers = cast(Fixed, screen.teacher).offers
    built: Proxy = make("proxies", name, fields).build(BuildContext(task=TASK, teacher=offers))
    return built


def check(screen: ScreenInput) -> None:
    """Refuse to go on where a shared pass gives another score than the proxy by itself."""
    found = shared(screen)
    own: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in found if not name.startswith("diswot")}
    for name in ("diswot", "diswot_relation", "diswot_semantic"):
        own |= {name: (name, {}), f"{name}_gaussian": (name, {"gaussian": True})}
    own["diswot_as_released_gaussian"] = ("diswot", {"gaussian": True, "as_released": True})
    for name, (use, fields) in own.items():
        value = proxy(use, screen, **fields)(screen)
        if not math.isclose(value, found[name], rel_tol=1e-4):
            raise SystemExit(f"{name}: {found[name]} with shared passes, {value} by itself")


def rounded(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the scores with seven digits."""
    return {name: float(f"{value:.7g}") for name, value in scores.items()}


if __name__ == "__main__":
    main()
