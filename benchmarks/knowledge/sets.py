"""The data sets that are studied: where each comes from, its family, and the limit of its students.

A family is one source of data. What is learned from one of its sets is never judged on another.
"""

from __future__ import annotations

import io
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn import datasets as sklearn_sets
from torch.nn.functional import interpolate

from autokd.data_types import Part
from benchmarks.by_hand import raw
from benchmarks.by_hand.sets import BenchmarkSet

Samples = tuple[Any, NDArray[Any]]
"""Inputs and labels, as `autokd.search` takes them."""


class StudySet(NamedTuple):
    """A data set that is studied.

    Args:
      family: its source.
      read: (folder of the original files) -> inputs and labels.
      train: training samples at most.
      params: largest number of parameters of a student.
      epochs: of a run to the end.
    """

    family: str
    read: Callable[[Path], Samples]
    train: int
    params: int
    epochs: int


def _digits(_: Path) -> Samples:
    found = sklearn_sets.load_digits()
    return (found.images * (255 / 16)).round().astype(np.uint8), found.target


def _cancer(_: Path) -> Samples:
    found = sklearn_sets.load_breast_cancer(as_frame=True)
    return found.data, np.where(found.target == 1, "benign", "malignant")


def _small_images(part: Part, classes: tuple[str, ...]) -> Samples:
    pixels = interpolate(part.inputs.float(), size=(16, 16), mode="area").round().to(torch.uint8)
    return pixels.numpy(), np.asarray(classes)[part.labels]


def _vision(name: str, family: str) -> Callable[[Path], Samples]:
    """The training images of a set of the benchmark by hand, at 16 pixels."""
    wanted = BenchmarkSet(
        name=name, family=family, half="dev", kind="image", train=0, params=0, share=None, seconds=0.0
    )

    def read(data: Path) -> Samples:
        found = raw.READ[family](wanted, data)
        return _small_images(found.train, found.classes)

    return read


def _table(name: str) -> Callable[[Path], Samples]:
    """The training rows of a table of the benchmark by hand."""
    wanted = BenchmarkSet(name=name, family=name, half="dev", kind="table", train=0, params=0, share=None, seconds=0.0)

    def read(data: Path) -> Samples:
        found = raw.READ[name](wanted, data)
        return found.train.inputs, np.asarray(found.classes)[found.train.labels]

    return read


def _credit(data: Path) -> Samples:
    frame = pd.read_csv(data / "credit_g" / "german.csv")
    return frame.iloc[:, :-1], frame.iloc[:, -1].astype(str).to_numpy()


def _higgs(data: Path) -> Samples:
    frame = pd.read_csv(data / "higgs_7k" / "binary.train", sep="\t", header=None)
    names = [f"x{column}" for column in range(frame.shape[1] - 1)]
    return frame.iloc[:, 1:].set_axis(names, axis=1), np.where(frame[0] == 1, "signal", "background")


def _series(name: str) -> Callable[[Path], Samples]:
    """Both parts of a set of the UCR archive, each time step a column."""

    def read(data: Path) -> Samples:
        files = sorted((data / "ucr" / name).glob(f"{name}_*"))
        rows = np.concatenate([np.load(file) if file.suffix == ".npy" else np.loadtxt(file) for file in files])
        frame = pd.DataFrame(rows[:, 1:], columns=[f"t{step}" for step in range(rows.shape[1] - 1)])
        return frame, np.array([f"c{label:02.0f}" for label in rows[:, 0]])

    return read


def _spoken(data: Path) -> Samples:
    """Spoken digits as pictures: 16 bands of log energy over 16 stretches of time."""
    pictures, labels = [], []
    with zipfile.ZipFile(data / "fsdd" / "fsdd_recordings.zip") as archive:
        for name in sorted(each for each in archive.namelist() if each.endswith(".wav")):
            with wave.open(io.BytesIO(archive.read(name))) as sound:
                signal = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float32)
            pictures.append(_spectrogram(signal))
            labels.append(Path(name).name.split("_")[0])
    return np.stack(pictures), np.array(labels)


def _spectrogram(signal: NDArray[np.float32], frame: int = 256, hop: int = 80) -> NDArray[np.uint8]:
    padded = np.pad(signal, (0, max(0, frame + hop - len(signal))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop] * np.hanning(frame)
    energy = np.log1p(np.abs(np.fft.rfft(frames, axis=1))).T
    small = interpolate(torch.from_numpy(energy)[None, None].float(), size=(16, 16), mode="area")[0, 0].numpy()
    levels: NDArray[np.uint8] = ((small - small.min()) / max(float(np.ptp(small)), 1e-6) * 255).astype(np.uint8)
    return levels


SETS = {
    "digits": StudySet("digits", _digits, 800, 6_000, 18),
    "fashion-1000": StudySet("fashion_mnist", _vision("fashion-1000", "fashion_mnist"), 1000, 30_000, 12),
    "fashion-3000": StudySet("fashion_mnist", _vision("fashion-3000", "fashion_mnist"), 3000, 15_000, 8),
    "cifar-coarse": StudySet("cifar100", _vision("cifar-coarse", "cifar100"), 2000, 30_000, 12),
    "cifar-20": StudySet("cifar100", _vision("cifar-20", "cifar100"), 1500, 60_000, 12),
    "spoken": StudySet("fsdd", _spoken, 1500, 20_000, 12),
    "breast-cancer": StudySet("breast_cancer", _cancer, 340, 500, 30),
    "credit": StudySet("credit_g", _credit, 600, 1_500, 30),
    "letter": StudySet("letter", _table("letter"), 4000, 3_000, 15),
    "adult": StudySet("adult", _table("adult"), 3200, 2_000, 15),
    "telco": StudySet("telco", _table("telco"), 3200, 2_000, 15),
    "higgs": StudySet("higgs", _higgs, 4000, 2_000, 15),
    "crop": StudySet("crop", _series("Crop"), 3200, 3_000, 15),
    "ecg5000": StudySet("ucr_ecg5000", _series("ECG5000"), 2000, 3_000, 20),
    "leaf": StudySet("ucr_leaf", _series("SwedishLeaf"), 700, 4_000, 30),
    "phalanges": StudySet("ucr_phalanges", _series("PhalangesOutlinesCorrect"), 1600, 2_000, 20),
    "control": StudySet("ucr_control", _series("SyntheticControl"), 360, 1_500, 30),
}
"""By name, the images first."""
