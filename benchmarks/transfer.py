"""What pretrained weights are worth where there are few pictures: for the teacher, for the student, and together.

    python -m benchmarks.transfer --data DIR [--images 2000] [--epochs 6] [--seeds 3] [--work FOLDER]

DIR holds cifar-100-python. A residual network (depth 20, width 16) and a student (depth 8, width 16) are trained on 80
classes of CIFAR-100, 30,000 images, 6 epochs: they stand for networks with weights of ImageNet. Then 2,000 pictures of
the other 20 classes are drawn under each seed, a fifth of them for validation, and on these

- a teacher is fine-tuned from the pretrained one (`--fine-tune`), and one of the same form is trained from scratch for
  as many epochs as that takes in all;
- a student begins at random, from its pretrained weights, or as the fine-tuned teacher cut down, and learns from labels
  alone or beside the fine-tuned teacher's answers (KD, T = 4), for as many epochs each; KD from pretrained weights also
  at other learning rates;
- `autokd.search` looks for a pipeline with start, losses and optimizer free; what it finds is trained as long.

Accuracy is on all 2,000 test pictures of the 20 classes; nothing is chosen by it. Each run is appended to a file
(`--runs`) and is not repeated; the table, with 95 % t-intervals over seeds, is made from the file.
"""

from __future__ import annotations

import argparse
import functools
import math
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from scipy.stats import t as student_t

import autokd
from autokd import catalog, metrics
from autokd.data import DataOptions, load
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.loop import train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.views import to_device
from autokd.networks.models import seeded
from autokd.search.own_teacher import own_teacher
from autokd.search.request import Request
from autokd.spec import from_plain
from autokd.teaching.best_epoch import train_best
from autokd.teaching.recipe import Effort
from autokd.teaching.taught import load_described
from benchmarks import common
from benchmarks.losses import append, lines
from benchmarks.transfer_data import pretrained, write_pictures

CPU = torch.device("cpu")
LARGE, SMALL = ({"use": "resnet", "depth": depth, "width": 16} for depth in (20, 8))
TEACHER_EPOCHS = 6
"""Full length of fine-tuning; five short runs of one epoch come before it."""
SCRATCH_EPOCHS = TEACHER_EPOCHS + 5
RATES = {"at random": 0.1, "pretrained": 0.02, "the teacher cut down": 0.02}
"""Of SGD, as they are usual from scratch and from weights; they were not tuned."""
OTHER_RATES = (0.1, 0.01)
"""Of SGD that KD from pretrained weights is also run at: as from scratch, and a tenth of that."""
CUT = {"depth": 25, "width": 100, "importance": "magnitude"}
"""In per cent: one block a stage is left, so that it is the same network as the other students'."""
STARTS: Mapping[str, Mapping[str, Any]] = {
    "at random": {"student": SMALL},
    "pretrained": {"student": SMALL, "init": {"use": "pretrained"}},
    "the teacher cut down": {"student": {"use": "cut_teacher", "network": "resnet:depth=20,width=16", **CUT}},
}
LOSSES: Mapping[str, Mapping[str, Any]] = {
    "alone": {"ce": {"use": "ce", "label_smoothing": 0.0}},
    "KD": {"ce": {"use": "ce", "label_smoothing": 0.0}, "kd": {"use": "kd", "temperature": 4.0}},
}
SPACE = """\
student: {{always: {{resnet: {{depth: 8, width: 16}}}}}}
init: {{one_of: {{random: {{}}, pretrained: {{path: {weights}}}}}}}
augment: {{always: {{crop_flip: {{padding: 0.125, flip: true}}}}}}
losses: {{always: {{ce: {{label_smoothing: 0.0}}}}, any_of: {{at_most: 1, from: {{kd: {{}}, dist: {{}}, hint: {{}}}}}}}}
optimizer:
  one_of: {{sgd: {{learning_rate: {{float: [0.01, 0.2], log: true}}}}, adamw: {{}}}}
  from_weights:  # as in search_spaces/photos.yaml
    sgd: {{learning_rate: {{float: [0.001, 0.1], log: true}}}}
    adamw: {{learning_rate: {{float: [5.0e-5, 3.0e-3], log: true}}}}
schedule: {{always: {{cosine: {{}}}}}}
batch_size: 32
budget: {{trials: 8, epochs: 4, rungs: 2, recipes: 2, noise_seeds: 0, finalists: 1, select_seeds: 0, choose_seeds: 0,
         claim_seeds: 0, teacher_epochs: {epochs}}}
"""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("transfer"))
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/transfer-cifar100.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.work.mkdir(parents=True, exist_ok=True)
    files = {
        str(plain["depth"]): pretrained(asked.data, plain, asked.work / f"resnet{plain['depth']}.safetensors")
        for plain in (LARGE, SMALL)
    }
    folders = [write_pictures(asked.data, asked.images, seed, asked.work) for seed in range(asked.seeds)]
    transfers = [Transfer(folder, files, asked.epochs, seed, asked.runs) for seed, folder in enumerate(folders)]
    for part in (Transfer.started, Transfer.taught, Transfer.searched, Transfer.rated):
        for transfer in transfers:
            for run in part(transfer):
                append(asked.runs, run)
                print(run, flush=True)
    print(f"{common.machine()}; {asked.images} images, {asked.epochs} epochs, {asked.seeds} seeds")
    print(table(lines(asked.runs)))


class Transfer:
    """All runs on the pictures of one seed."""

    def __init__(self, folder: Path, files: Mapping[str, Path], epochs: int, seed: int, runs: Path) -> None:
        self._folder, self._files, self._epochs, self._seed, self._runs = folder, files, epochs, seed, runs
        self._data = load(str(folder), DataOptions(seed=seed))
        self._reference = f"resnet20@{files['20'].absolute()}"
        own = own_teacher(Request(dataset=str(folder), teacher=self._reference, fine_tune=True), self._data, CPU)
        self._described = own.reference(Effort(TEACHER_EPOCHS))

    @functools.cached_property
    def _context(self) -> TrainContext:
        """The pictures with the fine-tuned teacher, from the cache or trained now."""
        teacher = load_described(self._described, self._data, CPU)
        return TrainContext(data=self._data, teacher=teacher, device=CPU, bank=TeacherBank())

    def taught(self) -> Iterator[dict[str, Any]]:
        """Train the teachers that are not in the file yet, and yield each run, here and below."""
        if self._is_missing("teacher", "fine-tuned"):
            began = time.process_time()
            teacher = self._context.teacher
            assert teacher is not None
            test = self._data.read_test()
            logits = predict_teacher(teacher, to_device(test, self._data.task, CPU))
            yield self._line("teacher", "fine-tuned", _accuracy(logits, test.labels), time.process_time() - began)
        if self._is_missing("teacher", "from scratch"):
            yield self._from_scratch()

    def started(self) -> Iterator[dict[str, Any]]:
        """Train the students."""
        for start in filter(_is_there, STARTS):
            for name in LOSSES:
                if self._is_missing(start, name):
                    yield self._trained(start, name, self._pipeline(start, name, RATES[start]))

    def searched(self) -> Iterator[dict[str, Any]]:
        """Search, and train what is found."""
        if self._is_missing("search", "found"):
            yield self._searched()

    def rated(self) -> Iterator[dict[str, Any]]:
        """Train the pretrained student beside the teacher at other learning rates."""
        for rate in OTHER_RATES:
            name = f"KD at {rate:g}"
            if self._is_missing("pretrained", name):
                yield self._trained("pretrained", name, self._pipeline("pretrained", "KD", rate))

    def _is_missing(self, start: str, name: str) -> bool:
        return not any(
            run["start"] == start and run["name"] == name and run["seed"] == self._seed for run in self._done
        )

    @property
    def _done(self) -> list[dict[str, Any]]:
        return lines(self._runs)

    def _line(self, start: str, name: str, accuracy: float, seconds: float, **more: Any) -> dict[str, Any]:
        return {"start": start, "name": name, "seed": self._seed, "accuracy": accuracy, "seconds": seconds, **more}

    def _from_scratch(self) -> dict[str, Any]:
        began = time.process_time()
        pipeline = {**self._pipeline("at random", "alone", 0.1), "student": LARGE, "schedule": {"use": "one_cycle"}}
        best = train_best(self._context, from_plain(pipeline), self._seed, SCRATCH_EPOCHS, lambda: None)
        with seeded(0):
            network = build_student(from_plain(pipeline).student, self._data.task)
        network.load_state_dict(best.state)
        test = self._data.read_test()
        logits = predict(network, to_device(test, self._data.task, CPU))
        return self._line("teacher", "from scratch", _accuracy(logits, test.labels), time.process_time() - began)

    def _pipeline(self, start: str, name: str, rate: float) -> dict[str, Any]:
        parts = {slot: dict(component) for slot, component in STARTS[start].items()}
        if "init" in parts:
            parts["init"]["path"] = str(self._files["8"].absolute())
        return {
            "format": 1,
            **parts,
            "augment": {"use": "crop_flip", "padding": 0.125, "flip": True},
            "losses": {key: dict(loss) for key, loss in LOSSES[name].items()},
            "optimizer": {"use": "sgd", "learning_rate": rate, "weight_decay": 5e-4},
            "schedule": {"use": "cosine"},
            "batch_size": 32,
        }

    def _trained(self, start: str, name: str, pipeline: Mapping[str, Any]) -> dict[str, Any]:
        """Train a student to the end and test it."""
        began, spec, samples = time.process_time(), from_plain(pipeline), self._epochs * len(self._data.train)
        list(prepare_artefacts(self._context, spec))
        rung = Rung(seed=self._seed, view_seed=self._seed, horizon=samples, until=samples)
        result, trained = train_rung(self._context, spec, rung)
        with seeded(0):
            network = build_student(spec.student, self._data.task)
        network.load_state_dict(trained["student"])
        test = self._data.read_test()
        accuracy = _accuracy(predict(network, to_device(test, self._data.task, CPU)), test.labels)
        return self._line(start, name, accuracy, time.process_time() - began, validation=result.score)

    def _searched(self) -> dict[str, Any]:
        """Search with start, losses and optimizer free, and train what is found like the others."""
        began, place = time.process_time(), self._folder.parent
        space = place / "space.yaml"
        text = SPACE.format(weights=self._files["8"].absolute(), epochs=TEACHER_EPOCHS)
        space.write_text(text, encoding="utf-8")
        study = autokd.search(
            dataset=str(self._folder),
            space=space,
            teacher=self._reference,
            fine_tune=True,
            seed=self._seed,
            cold=True,
            studies_dir=place / "studies",
            reports_dir=place / "reports",
        )
        pipeline = study.export()["pipeline"]
        run = self._trained("search", "found", pipeline)
        begins = pipeline.pop("init", {"use": "random"})["use"]  # without the place of the file
        seconds = time.process_time() - began - run["seconds"]
        return {**run, "search_seconds": seconds, "begins": begins, "pipeline": pipeline}


def _is_there(start: str) -> bool:
    return STARTS[start]["student"]["use"] in catalog.names("students")


def _accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    return metrics.accuracy(metrics.predictions(logits, labels))


def table(runs: list[dict[str, Any]]) -> str:
    """Return the runs as a Markdown table: mean and 95 % t-interval over seeds."""
    rows = ["| network | begins | learns | test accuracy, % | 95 % interval | n |", "|---|---|---|---|---|---|"]
    arms = dict.fromkeys((run["start"], run["name"]) for run in runs)
    for start, name in arms:
        values = [100 * run["accuracy"] for run in runs if (run["start"], run["name"]) == (start, name)]
        mean, half = statistics.mean(values), _half(values)
        network = "teacher" if start == "teacher" else "student"
        begins, learns = (name, "labels") if start == "teacher" else (start, name)
        interval = "–" if math.isnan(half) else f"{mean - half:.1f} to {mean + half:.1f}"
        rows.append(f"| {network} | {begins} | {learns} | {mean:.1f} | {interval} | {len(values)} |")
    return "\n".join(rows)


def _half(values: list[float]) -> float:
    """Half of the 95 % t-interval of a mean."""
    n = len(values)
    return math.nan if n < 2 else float(student_t.ppf(0.975, n - 1)) * statistics.stdev(values) / math.sqrt(n)


if __name__ == "__main__":
    main()
