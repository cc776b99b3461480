"""From a file's names of tensors to a network's: what wrappers put before or into them, and what is of no network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor

from autokd.networks.weights_in import is_averaged

WRAPPED = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts that compiling and sharding put into the middle of a name; no network of people has them."""
BESIDE = frozenset({"criterion", "loss", "losses", "metric", "metrics", "acc", "accuracy", "auroc", "confmat"})
"""Words in the first part of a name that say that its tensor is of a loss or a metric."""
COUNTERS = ("total_ops", "total_params")
"""Last parts of names that tools which count operations leave in every module."""


class Fit(NamedTuple):
    """A file's tensors by the names of a network.

    Args:
      state: the tensors under the prefix, without it, but for those that are left over on good grounds.
      unused: names in the file of what is left over.
      rivals: the prefixes, where several networks in the file fit alike; else ().
    """

    state: dict[str, Tensor]
    unused: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()


def fit_names(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Fit:
    """Return the tensors of a file by the names that a network expects.

    The prefix is the one under which the most of its names lie, with tensors of their shape; of equal ones that of
    averaged weights.

    Args:
      state: names and tensors of the file.
      expected: those of the network.
    """
    names = {name: _unwrapped(name, expected) for name in state}
    prefix, *rivals = _prefixes(state, names, expected)
    kept = {}
    for name, plain in names.items():
        short = plain.removeprefix(prefix)
        if plain.startswith(prefix) and (short in expected or not _is_beside(short, state[name])):
            kept[name] = short
    unused = tuple(name for name in state if name not in kept)
    return Fit({short: state[name] for name, short in kept.items()}, unused, (prefix, *rivals) if rivals else ())


def _unwrapped(name: str, expected: Mapping[str, Tensor]) -> str:
    """A name without the parts that wrappers put into its middle."""
    if name in expected or not any(part in name for part in WRAPPED):
        return name
    return ".".join(part for part in name.split(".") if part not in WRAPPED)


def _prefixes(state: Mapping[str, Tensor], names: Mapping[str, str], expected: Mapping[str, Tensor]) -> list[str]:
    """The prefix under which most of the expected names lie; several where nothing says which of them is meant."""
    found, fitting = Counter[str](), Counter[str]()
    for name, plain in names.items():
        for prefix, short in _splits(plain, expected):
            found[prefix] += 1
            fitting[prefix] += expected[short].shape == state[name].shape
    scores = {prefix: (count, fitting[prefix]) for prefix, count in found.items()}
    most = max(scores.values(), default=(0, 0))
    best = [prefix for prefix, score in scores.items() if score == most]
    if not best or "" in best:
        return [""]
    if 2 * most[0] < len(expected):  # the file is of something else, and there is nothing to choose
        return best[:1]
    averaged = list(filter(is_averaged, best))
    return averaged if len(averaged) == 1 else best


def _splits(name: str, expected: Mapping[str, Tensor]) -> Iterator[tuple[str, str]]:
    """A name cut before each of its parts, where the rest is an expected name: what stands before it, and it."""
    for start in (0, *(dot.end() for dot in re.finditer(r"\.", name))):
        if name[start:] in expected:
            yield name[:start], name[start:]


def _is_beside(name: str, tensor: Tensor) -> bool:
    """Whether a tensor that the network does not expect belongs to no network: a counter, or of a loss or a metric."""
    first, _, _ = name.partition(".")
    counts = tensor.numel() == 1 and not tensor.is_floating_point()
    return counts or name.rpartition(".")[2] in COUNTERS or bool(BESIDE & set(re.findall("[a-z]+", first.lower())))
