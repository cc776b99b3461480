"""A kind of input of one's own: texts as the numbers of their words, with a dataset, two students and an augmentation.

It is loaded as a plug-in, so it shows what a new kind takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from autokd.data_types import DataContext, Part, Raw
from autokd.declarations import Augment as DeclaredAugment
from autokd.declarations import Dataset, Modality, Student
from autokd.errors import DataError
from autokd.input_kind import InputKind
from autokd.input_values import PREPROCESS_FORMAT, Feed, ReadInputs, TeacherRecipe
from autokd.ranges import Choice, Integer
from autokd.types import Augment, BuildContext, Inputs, Output, Rows, Task, View

PADDING, UNKNOWN = 0, 1
"""The numbers that stand for no word, and for one that training did not have."""
Batch = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class WordIds:
    """Texts to {"ids": [N, length] int64, "mask": [N, length] bool}.

    Args:
      classes: class names, by index.
      words: the vocabulary; the first word has the number 2.
      length: words of a text that are looked at.
    """

    kind: ClassVar[str] = "words"
    classes: tuple[str, ...]
    words: tuple[str, ...]
    length: int

    mean: ClassVar[tuple[float, ...]] = ()
    std: ClassVar[tuple[float, ...]] = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.length, 2 + len(self.words))

    def apply(self, raw: Sequence[str]) -> Batch:
        if not all(isinstance(text, str) for text in raw):
            raise DataError("expected texts")
        numbers = {word: number for number, word in enumerate(self.words, start=2)}
        ids = torch.full((len(raw), self.length), PADDING)
        for row, text in enumerate(raw):
            found = [numbers.get(word, UNKNOWN) for word in text.split()[: self.length]]
            ids[row, : len(found)] = torch.tensor(found, dtype=torch.int64)
        return {"ids": ids, "mask": ids != PADDING}

    def to_json(self) -> dict[str, Any]:
        fields = {"classes": list(self.classes), "words": list(self.words), "length": self.length}
        return {"format": PREPROCESS_FORMAT, "kind": self.kind, **fields}


@dataclass(frozen=True, kw_only=True)
class Words(InputKind):
    """Texts, as word numbers filled up to one length and a mask of the real ones."""

    declares = Modality(name="words", noun="text", default_space=str(Path(__file__).with_name("words.yaml")))
    teacher_networks: ClassVar[tuple[str, ...]] = ("large",)

    def fit(self, raw: Any, classes: tuple[str, ...]) -> tuple[WordIds, dict[str, str]]:
        texts = [text.split() for text in raw]
        words = tuple(sorted({word for text in texts for word in text}))
        return WordIds(classes=classes, words=words, length=max(map(len, texts))), {}

    def restore(self, plain: dict[str, Any]) -> WordIds:
        classes, words = tuple(plain["classes"]), tuple(plain["words"])
        return WordIds(classes=classes, words=words, length=plain["length"])

    def read(self, preprocess: WordIds, paths: Sequence[Path], *, skip_bad: bool) -> ReadInputs:
        lines = {path: path.read_text(encoding="utf-8").splitlines() for path in paths}
        names = tuple(f"{path}:{row}" for path, texts in lines.items() for row in range(1, len(texts) + 1))
        return ReadInputs(names, np.array([text for texts in lines.values() for text in texts], dtype=object))

    def build(self, context: BuildContext) -> Feed:
        return Feed(
            example=partial(_example, context.task.input_shape),
            constants={},
            to_view=lambda stored: stored,
            to_network=lambda inputs, constants: inputs,
            lay_out=lambda network: network,
        )

    def teacher_recipe(self, task: Task, network: str) -> TeacherRecipe:
        pipeline = {
            "format": 1,
            "student": {"use": "word_bag", "width": 32},
            "augment": {"use": "none"},
            "losses": {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}},
            "optimizer": {"use": "adamw", "learning_rate": 1e-2, "weight_decay": 1e-2},
            "schedule": {"use": "one_cycle"},
            "batch_size": 32,
        }
        return TeacherRecipe("bag of words", (pipeline,))


def _example(shape: tuple[int, ...], n: int, generator: torch.Generator | None) -> Batch:
    length, words = shape
    if generator is None:
        ids = torch.full((n, length), UNKNOWN)
    else:
        ids = torch.randint(UNKNOWN, words, (n, length), generator=generator)
    return {"ids": ids, "mask": torch.ones(n, length, dtype=torch.bool)}


@dataclass(frozen=True, kw_only=True)
class Topics:
    """400 made-up texts of 3 to 12 words on three topics, whose words overlap."""

    declares = Dataset(name="topics", modality="words")

    def build(self, context: DataContext) -> Raw:
        texts, labels = made_up_texts(400)
        return Raw(
            name="topics", modality="words", classes=("sea", "wood", "town"), train=Part(texts, labels.astype(np.int64))
        )


def made_up_texts(count: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return texts and their topics: of 24 words a topic has 8 of its own, which make half of its texts."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    texts = []
    for label in labels:
        own = rng.integers(8 * label, 8 * label + 8, size=12)
        words = np.where(rng.random(12) < 0.5, own, rng.integers(0, 24, size=12))
        texts.append(" ".join(f"w{word}" for word in words[: rng.integers(3, 13)]))
    return np.array(texts, dtype=object), labels


class Bag(nn.Module):
    """The mean of the words' embeddings, behind one hidden layer."""

    def __init__(self, task: Task, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(task.input_shape[1], width)
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.fc = nn.Linear(width, task.num_classes)

    def forward(self, x: Batch) -> Output:
        tokens, mask = self.embed(x["ids"]), x["mask"]
        pooled = self.hidden(mean_of_real(tokens, mask))
        return Output(self.fc(pooled), (pooled,), pooled, (tokens,), mask=mask)


class Attentive(nn.Module):
    """One layer of self-attention over the words, and the mean of what comes out."""

    def __init__(self, task: Task, width: int, heads: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(task.input_shape[1], width)
        self.qkv = nn.Linear(width, 3 * width)
        self.fc = nn.Linear(width, task.num_classes)
        self.heads = heads

    def forward(self, x: Batch) -> Output:
        tokens, mask = self.embed(x["ids"]), x["mask"]
        split = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k, v = split.unbind(0)
        scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~mask[:, None, None], torch.finfo(q.dtype).min)
        mixed = tokens + (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        pooled = mean_of_real(mixed, mask)
        return Output(self.fc(F.relu(pooled)), (), pooled, (tokens, mixed), (q, k, v), mask)


def mean_of_real(tokens: Tensor, mask: Tensor) -> Tensor:
    """Return [B, d], the mean of tokens [B, N, d] that are real; 0 where none is."""
    return (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).clamp_min(1)


@dataclass(frozen=True, kw_only=True)
class WordBag:
    """A bag of words."""

    declares = Student(name="word_bag", modalities={"words"}, offers={"features", "pooled", "tokens"})

    width: Annotated[int, Integer(2, 64, log=True)] = 8  # of the embeddings

    def build(self, context: BuildContext) -> nn.Module:
        return Bag(context.task, self.width)


@dataclass(frozen=True, kw_only=True)
class WordAttention:
    """Self-attention over words."""

    declares = Student(name="word_attention", modalities={"words"}, offers={"pooled", "tokens", "attention"})

    width: Annotated[int, Choice(4, 8, 16)] = 8  # of the embeddings

    def build(self, context: BuildContext) -> nn.Module:
        return Attentive(context.task, self.width)


@dataclass(frozen=True, kw_only=True)
class ForgetWords:
    """Some words become unknown ones."""

    declares = DeclaredAugment(name="forget_words", modalities={"words"})

    share: Annotated[float, Choice(0.05, 0.1, 0.2)] = 0.1  # of the words

    def build(self, context: BuildContext) -> Augment:
        length = context.task.input_shape[0]

        def draw(generator: torch.Generator, n: int, u: float) -> Rows:
            return {"forgotten": torch.rand(n, length, generator=generator) < self.share}

        def apply(view: View, rows: Rows, partner: View | None, partner_rows: Rows | None) -> View:
            return view._replace(inputs=_forget(view.inputs, rows["forgotten"]))

        return Augment(draw, apply)


def _forget(inputs: Inputs, forgotten: Tensor) -> Inputs:
    assert isinstance(inputs, Mapping)
    return {**inputs, "ids": inputs["ids"].masked_fill(forgotten & inputs["mask"], UNKNOWN)}
