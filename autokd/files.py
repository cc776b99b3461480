"""Writing files whole or not at all, plain data, YAML as text, and where caches live."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import yaml

from autokd.errors import DISK_FULL, UserError

if TYPE_CHECKING:
    from torch import Tensor

CACHE_REMEDY = "set AUTOKD_CACHE to a folder that you may write to"


def cache_dir(*parts: str) -> Path:
    """Return (and make) a folder under `AUTOKD_CACHE`, or under the user's cache folder where that is not set.

    Raises:
      UserError: it cannot be made, or no home folder is known.
    """
    given = os.environ.get("AUTOKD_CACHE")
    try:
        base = Path(given or platformdirs.user_cache_dir("autokd")).expanduser()
    except RuntimeError as error:
        said = f"AUTOKD_CACHE={given}" if given else "the cache"
        raise UserError(f"{said}: no home folder is known; {CACHE_REMEDY}") from error
    path = base.joinpath(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise UserError(f"{path}: {error.strerror}; {CACHE_REMEDY}") from error
    return path


def check_writable(folder: Path, remedy: str) -> None:
    """Refuse a folder in which nothing can be written, before any work is done; one that is missing is not made.

    Args:
      folder: where something is to be written.
      remedy: what to do then, for the message.

    Raises:
      UserError: nothing can be written there.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise UserError(f"{folder}: {error.strerror}; {remedy}") from error


def printable(text: str) -> str:
    r"""Return a text that can be written as UTF-8: bytes of a file's name that are none stand as \xe9.

    Example:
      >>> print(printable("caf\udce9"))
      caf\xe9
    """
    return os.fsencode(text).decode("utf-8", "backslashreplace") if not is_printable(text) else text


def clean(text: str) -> str:
    """Return a text that can be written, without signs that control how its neighbours are shown.

    Example:
      >>> clean("left\u202eright")
      'leftright'
    """
    return "".join(sign for sign in printable(text) if unicodedata.category(sign) not in ("Cc", "Cf"))


def is_printable(text: str) -> bool:
    """Whether a text can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place at the end, flushed to disk.

    A reader never sees half a file, and a crash leaves the old one or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if str(error.filename) != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # nobody knows the temporary name
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors, whole or not at all.

    Raises:
      OSError: it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with written_whole(path) as temporary:
            save_file(
                {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, metadata
            )
    except SafetensorError as error:
        full = "space" in str(error).lower()
        number, why = (errno.ENOSPC, os.strerror(errno.ENOSPC)) if full else (errno.EIO, str(error))
        raise OSError(number, why, str(path)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file, on the CPU, and its metadata.

    Raises:
      OSError, safetensors.SafetensorError: it is missing or damaged.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


YAML_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The safe loader; the one in C, where PyYAML has it, takes a tenth of the time."""


def to_yaml(value: Any) -> str:
    """Return plain data as YAML text, keys in their own order.

    Example:
      >>> print(to_yaml({"use": "kd", "temperature": 4.0}), end="")
      use: kd
      temperature: 4.0
    """
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)


def from_yaml(text: str) -> Any:
    """Return the plain data of YAML text.

    Raises:
      yaml.YAMLError: the text is not YAML.
    Example:
      >>> from_yaml("{use: kd, temperature: 4.0}")
      {'use': 'kd', 'temperature': 4.0}
    """
    return yaml.load(text, Loader=YAML_LOADER)


def as_plain(value: Any) -> Any:
    """Return nested data with tuples as lists and numpy scalars as numbers, as YAML and JSON keep it."""
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [as_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)
    return item() if callable(item) else value
