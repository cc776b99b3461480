"""Which samples a study keeps for people to look at."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from autokd import batching
from autokd.data import Dataset
from autokd.networks.inputs import kind_of
from autokd.study.samples import Sample, Samples, disputed_file, encoded, samples_file, write_samples
from autokd.types import Split

SHOWN = 24
"""Training samples that are kept, spread over the classes."""
MOST_DISPUTED = 20


def keep_samples(study: Path, data: Dataset) -> None:
    """Keep some training samples of each class as a student sees them, or what a table's columns hold."""
    rows = _by_class(data.train.labels, data.task.num_classes)
    found = kind_of(data.task.modality).preview(data.preprocess, batching.take(data.train.inputs, rows))
    names = [data.task.classes[label] for label in data.train.labels[rows].tolist()]
    pictures = zip(names, encoded(found.pictures), strict=False)
    write_samples(samples_file(study), Samples(tuple(Sample(*each) for each in pictures), found.columns))


def keep_disputed(study: Path, round: int, data: Dataset, test: Split, answers: tuple[Tensor, Tensor]) -> None:
    """Keep the test samples on which the claim's student and the teacher differ, the teacher's surest first.

    Nothing is kept where the study keeps no samples, or where they have no pictures.

    Args:
      study: its folder.
      round: of confirm.
      data: the dataset.
      test: its test split.
      answers: logits [N, C] of student and teacher on it.
    """
    if not samples_file(study).exists():
        return
    student, teacher = (each.argmax(-1) for each in answers)
    surest = answers[1].softmax(-1).amax(-1).argsort(descending=True, stable=True)
    rows = surest[(student != teacher)[surest]][:MOST_DISPUTED]
    found = kind_of(data.task.modality).preview(data.preprocess, batching.take(test.inputs, rows))
    named = [[data.task.classes[i] for i in given[rows].tolist()] for given in (test.labels.cpu(), teacher, student)]
    kept = [
        Sample(label, picture, of_teacher, of_student)
        for label, picture, of_teacher, of_student in zip(named[0], encoded(found.pictures), *named[1:], strict=False)
    ]
    if kept:
        write_samples(disputed_file(study, round), Samples(tuple(kept)))


def _by_class(labels: Tensor, classes: int) -> Tensor:
    """Rows of samples, class by class, as many of each as there is room for."""
    labels, each = labels.cpu(), max(1, SHOWN // classes)
    return torch.cat([torch.nonzero(labels == label)[:each, 0] for label in range(classes)])[:SHOWN]
