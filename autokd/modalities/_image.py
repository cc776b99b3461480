"""Images: uint8 pixels with one or three channels, which a network sees as numbers per channel around 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from autokd.batching import single, subset
from autokd.declarations import Modality
from autokd.errors import DataError
from autokd.input_kind import InputKind
from autokd.input_values import Feed, Files, Finer, OnnxForm, Preview, ReadInputs, Suspects, TeacherRecipe, UsualInputs
from autokd.modalities import images, resizing, tables
from autokd.modalities.decoded_files import DecodedFiles
from autokd.modalities.decoding import USUAL
from autokd.modalities.given_pictures import read_images
from autokd.modalities.images import ImagePreprocess, Reading, fit_images, image_preprocess
from autokd.modalities.likeness import near_copies, plain_pictures, said_of_sameness
from autokd.modalities.picture_files import Found, counted, find_pictures, said_of_others
from autokd.modalities.picture_graph import picture_form
from autokd.modalities.picture_table import pictures_of
from autokd.modalities.resized import Resized
from autokd.modalities.resized_arrays import ResizedArrays
from autokd.networks.fed import IMAGENET_MEAN, IMAGENET_STD, THE_DATA
from autokd.nodes import Nodes
from autokd.types import BuildContext, Inputs, Samples, Split, Task

CELLS = 16
"""A side of the grid of means by which plain models see an image."""
TINY = 16
"""Side in pixels up to which the shortest network is deep enough for a default teacher."""
USUAL_SIZES = (28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224)
"""Sides in pixels that image classifiers are usually trained at."""
GREY_MEAN, GREY_STD = 0.449, 0.226  # of ImageNet in grey: the means over its channels
PHOTOS, LARGEST_SMALL = "photos", 96  # the space for pictures with a side of more than so many pixels
SIZES: Mapping[str, tuple[int, int]] = {"large": (14, 32), "medium": (8, 32), "small": (8, 16)}
"""Depth and width of a default teacher's network by name, the largest first."""


@dataclass(frozen=True, kw_only=True)
class Image(InputKind):
    """Stored as uint8, augmented as float32 in [0, 1], normalised per channel and laid out channels-last."""

    declares = Modality(noun="image", default_space="image", grows=True)
    teacher_networks: ClassVar[tuple[str, ...]] = tuple(SIZES)

    def fit(self, raw: Tensor, classes: tuple[str, ...]) -> tuple[ImagePreprocess, dict[str, str]]:
        """Fit mean and standard deviation of the channels; see `InputKind.fit`."""
        return fit_images(raw, classes), {}

    def restore(self, plain: dict[str, Any]) -> ImagePreprocess:
        """Inverse of `ImagePreprocess.to_json`; see `InputKind.restore`."""
        return image_preprocess(plain)

    def take(self, raw: Tensor, rows: Any) -> Tensor:
        """Return the images at some positions."""
        return single(subset(raw, torch.from_numpy(rows)))

    def reading(self, raw: Tensor, resize: str | None, size: int | None, name: str) -> tuple[Reading, tuple[str, ...]]:
        """Return the rule that was asked for, or the one that suits the images' shape; see `InputKind.reading`."""
        if size is None:
            return Reading(resize=resizing.expect_known(resize or resizing.CROP)), ()
        sizes = [(raw.shape[3], raw.shape[2])] * len(raw)
        rule = resizing.suited(sizes, [0] * len(raw)) if resize is None else resizing.expect_known(resize)
        return Reading(resize=rule), resizing.said(rule, sizes, chosen=resize is None)

    def kept(self, preprocess: ImagePreprocess, reading: Reading) -> ImagePreprocess:
        """Return the preprocessing with the rules that the images were read by."""
        return replace(preprocess, reading=reading)

    def in_encoding(self, preprocess: ImagePreprocess, encoding: str) -> ImagePreprocess:
        """Return a preprocessing that reads tables of image files in an encoding; see `InputKind.in_encoding`."""
        return replace(preprocess, reading=replace(preprocess.reading, encoding=encoding))

    def resize(self, raw: Tensor, size: int, name: str, reading: Any = None) -> Tensor:
        """Return square images; see `InputKind.resize`."""
        return images.conform(raw, (size, size), raw.shape[1], (reading or USUAL).resize)

    def doubts(self, raw: Tensor, labels: Any, classes: tuple[str, ...]) -> Sequence[str]:
        """Say which images are of one colour, or all the same; see `InputKind.doubts`."""
        return said_of_sameness(raw, labels, classes)

    def near_copies(self, held: Split, train: Split) -> tuple[int, int]:
        """Count images that are nearly a training image; see `InputKind.near_copies`."""
        return near_copies(single(held.inputs), held.labels, single(train.inputs), train.labels)

    def suspects(self, preprocess: ImagePreprocess, train: Split, held: Split) -> Suspects:
        """Count images of one single colour; see `InputKind.suspects`."""
        plain, looked = plain_pictures(single(train.inputs))
        return Suspects((f"{plain} of {looked} training pictures are of one single colour",) if plain else ())

    def read(self, preprocess: ImagePreprocess, paths: Sequence[Path], *, skip_bad: bool) -> ReadInputs:
        """Read image files, folders of images and tables that name images; see `InputKind.read`."""
        found = [_files_at(path, preprocess.reading.encoding) for path in paths]
        files = [file for folder in found for file in folder.pictures]
        readable, skipped = _decoded(files, preprocess, skip_bad=skip_bad)
        others = sum((Counter(folder.others) for folder in found), Counter[str]())
        if not readable:
            seen = f"; there is: {counted(others)}" if others else ""
            raise DataError(f"{paths[0]}: no readable image{seen}")
        remarks = [*said_of_others(others), *images.said_of_new(files, preprocess)]
        names, pixels = zip(*readable, strict=True)
        return ReadInputs(names, torch.from_numpy(np.stack(pixels)), skipped, tuple(remarks))

    def unlabelled_files(self, preprocess: ImagePreprocess, path: Path) -> Files | None:
        """Find the pictures; square ones are decoded as they are asked for. See `InputKind.unlabelled_files`."""
        height, width = preprocess.size
        if height != width:
            return None
        found = _files_at(path, preprocess.reading.encoding)
        if not found.pictures:
            raise DataError(f"{path}: no picture lies there; there is: {counted(found.others) or 'nothing'}")
        source = DecodedFiles(found.pictures, height, preprocess.reading, channels=preprocess.channels)
        said = (*said_of_others(found.others), *images.said_of_new(found.pictures, preprocess))
        return Files([str(file) for file in found.pictures], source, said)

    def given(self, preprocess: ImagePreprocess, samples: Any, *, skip_bad: bool) -> ReadInputs:
        """Take PIL images, arrays and tensors; see `InputKind.given`."""
        return read_images(samples, preprocess)

    def describe(self, preprocess: ImagePreprocess) -> Mapping[str, Any]:
        """Return form, size and channels, and how files become such images; see `InputKind.describe`."""
        form = {"form": images.form_of(preprocess), "size": preprocess.size, "channels": preprocess.channels}
        return {**form, **asdict(preprocess.reading)}

    def build(self, context: BuildContext) -> Feed:
        """Return how images get to a network."""
        task = context.task
        shape = (1, -1) + (1,) * (len(task.input_shape) - 1)
        return Feed(
            example=partial(_example, task.input_shape),
            constants={
                "mean": torch.tensor(task.mean or (0.0,)).reshape(shape),
                "std": torch.tensor(task.std or (1.0,)).reshape(shape),
            },
            to_view=_to_shares,
            to_network=_normalise,
            lay_out=lambda network: network.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        )

    def finer(self, preprocess: ImagePreprocess, samples: Samples, side: int) -> Finer | None:
        """Return the pictures at a larger side, made square as the others were; see `InputKind.finer`."""
        seen = min(preprocess.size)
        if side <= seen or self.own_side(samples) <= seen:
            return None
        if samples.names is None:
            return ResizedArrays(samples, side, preprocess)
        paths = [Path(name) for name in samples.names]
        return DecodedFiles(paths, side, preprocess.reading, channels=preprocess.channels)

    def own_side(self, samples: Samples) -> float:
        """Return the median of the shorter sides; see `InputKind.own_side`."""
        if samples.names is not None:
            return images.usual_side([Path(name) for name in samples.names])
        return max((min(single(part).shape[2:]) for part in samples.whole), default=0)

    def preview(self, preprocess: ImagePreprocess, inputs: Inputs) -> Preview:
        """Return the pixels as pictures; see `InputKind.preview`."""
        return Preview(pictures=tuple(images.png(each) for each in single(inputs).cpu()))

    def numbers(self, inputs: Inputs) -> Tensor:
        """Return the pixels, of larger images their means over 16 by 16 cells; see `InputKind.numbers`."""
        pixels = _to_shares(single(inputs).cpu())
        side = min(CELLS, *pixels.shape[2:])
        return adaptive_avg_pool2d(pixels, side).flatten(1)

    def onnx_form(self, preprocess: ImagePreprocess, nodes: Nodes) -> OnnxForm:
        """Write decoding's last steps, resize and normalisation; see `InputKind.onnx_form`."""
        return picture_form(preprocess, nodes)

    def teacher_recipe(self, task: Task, network: str) -> TeacherRecipe:
        """Return a wider residual network, its augmentation chosen among three; see `InputKind.teacher_recipe`."""
        depth, width = SIZES[network]
        tiny = max(task.input_shape[1:]) <= TINY
        common = {
            "format": 1,
            "student": {"use": "resnet", "depth": 8 if tiny else depth, "width": width},
            "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
            "optimizer": {"use": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4},
            "schedule": {"use": "one_cycle"},
            "batch_size": 64,
        }
        policies = (
            {"use": "crop_flip", "padding": 0.125, "flip": True},
            {"use": "crop_flip", "padding": 0.125, "flip": False},
            {"use": "none"},
        )
        return TeacherRecipe("network", tuple({**common, "augment": policy} for policy in policies))

    def reference_pipeline(self, task: Task) -> Mapping[str, Any]:
        """Return a small convolutional network; see `InputKind.reference_pipeline`."""
        return {
            "format": 1,
            "student": {"use": "cnn", "layers": 3, "width": 8},
            "augment": {"use": "none"},
            "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
            "optimizer": {"use": "sgd", "learning_rate": 0.05, "weight_decay": 5e-4},
            "schedule": {"use": "one_cycle"},
            "batch_size": 64,
        }

    def usual_inputs(self, task: Task) -> UsualInputs:
        """Return the normalisations and the sizes that image classifiers are usually trained with."""
        channels = task.input_shape[0]

        def alike(value: float) -> tuple[float, ...]:
            return (value,) * channels

        grey = channels != len(IMAGENET_MEAN)
        imagenet = (alike(GREY_MEAN), alike(GREY_STD)) if grey else (IMAGENET_MEAN, IMAGENET_STD)
        return UsualInputs(
            normalisations={
                THE_DATA: (task.mean or alike(0.0), task.std or alike(1.0)),
                "ImageNet's": imagenet,
                "0.5 and 0.5, so −1 to 1": (alike(0.5), alike(0.5)),
                "none, so 0 to 1": (alike(0.0), alike(1.0)),
                "none, so 0 to 255": (alike(0.0), alike(1 / 255)),
            },
            sizes=USUAL_SIZES,
            side=task.input_shape[-1],
        )

    def side(self, task: Task) -> int:
        """Return the longer side; see `InputKind.side`."""
        return max(task.input_shape[1:])

    def space_for(self, input_shape: tuple[int, ...]) -> str:
        """Return the space of nets for photos where a side is longer than 96 pixels; see `InputKind.space_for`."""
        return PHOTOS if max(input_shape[1:]) > LARGEST_SMALL else self.declares.default_space

    def resized_task(self, task: Task, size: int) -> Task:
        """Return the task with square images of this side; see `InputKind.resized_task`."""
        return super().resized_task(task, size) if size < 0 else _with_side(task, size)

    def behind_resize(self, network: nn.Module, size: int) -> nn.Module:
        """Return the network behind a bilinear resize."""
        return Resized(network, size)


def _files_at(path: Path, encoding: str | None) -> Found:
    """Return the image files in a folder, those that a table names, or the one file that it is."""
    if path.is_dir():
        return find_pictures(path)
    return Found(pictures_of(path, encoding) if path.suffix.lower() in tables.SUFFIXES else (path,), {})


def _decoded(
    files: Sequence[Path], preprocess: ImagePreprocess, *, skip_bad: bool
) -> tuple[list[tuple[str, NDArray[np.uint8]]], tuple[str, ...]]:
    """Return the name and the pixels of each image file that can be read, and the names of the others."""
    found, skipped = [], []
    for file in files:
        try:
            pixels = images.decode(file, preprocess.size, preprocess.channels, preprocess.reading)
            found.append((str(file), pixels))
        except DataError:
            if not skip_bad:
                raise
            skipped.append(str(file))
    return found, tuple(skipped)


def _with_side(task: Task, size: int) -> Task:
    return replace(task, input_shape=(task.input_shape[0], size, size))


def _example(shape: tuple[int, ...], n: int, generator: torch.Generator | None) -> Tensor:
    return torch.zeros(n, *shape) if generator is None else torch.rand(n, *shape, generator=generator)


def _to_shares(stored: Inputs) -> Tensor:
    """Levels 0 to 255 as float32 in [0, 1]; what is no such level stays."""
    pixels = single(stored)
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def _normalise(inputs: Inputs, constants: Mapping[str, Tensor]) -> Tensor:
    """Subtract the mean and divide by the standard deviation, per channel; channels-last."""
    pixels = single(inputs).contiguous(memory_format=torch.channels_last)
    return (pixels - constants["mean"]) / constants["std"]
