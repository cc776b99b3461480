"""A dataset ready to train on: `load`, `load_again`, `Dataset`."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, from_numpy

from autokd import batching
from autokd.data.card import card_of
from autokd.data.moved import POOL, found_again, pool_found_again, together
from autokd.data.named import absolute, component_of, field_names
from autokd.data.residence import brought_to_memory
from autokd.data.samples import numbered, samples_of
from autokd.data.split import Parts, shared_groups, split, spread, take
from autokd.data.unlabelled import Labelled, Pool, Wanted, look_at_pool, place_of, read_pool
from autokd.data_types import DataContext, DatasetComponent, Part, Raw
from autokd.errors import ComponentError, DataError
from autokd.files import cache_dir, is_printable, printable
from autokd.input_kind import InputKind
from autokd.input_values import Preprocess
from autokd.networks.inputs import kind_of
from autokd.networks.models import state_fingerprint
from autokd.options import DataOptions
from autokd.seeds import derive
from autokd.spec import component_from_plain, component_to_plain, fingerprint
from autokd.types import Samples, Split, Task

_log = logging.getLogger("autokd")
_DEFAULTS = DataOptions()
_SAMPLE = 256
"""Pictures that mean and standard deviation are of where nobody is to go through all of them."""
_REFERRED = ("image_size", "resize", "skip_bad", "limit_train", "unlabelled", "made_rows", "seed", "largest_side")
"""Options that a dataset's reference keeps; the others are part of its component, or of this machine."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A dataset that was read, split and preprocessed.

    Args:
      task: what engine and models know of it.
      train, validation: splits that a search may look at; the test split comes from `read_test` only.
      preprocess: fitted on the training split.
      reference: plain data from which `load_again` makes it again.
      default_space: name of the search space for such data.
      card: plain data for people: samples a split, class counts, what was left out, where the splits come from.
      samples: what its splits hold, as it was read; none where they are made up.
      unlabelled: samples without labels that may be distilled on; None: there are none.
      labelled_fingerprint: what the task's fingerprint is without them.
    """

    task: Task
    train: Split
    validation: Split
    preprocess: Preprocess
    reference: dict[str, Any]
    default_space: str
    card: dict[str, Any]
    samples: Samples = dataclasses.field(default=Samples((), 0), repr=False)
    unlabelled: Split | None = None
    labelled_fingerprint: str = ""
    _test: Split = dataclasses.field(repr=False)

    @property
    def test_size(self) -> int:
        """Samples of the test split, which is not read for it."""
        return int(self.card["samples"]["test"])

    @property
    def class_counts(self) -> list[int]:
        """Training samples of each class."""
        counts: list[int] = self.train.labels.bincount(minlength=self.task.num_classes).tolist()
        return counts

    @property
    def labelled_alone(self) -> Dataset:
        """The dataset without its samples without labels, which is what it would be if there were none."""
        if self.unlabelled is None:
            return self
        task = dataclasses.replace(self.task, unlabelled=0, fingerprint=self.labelled_fingerprint)
        return dataclasses.replace(self, unlabelled=None, task=task)

    def read_test(self) -> Split:
        """Return the test split; for claims about a finished choice, never for making one."""
        return self._test


def load(reference: Any, options: DataOptions = _DEFAULTS, *, dry: bool = False) -> Dataset:
    """Load a dataset.

    Args:
      reference: the name of a dataset ("digits"), the path of a folder of images or of a CSV, TSV or Parquet file,
        arrays (X, y), or a torch dataset. A name goes before a path of that name; write ./digits for the path.
      options: where it is, and how it is read and split.
      dry: decode pictures that are not in the cache only as they are looked at, and keep nothing: mean and std are of
        a sample, fingerprint and what else needs all pictures are missing.

    Raises:
      DataError: it is missing or cannot be used.
    """
    validation = None if options.validation is None else absolute(options.validation)
    where: dict[str, Any] = {"target": options.target, "group": options.group, "validation": validation}
    where |= {"ground": options.ground, "classification": options.classification or None}
    where |= {"encoding": options.encoding}
    component = component_of(reference, options.data_dir, where)
    return _open(component, dataclasses.replace(options, unlabelled=place_of(options.unlabelled)), dry=dry)


def load_again(reference: Mapping[str, Any], *, data_dir: str | Path | None = None, download: bool = False) -> Dataset:
    """Load the dataset that a `Dataset.reference` describes.

    Args:
      reference: plain data.
      data_dir: where its files are now, if elsewhere: the folder of a named dataset's files, the folder of images or
        the table itself, or a folder above it.
      download: the network may be used.

    Raises:
      DataError, ComponentError: as `load`, or it is no such reference.
    """
    values = {key: value for key, value in reference.items() if key != "component"}
    if "component" not in reference or not set(values) <= set(_REFERRED):
        raise DataError(
            f"a dataset reference has the keys component, {', '.join(sorted(_REFERRED))}; got {list(reference)}"
        )
    component = component_from_plain("datasets", reference["component"])
    if data_dir is not None and "data_dir" in field_names(component):
        component = dataclasses.replace(component, data_dir=absolute(data_dir))
    folder = None if data_dir is None else Path(data_dir).expanduser()
    was, component = component, found_again(component, folder)
    if values.get(POOL) is not None:
        values[POOL] = together(values[POOL], was, component) or pool_found_again(values[POOL], folder)
    return _open(component, DataOptions(download=download, **values))


def _open(component: DatasetComponent, options: DataOptions, *, dry: bool = False) -> Dataset:
    context = DataContext(
        cache=cache_dir(),
        download=options.download,
        image_size=options.image_size,
        skip_bad=options.skip_bad,
        resize=options.resize,
        dry=dry,
        largest_side=options.largest_side,
        unlabelled=None if options.unlabelled is None else Path(options.unlabelled),
    )
    kind = kind_of(component.declares.modality)
    read = _read(component, context)
    raw = _resized(read, kind, options.image_size)
    _check_names(raw)
    doubts = () if raw.sampled else kind.doubts(raw.train.inputs, raw.train.labels, raw.classes)
    raw = numbered(dataclasses.replace(raw, remarks=(*raw.remarks, *doubts)))
    _tell(raw)
    parts = split(raw, options.seed, options.limit_train)
    _tell_of_groups(parts)
    looked_at = take(raw.modality, parts.train, spread(len(parts.train), _SAMPLE)) if raw.sampled else parts.train
    fitted, dropped = kind.fit(looked_at.inputs, raw.classes)
    preprocess = kind.kept(fitted, raw.reading)
    ids = torch.split(torch.arange(sum(map(len, parts))), [len(part) for part in parts])
    splits = {
        name: _split(part, preprocess, own) for (name, part), own in zip(parts._asdict().items(), ids, strict=True)
    }
    pool = _pool(options, preprocess, splits, raw, parts)
    if pool is not None:
        splits[POOL] = pool.split
    splits = splits if raw.sampled else brought_to_memory(splits)
    unlabelled = splits.pop(POOL, None)
    task = _task(raw, preprocess, splits)
    card = card_of(raw, task, splits, dropped, preprocess)
    data = Dataset(
        task=task,
        train=splits["train"],
        validation=splits["validation"],
        preprocess=preprocess,
        reference=_reference(component, options),
        default_space=component.declares.default_space or kind.space_for(preprocess.input_shape),
        card=card,
        samples=samples_of(raw, parts, kind, read, pool),
        _test=splits["test"],
    )
    return data if pool is None or unlabelled is None else _with_pool(data, pool, unlabelled)


def _pool(
    options: DataOptions, preprocess: Preprocess, splits: dict[str, Split], raw: Raw, parts: Parts
) -> Pool | None:
    """The samples without labels that the options name."""
    if options.unlabelled is None and options.made_rows is None:
        return None
    if options.unlabelled is not None and options.made_rows is not None:
        raise DataError(
            "--unlabelled and --made-rows are two kinds of samples without labels; real ones are the better"
        )
    labelled = Labelled(preprocess, parts.train.inputs, sum(map(len, splits.values())), sum(map(len, raw.parts)))
    path = None if options.unlabelled is None else Path(options.unlabelled)
    seed = derive(options.seed, "made rows")
    wanted = Wanted(path, options.made_rows or "", seed, options.skip_bad, raw.without_label)
    if raw.sampled:
        return look_at_pool(wanted, labelled)
    return read_pool(wanted, labelled, [splits["validation"], splits["test"]])


def _with_pool(data: Dataset, pool: Pool, split: Split) -> Dataset:
    """A dataset with samples without labels, which are part of its fingerprint."""
    own = data.task.fingerprint
    whole = fingerprint([own, pool.fingerprint]) if own else ""
    return dataclasses.replace(
        data,
        task=dataclasses.replace(data.task, unlabelled=len(split), fingerprint=whole),
        card={**data.card, POOL: dict(pool.about), "fingerprint": whole},
        unlabelled=split,
        labelled_fingerprint=own,
    )


def _tell_of_groups(parts: Parts) -> None:
    for name, count in shared_groups(parts).items():
        if count:
            _log.warning("%d group(s) of the %s split are in training too, so its scores are too good", count, name)


def _tell(raw: Raw) -> None:
    for remark in raw.remarks:
        _log.warning("%s", remark)
    if raw.skipped:
        _log.warning("%d unreadable file(s) left out, the first is %s", len(raw.skipped), printable(raw.skipped[0]))


def _check_names(raw: Raw) -> None:
    """Refuse names that no record could be written with."""
    for what, name in (("dataset", raw.name), *(("class", name) for name in raw.classes)):
        if not is_printable(name):
            raise DataError(f"the name of the {what} {printable(name)!r} is not UTF-8; rename the folder or file")


def _read(component: DatasetComponent, context: DataContext) -> Raw:
    """Return a dataset as it was read, its kind of input the one that was declared, with how it was read."""
    raw = component.build(context)
    declared = component.declares.modality
    if raw.modality != declared:
        raise ComponentError(f"the dataset {raw.name} declares {declared!r} and reads {raw.modality!r} samples")
    if raw.reading is not None:
        return raw
    kind = kind_of(declared)
    reading, remarks = kind.reading(raw.train.inputs, context.resize, context.image_size, raw.name)
    return dataclasses.replace(raw, reading=reading, remarks=(*raw.remarks, *remarks))


def _resized(raw: Raw, kind: InputKind, image_size: int | None) -> Raw:
    """Return a dataset whose images have the side that was asked for."""
    if image_size is None:
        return raw
    if image_size < 1:
        raise DataError(f"image_size is a side in pixels, at least 1, got {image_size}")
    parts = {name: part for name in ("train", "validation", "test") if (part := getattr(raw, name)) is not None}
    resized: dict[str, Any] = {
        name: dataclasses.replace(part, inputs=kind.resize(part.inputs, image_size, raw.name, raw.reading))
        for name, part in parts.items()
    }
    return dataclasses.replace(raw, **resized)


def _split(part: Part, preprocess: Preprocess, ids: Tensor) -> Split:
    return Split(preprocess.apply(part.inputs), from_numpy(part.labels), ids=ids)


def _task(raw: Raw, preprocess: Preprocess, splits: dict[str, Split]) -> Task:
    return Task(
        dataset=raw.name,
        modality=raw.modality,
        input_shape=preprocess.input_shape,
        classes=raw.classes,
        train_size=len(splits["train"]),
        mean=preprocess.mean,
        std=preprocess.std,
        fingerprint="" if raw.sampled else _content(splits, preprocess),
        groups=kind_of(raw.modality).groups(preprocess),
    )


def _content(splits: dict[str, Split], preprocess: Preprocess) -> str:
    tensors = {f"{name}.labels": part.labels for name, part in splits.items()}
    for name, part in splits.items():
        tensors |= batching.named(part.inputs, f"{name}.inputs")
    return fingerprint({"content": state_fingerprint(tensors), "preprocess": preprocess.to_json()})


def _reference(component: Any, options: DataOptions) -> dict[str, Any]:
    plain = {key: value for key, value in component_to_plain(component).items() if value is not None}
    referred = {key: getattr(options, key) for key in _REFERRED}
    chosen = {key: value for key, value in referred.items() if value not in (None, False)}
    return {"component": plain, **chosen, "seed": options.seed}
