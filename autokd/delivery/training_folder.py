"""The folder that full training works in: whose it is, who may write there, and what a killed process left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from autokd.delivery import pipeline_file
from autokd.delivery.pipeline_file import PipelineFile, differences
from autokd.errors import BundleError
from autokd.locks import take


def plan_of(file: PipelineFile) -> dict[str, Any]:
    """Return the part of a pipeline file that decides the result of training it."""
    plain = file.to_plain()
    return {key: plain[key] for key in ("pipeline", "data_fingerprint", "teacher_fingerprint", "train")}


def check_folder(out_dir: Path, file: PipelineFile) -> None:
    """Refuse a folder that holds something else than the training of this very file.

    Raises:
      BundleError: it is a file, holds other files, or the training of another pipeline.
    """
    if out_dir.exists() and not out_dir.is_dir():
        raise BundleError(f"{out_dir} is a file; give a folder")
    names = [path.name for path in out_dir.iterdir() if not path.name.startswith(".")] if out_dir.exists() else []
    if not names:
        return
    if "pipeline.yaml" not in names:
        others = f"{out_dir} holds other files ({sorted(names)[0]}, …)"
        raise BundleError(f"{others}; give a new or an empty folder with -o, such as {out_dir}-student")
    there = pipeline_file.read(out_dir / "pipeline.yaml")
    here, before = (
        {**plan_of(one), "objective": one.objective} for one in (file, there)
    )  # a curve is about one metric
    different = list(differences(here, before))
    if different:
        raise BundleError(
            f"{out_dir} holds the training of another pipeline: {'; '.join(different)}; give another folder"
        )


@contextlib.contextmanager
def held(out_dir: Path) -> Iterator[None]:
    """Make the folder, keep other processes from training in it, and delete what one that was killed wrote half.

    Raises:
      BundleError: another process trains there, or the folder cannot be written.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        lock = take(out_dir / ".lock", "give another folder")
        for half in out_dir.glob(".*.tmp"):  # the names of `files.written_whole`
            half.unlink(missing_ok=True)
    except filelock.Timeout as error:
        raise BundleError(
            f"another process is training in {out_dir}; wait for it, or give another folder; if there is none, delete "
            f"{out_dir / '.lock'}"
        ) from error
    except OSError as error:
        raise BundleError(f"cannot write in {out_dir}: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()
