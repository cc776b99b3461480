"""What the datasets read by torchvision's own classes have in common."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autokd import compat
from autokd.data_types import DataContext, Part, Raw
from autokd.errors import DataError
from autokd.files import written_whole


def cifar(class_name: str, name: str, data_dir: str | None, context: DataContext) -> Raw:
    """Read a dataset in CIFAR's format; torchvision checks the files' md5.

    Raises:
      DataError: the files are missing or damaged.
    """
    dataset = getattr(compat.torchvision().datasets, class_name)
    root = _root(name, dataset.base_folder, data_dir, context)
    files = ", ".join(item[0] for item in [*dataset.train_list, *dataset.test_list, [dataset.meta["filename"]]])
    where = f"{files} into {root / dataset.base_folder} (from {dataset.filename})"
    return _read(dataset, name, root, context, where)


def mnist(class_name: str, name: str, data_dir: str | None, context: DataContext) -> Raw:
    """Read a dataset in MNIST's format, unpacked or as the original .gz files.

    Raises:
      DataError: the files are missing or damaged.
    """
    dataset = getattr(compat.torchvision().datasets, class_name)
    folder = f"{class_name}/raw"
    root = _root(name, folder, data_dir, context)
    where = f"{', '.join(file for file, _ in dataset.resources)} into {root / folder}"
    packed = [(root / folder / file, md5) for file, md5 in dataset.resources]
    if all(path.is_file() for path, _ in packed) and not all(path.with_suffix("").is_file() for path, _ in packed):
        root = context.cache / "unpacked"
        _unpack(packed, root / folder)
    return _read(dataset, name, root, context, where)


def _root(name: str, folder: str, data_dir: str | None, context: DataContext) -> Path:
    """Return the folder that holds `folder`: the data folder, or the dataset's own one inside it."""
    data = Path(data_dir) if data_dir is not None else context.cache / "data"
    return next((root for root in (data, data / name) if (root / folder).is_dir()), data)


def _read(dataset: Any, name: str, root: Path, context: DataContext, where: str) -> Raw:
    try:
        train, test = (dataset(root, train=train, download=context.download) for train in (True, False))
    except (RuntimeError, OSError) as error:
        reason = "could not be downloaded" if context.download else "is missing, incomplete or damaged"
        raise DataError(f"{name} {reason}: put {where}, or let it be fetched with --download") from error
    classes = tuple(train.classes)
    return Raw(name=name, modality="image", classes=classes, train=_part(train), test=_part(test))


def _part(dataset: Any) -> Part:
    images = torch.as_tensor(dataset.data)
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
    return Part(images, np.asarray(dataset.targets, dtype=np.int64))


def _unpack(packed: list[tuple[Path, str]], folder: Path) -> None:
    """Unpack the .gz files into a folder, where they are not there yet, after checking their md5."""
    check = compat.torchvision().datasets.utils.check_integrity
    for path, md5 in packed:
        target = folder / path.stem
        if target.is_file():
            continue
        if not check(path, md5):
            raise DataError(f"{path}: damaged, its md5 is not the published {md5}; get it again")
        with written_whole(target) as temporary, gzip.open(path) as source, temporary.open("wb") as sink:
            shutil.copyfileobj(source, sink)
