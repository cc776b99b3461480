"""Files of `torch.save` without running anything in them: tensors and plain data; all other objects stand still.

`torch.load(weights_only=True)` makes tensors and plain containers, calls nothing else, and refuses a file that names
any other class or function. Trainers leave such names beside the weights: `argparse.Namespace`, paths, dates, NumPy
numbers, classes of configurations. Here each of these names stands for a class of ours that was made for it, `Inert`,
which keeps what the file says of the object and does nothing. What a name means is never looked up, and no module is
imported for it; a name that no checkpoint needs is a reason to refuse the file.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch

from autokd.errors import TeacherError, one_line
from autokd.files import printable

_MOST_NAMES = 1000
"""Unknown names in a file above which it is no checkpoint."""
_HOSTILE = re.compile(
    r"(os|posix|nt|sys|io|_io|commands|imp|pdb|pip|timeit|subprocess|shutil|importlib|runpy|pty|code|ctypes|socket|marshal|webbrowser)\.|"
    r"builtins\.(eval|exec|compile|open|input|breakpoint|__import__)$"
)
"""Names that no checkpoint needs, and that those have which do harm to whoever unpickles them."""
_PLAIN = re.compile(
    r"(argparse|collections|copyreg|datetime|decimal|enum|fractions|numpy|pathlib|torch|types|uuid)\.|"
    r"builtins\.(bool|bytes|dict|float|frozenset|int|list|object|range|set|slice|str|tuple)$"
)
"""Names of plain data, which nobody needs to hear of."""


class Inert:
    """What stands for an object of a class that is not loaded.

    Args:
      arguments: what it was to be made from.

    Attributes:
      name: of the class or function in the file, dotted.
      state: what its attributes were to be; None where the file says nothing of them.
    """

    __slots__ = ("arguments", "state")
    name: ClassVar[str] = ""
    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Inert:
        """Keep the arguments."""
        made = object.__new__(cls)
        made.arguments, made.state = arguments, None
        return made

    def __init__(self, *arguments: Any) -> None:
        """Do nothing: `__new__` has kept them."""

    def __setstate__(self, state: Any) -> None:
        """Keep the state."""
        self.state = state


class _AsMapping:
    """Stands for a class of mappings: an object of it is an ordered dict, made without its arguments."""

    def __new__(cls, *arguments: Any) -> Any:
        return OrderedDict()


class _AsList:
    """Stands for a class of lists."""

    def __new__(cls, *arguments: Any) -> Any:
        return []


_KNOWN: Mapping[str, type] = {"collections.defaultdict": _AsMapping, "collections.deque": _AsList}


class Read(NamedTuple):
    """What a file holds.

    Args:
      content: tensors, plain data and `Inert` objects.
      foreign: names of classes and functions in it that are neither tensors nor plain data, in order.
    """

    content: Any
    foreign: tuple[str, ...]


def read_plain(path: Path) -> Read:
    """Read a file of `torch.save`, on the CPU.

    Raises:
      TeacherError: it is damaged, no file of `torch.save`, or one that only a general unpickling would read.
    """
    stand_ins = {name: _inert(name) for name in _names_in(path)}
    while True:
        _refuse_hostile(path, stand_ins)
        try:
            with _standing_in(stand_ins):
                content = torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            changed = _after_refusal(str(error), stand_ins)
            if changed is None or len(changed) > _MOST_NAMES:
                raise TeacherError(_refusal(path, str(error))) from error
            stand_ins = changed
        except _DAMAGED as error:
            raise TeacherError(_refusal(path, str(error))) from error
        else:
            return Read(content, tuple(sorted(name for name in stand_ins if not _PLAIN.match(name))))


_DAMAGED = (
    RuntimeError,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    AttributeError,
    TypeError,
    ArithmeticError,
    AssertionError,
    MemoryError,
)
"""What torch and Python raise at bytes that are none of a checkpoint."""


def _names_in(path: Path) -> list[str]:
    """The names in a zipped file that torch does not know; [] for any other file, whose first name it tells."""
    with contextlib.suppress(Exception), warnings.catch_warnings(action="ignore"):  # whatever it is, reading says it
        return list(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    return []


@contextlib.contextmanager
def _standing_in(stand_ins: Mapping[str, type]) -> Iterator[None]:
    """Have torch find these classes under these names, and nothing else beside its own."""
    pairs: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [(cls, name) for name, cls in stand_ins.items()]
    with torch.serialization.safe_globals(pairs), warnings.catch_warnings(action="ignore"):
        yield


def _inert(name: str) -> type:
    return _KNOWN.get(name) or type(f"Inert<{name}>", (Inert,), {"__slots__": (), "name": name})


def _after_refusal(message: str, stand_ins: Mapping[str, type]) -> dict[str, type] | None:
    """The stand-ins with which to try again, after what torch said; None where nothing helps."""
    unknown = re.search(r"GLOBAL (\S+) was not an allowed global", message)
    if unknown is not None:
        name = unknown[1] if "." in unknown[1] else f"builtins.{unknown[1]}"
        return None if name in stand_ins else {**stand_ins, name: _inert(name)}
    filled = re.search(r"(SETITEMS?|append|extend)\b.*Inert<(.+?)>", message)
    if filled is not None and filled[2] in stand_ins:
        return {**stand_ins, filled[2]: _AsMapping if filled[1].startswith("SET") else _AsList}
    return None


def _refuse_hostile(path: Path, names: Iterable[str]) -> None:
    hostile = [name for name in names if _HOSTILE.match(name)]
    if hostile:
        raise TeacherError(
            f"{printable(str(path))} names {hostile[0]}, which no checkpoint needs and which may do harm; open it with "
            "nothing, and get the weights from elsewhere"
        )


def _refusal(path: Path, message: str) -> str:
    """Say what is wrong with a file that torch refused, and what to do."""
    shown = printable(str(path))
    blocked = re.search(r"unsupported GLOBAL (\S+)", message)
    if blocked is not None:
        _refuse_hostile(path, [blocked[1]])
    return f"{shown} {_what_is_wrong(message, *_ends(path))}"


def _what_is_wrong(message: str, begin: bytes, end: bytes) -> str:
    """What is wrong with a file, by what torch said, its first bytes and its last one."""
    reason = _reason(message)
    if "TorchScript" in message:
        return (
            "is a TorchScript archive; save its state dict by itself: "
            "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
        )
    if begin.startswith(_ZIP) or _LEGACY in begin:
        return _OF_TORCH.get(reason, f"is damaged or cut short ({reason})")
    if begin.startswith(b"\x80") and end == pickle.STOP:
        return "is a pickle, but none of torch.save; where it was made: torch.save(model.state_dict(), NEW)"
    what = next((what for magic, what in _OTHER_KINDS.items() if begin.startswith(magic)), "")
    return what or f"is damaged, cut short or no checkpoint ({reason})"


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The first bytes of a file and its last one; what cannot be read is empty."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        begin = file.read(64)
        file.seek(-1, os.SEEK_END)
        return begin, file.read(1)
    return b"", b""


def _reason(message: str) -> str:
    """What torch says of a file, without what it advises."""
    said = message.rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0]
    return one_line(ValueError(said))


_ZIP, _LEGACY = b"PK", b"l\xfc\x9cF\xf9 j\xa8P\x19"
"""What files of `torch.save` begin with: since 2020, and the magic number of those before."""
_ANOTHER_PROTOCOL = (
    "was saved with a later protocol of pickle than torch's own, which is not read; where it was made, save its state "
    "dict by itself: torch.save(model.state_dict(), NEW)"
)
_OF_TORCH = {
    "Unsupported operand 149": _ANOTHER_PROTOCOL,
    "Only persistent_load of storage is allowed, but got <class 'str'>": (
        "holds a whole network with its source, which is not loaded; where it was made, save its weights alone: "
        "torch.save(torch.load(FILE, weights_only=False).state_dict(), NEW)"
    ),
}
"""What is said of a file of torch in place of what torch says; 149 begins a frame, as later protocols have it."""
_OTHER_KINDS = {
    b"version https://git-lfs": "is a pointer of Git LFS in place of the file; get it with: git lfs pull",
    b"<": "is a web page or XML, so the download went wrong; get it again",
    b"\x89HDF": "is an HDF5 file, as Keras writes it; only weights of PyTorch are read",
    b"\x1f\x8b": "is compressed with gzip; unpack it first",
    b"Rar!": "is a RAR archive; unpack it first",
    b"7z\xbc\xaf": "is a 7z archive; unpack it first",
}
"""What a file is that begins with these bytes."""
