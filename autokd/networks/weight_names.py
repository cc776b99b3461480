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
    rivals = _prefixes(state, names, expected)
    prefix = rivals[0] if rivals else ""
    inside = {name: plain.removeprefix(prefix) for name, plain in names.items() if plain.startswith(prefix)}
    beside = {name for name, short in inside.items() if short not in expected and _is_beside(short, state[name])}
    kept = {short: state[name] for name, short in inside.items() if name not in beside}
    unused = tuple(name for name in state if name not in inside or name in beside)
    return Fit(kept, unused, tuple(rivals) if len(rivals) > 1 else ())


def _unwrapped(name: str, expected: Mapping[str, Tensor]) -> str:
    """A name without the parts that wrappers put into its middle."""
    if name in expected or not any(part in name for part in WRAPPED):
        return name
    return ".".join(part for part in name.split(".") if part not in WRAPPED)


def _prefixes(state: Mapping[str, Tensor], names: Mapping[str, str], expected: Mapping[str, Tensor]) -> list[str]:
    """The prefixes under which most of the expected names lie, "" among them first; one alone where it is averaged."""
    found, fitting = Counter[str](), Counter[str]()
    for name, plain in names.items():
        for prefix, short in _splits(plain):
            if short in expected:
                found[prefix] += 1
                fitting[prefix] += expected[short].shape == state[name].shape
    if not found:
        return []
    most = max((found[prefix], fitting[prefix]) for prefix in found)
    best = [prefix for prefix in found if (found[prefix], fitting[prefix]) == most]
    averaged = [prefix for prefix in best if is_averaged(prefix)]
    if "" in best or len(found) == 1 or most[0] < len(expected) / 2:
        return ["" if "" in best else best[0]]
    return averaged if len(averaged) == 1 else best


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """A name cut before each of its parts: what stands before, and the rest."""
    yield "", name
    for dot in re.finditer(r"\.", name):
        yield name[: dot.end()], name[dot.end() :]


def _is_beside(name: str, tensor: Tensor) -> bool:
    """Whether a tensor that the network does not expect belongs to no network: a counter, or of a loss or a metric."""
    first, _, _ = name.partition(".")
    counts = tensor.numel() == 1 and not tensor.is_floating_point()
    return counts or name.rpartition(".")[2] in COUNTERS or bool(BESIDE & set(re.findall("[a-z]+", first.lower())))
