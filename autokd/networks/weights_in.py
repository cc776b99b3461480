"""Which weights of a file are meant, and what else it says: trainers keep them beside optimizers, averages, options."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autokd.errors import TeacherError
from autokd.networks.class_list import KEYS, names_of
from autokd.networks.plain_pickle import Inert

KNOWN = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "module", "params",
)  # fmt: skip
"""Keys under which training scripts keep the weights, the commonest first; averaged ones have `AVERAGED` in the key."""
AVERAGED = frozenset({"ema", "swa", "averaged", "average", "avg"})
"""Words in a key of averaged weights. They are taken where a file has both, as timm and torchvision evaluate them."""
_NEVER = ("optim", "sched", "scaler", "callback", "loop", "rng")
"""Beginnings or parts of keys under which no network lies."""
_DEPTH, _LARGE, _SHOWN = 4, 0.1, 5
_OTHER_NAMES = ("idx_to_class", "CLASSES", "categories", "label_names")
_AMONG = ("args", "hyper_parameters", "hparams", "config", "cfg", "meta", "dataset_meta", "model_args", "opt")
"""Keys under which trainers keep what describes a run."""


class Found(NamedTuple):
    """The weights in a file.

    Args:
      state: names and tensors.
      note: which of several they are, for people; "" where there are no others.
    """

    state: dict[str, Tensor]
    note: str = ""


class _Weights(NamedTuple):
    """Tensors under a key of a file, which is "" for those that lie at the top, else as a/b."""

    key: str
    state: dict[str, Tensor]

    @property
    def size(self) -> int:
        return sum(map(torch.Tensor.numel, self.state.values()))


def find_weights(content: Any, shown: str, key: str = "") -> Found:
    """Return the weights that a file's content holds.

    Args:
      content: as it was read.
      shown: the file, for messages.
      key: which are meant, "" for those that the trainer itself would evaluate: averaged ones come first.
    Raises:
      TeacherError: there are none, none under that key, or several and nothing says which.
    """
    _refuse_whole_module(content, shown)
    everything = list(_weights(content))
    if key and everything:
        return Found(_under(everything, key, shown).state)
    large = _large(everything)
    if not large:
        raise TeacherError(f"{shown} holds no state dict (found: {_seen(content)}); expected names and tensors")
    chosen = large[0] if len(large) == 1 else _chosen(large, swapped=_is_swapped(content))
    others = [one.key for one in large if one is not chosen and one.key]
    if chosen is None:
        raise TeacherError(
            f"{shown} holds several sets of weights: {_keys(large)}; say which one is meant before the @, such as "
            f"key={others[0]}"
        )
    return Found(chosen.state, _note(chosen, others))


def _large(everything: list[_Weights]) -> list[_Weights]:
    """The weights that may be a network's: those that are not small beside others."""
    largest = max((one.size for one in everything), default=0)
    return [one for one in everything if one.size >= _LARGE * largest] if largest else []


def _note(chosen: _Weights, others: list[str]) -> str:
    """What is said of a choice; "" where there was none."""
    if not others:
        return ""
    averaged = ", which are averaged" if is_averaged(chosen.key) else ""
    return f"takes the weights under {chosen.key or 'no key'}{averaged}; key={others[0]} before the @ takes the others"


def _keys(weights: list[_Weights]) -> str:
    keys = [one.key or "the top" for one in weights]
    return ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")


def find_class_names(content: Any, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return the class names that a file's content holds, as many as some tensor has rows; () where there are none."""
    for mapping in _descriptions(content, 3):
        for key in (*KEYS, *_OTHER_NAMES):
            names = names_of(_listed(mapping.get(key)))
            words = any(not name.isdecimal() for name in names)
            if words and any(tensor.ndim and tensor.shape[0] == len(names) for tensor in state.values()):
                return names
    return ()


def _descriptions(content: Any, depth: int) -> Iterator[Mapping[Any, Any]]:
    mapping = content.state if isinstance(content, Inert) else content
    if not isinstance(mapping, Mapping) or not depth:
        return
    yield mapping
    for key in _AMONG:
        yield from _descriptions(mapping.get(key), depth - 1)


def _listed(value: Any) -> Any:
    """The items of an array of NumPy as a list: of texts, or of objects; anything else as it is."""
    if not isinstance(value, Inert) or not value.name.endswith("multiarray._reconstruct"):
        return value
    match value.state:
        case (_, _, _, _, list() as items):
            return items
        case (_, _, Inert(arguments=(str() as kind, *_)), _, bytes() as data) if re.fullmatch(r"U[1-9]\d*", kind):
            width = 4 * int(kind[1:])
            parts = [data[start : start + width] for start in range(0, len(data), width)]
            return [part.decode("utf-32-le", "replace").rstrip("\0") for part in parts]
    return value


def _weights(content: Any, path: tuple[str, ...] = ()) -> Iterator[_Weights]:
    """All mappings from names to tensors, outermost first."""
    if not isinstance(content, Mapping) or len(path) > _DEPTH or not all(isinstance(key, str) for key in content):
        return
    state = {key: _bare(value) for key, value in content.items() if _is_tensor(value)}
    if state:
        yield _Weights("/".join(path), state)
    for key in filter(_may_hold_a_network, content):
        yield from _weights(content[key], (*path, key))


def _may_hold_a_network(key: str) -> bool:
    return not any(word in key.lower() for word in _NEVER)


def _is_tensor(value: Any) -> bool:
    """Whether a value is a tensor with numbers, of no other kind: not sparse, not quantised, not without storage."""
    if type(value) not in (Tensor, torch.nn.Parameter):
        return False
    return bool(value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized)


def _bare(tensor: Tensor) -> Tensor:
    """A tensor without the attributes that a file may give it."""
    return torch.Tensor.detach(tensor)


def is_averaged(key: str) -> bool:
    """Whether a key, or the beginning of a name, says that the weights are averaged."""
    return bool(AVERAGED & set(re.findall(r"[a-z]+", key.lower())))


def _chosen(large: list[_Weights], *, swapped: bool) -> _Weights | None:
    """The weights that are meant where nobody says which; None where that is open."""
    averaged = _of_kind(large, averaged=True)
    ordinary = sorted(_of_kind(large, averaged=False), key=_place)
    if averaged and not (swapped and ordinary):
        named = [one for one in averaged if one.key == "state_dict_ema"] or averaged
        return named[0] if len(named) == 1 else None
    return ordinary[0] if _place(ordinary[0]) <= len(KNOWN) else None


def _of_kind(weights: list[_Weights], *, averaged: bool) -> list[_Weights]:
    return [one for one in weights if is_averaged(one.key) == averaged]


def _place(one: _Weights) -> int:
    """The place of a key among the known ones; the top comes after them, and unknown keys come last."""
    first = one.key.partition("/")[0]
    return KNOWN.index(first) if first in KNOWN else len(KNOWN) + bool(first)


def _is_swapped(content: Any) -> bool:
    """Whether mmengine wrote the file: it keeps the averaged weights as `state_dict`, and the others as the average."""
    meta = content.get("meta") if isinstance(content, Mapping) else None
    return isinstance(meta, Mapping) and "mmengine_version" in meta


def _under(everything: list[_Weights], key: str, shown: str) -> _Weights:
    """The weights under a key of the file, or those whose names begin with it."""
    for one in everything:
        if key in (one.key, one.key.partition("/")[0], one.key.rpartition("/")[2]):
            return one
    begin = f"{key}."
    for one in everything:
        inside = {name.removeprefix(begin): tensor for name, tensor in one.state.items() if name.startswith(begin)}
        if inside:
            return _Weights(key, inside)
    raise TeacherError(f"{shown} has no weights under {key!r}; the keys of weights in it: {_keys(everything)}")


def _refuse_whole_module(content: Any, shown: str) -> None:
    """Refuse a file whose network, at the top or under a key, was saved whole and is all there is."""
    if isinstance(content, Inert):
        raise TeacherError(_advice(shown, "", content.name))
    if not isinstance(content, Mapping) or any(one.key for one in _weights(content)):
        return
    for key, value in content.items():
        if isinstance(value, Inert) and isinstance(value.state, Mapping) and "_modules" in value.state:
            raise TeacherError(_advice(shown, str(key), value.name))


def _advice(shown: str, key: str, name: str) -> str:
    where = f"[{key!r}]" if key else ""
    return (
        f"{shown} holds a whole network ({name}){f' under {key!r}' if key else ''}, which is code as much as weights "
        "and is not loaded; where it was made, save its weights alone: "
        f"torch.save(torch.load(FILE, weights_only=False){where}.state_dict(), NEW)"
    )


def _seen(content: Any) -> str:
    return (
        f"keys {', '.join(map(repr, list(content)[:_SHOWN]))}"
        if isinstance(content, Mapping)
        else type(content).__name__
    )
