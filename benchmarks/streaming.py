"""Time and memory of reading pictures that are larger than memory, and of an epoch on them.

    python -m benchmarks.streaming [--pictures 20000] [--side 224] [--memory 2GB] [--against TREE]

It writes JPEG files, crops of one smooth picture, into a temporary folder. A process of its own loads them at their
size with an empty cache, `AUTOKD_MEMORY` being what may be taken, and trains a very small student on them for an epoch.
With TREE, another version's checkout does the same on the same files first. A line of JSON for each: seconds, and peaks
in MB, of all resident memory (VmHWM) and of what is the process's own (RssAnon, looked at 20 times a second).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CLASSES = 4
PIPELINE = {
    "format": 1,
    "student": {"use": "cnn", "layers": 1, "width": 4},
    "augment": {"use": "none"},
    "losses": {"ce": {"use": "ce", "weight": 1.0}},
    "optimizer": {"use": "sgd", "learning_rate": 0.05},
    "schedule": {"use": "cosine"},
    "batch_size": 64,
}


def main() -> None:
    """Write the pictures, and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure is not None:
        print(json.dumps(measure(chosen.measure, chosen.side)))
        return
    with tempfile.TemporaryDirectory(prefix="autokd-streaming-") as folder:
        write_pictures(Path(folder) / "pictures", chosen.pictures, chosen.side)
        for name, tree in (("before", chosen.against), ("after", ROOT)):
            if tree is not None:
                print(json.dumps({"version": name, **_elsewhere(tree, Path(folder), chosen)}), flush=True)


def write_pictures(folder: Path, count: int, side: int) -> None:
    """Write JPEG files, one folder a class: crops of one picture, each class of another tint."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (160, 160, 3), dtype=np.uint8)
    whole = Image.fromarray(coarse).resize((8 * 160, 8 * 160), Image.Resampling.BICUBIC)
    tints = [whole.point([min(255, level + 14 * label) for level in range(256)] * 3) for label in range(CLASSES)]
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
    for row, (left, top) in enumerate(rng.integers(0, whole.width - side, (count, 2)).tolist()):
        picture = tints[row % CLASSES].crop((left, top, left + side, top + side))
        picture.save(folder / f"class{row % CLASSES}" / f"{row}.jpg", quality=85)


def _elsewhere(tree: Path, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure a checkout in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        environment = {"AUTOKD_CACHE": cache, "AUTOKD_MEMORY": chosen.memory, "PYTHONPATH": str(tree.resolve())}
        command = [sys.executable, __file__, "--side", str(chosen.side), "--measure", str(folder / "pictures")]
        run = subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def measure(folder: Path, side: int) -> dict[str, Any]:
    """Load pictures and train on them for an epoch, in this process."""
    from autokd.data import DataOptions, load
    from autokd.engine.context import TrainContext
    from autokd.engine.loop import train_rung
    from autokd.engine.rung import Rung
    from autokd.engine.teacher_bank import TeacherBank
    from autokd.spec import from_plain

    begin, own = _status("VmHWM"), OwnPeak()
    began = time.perf_counter()
    data = load(str(folder), DataOptions(image_size=side))
    loaded, read_peak, read_own = time.perf_counter(), _status("VmHWM"), own.most
    context = TrainContext(data=data, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
    size = len(data.train)
    result, _ = train_rung(context, from_plain(PIPELINE), Rung(seed=0, view_seed=0, horizon=size, until=size))
    ended = time.perf_counter()
    own.end()
    return {
        "pictures": sum(data.card["samples"].values()),
        "decoded_mb": round(sum(data.card["samples"].values()) * np.prod(data.task.input_shape) / 1e6),
        "fingerprint": data.task.fingerprint,
        "loss": result.loss,
        "read_seconds": round(loaded - began, 1),
        "epoch_seconds": round(ended - loaded, 1),
        "before_mb": begin,
        "read_peak_mb": read_peak,
        "read_own_mb": read_own,
        "peak_mb": _status("VmHWM"),
        "own_mb": own.most,
    }


class OwnPeak:
    """The most memory of its own (RssAnon) that this process has had while it was looked at, in MB."""

    def __init__(self) -> None:
        self.most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no longer."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.05):
            self.most = max(self.most, _status("RssAnon"))


def _status(name: str) -> int:
    """Return an entry of /proc/self/status in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) // 1000


if __name__ == "__main__":
    main()
