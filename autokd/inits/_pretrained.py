"""Weights from a file, such as a student that was trained on other data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from autokd.declarations import Init
from autokd.errors import ComponentError, TeacherError
from autokd.networks.state_file import file_fingerprint, read
from autokd.networks.weights import load_start
from autokd.types import BuildContext


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """The weights of a file, whole; only a classifier of another number of classes is left at random."""

    declares = Init(file="path", digest="digest")

    path: str = ""  # of a .safetensors file, a state dict of torch.save, or a student bundle
    digest: str = ""  # of the file's bytes; filled in as a space or a pipeline file is read

    def build(self, context: BuildContext) -> Callable[[nn.Module], str]:
        """Return what sets a student's weights and says what it left at random.

        Raises:
          ComponentError: the file is missing, damaged, or has changed; or, from what is returned, does not fit.
        """
        path = Path(self.path).expanduser()
        if not self.path or not path.exists():
            raise ComponentError(
                f"there is no file of weights {self.path!r}, with which the student is to begin; bring it back, or "
                "give its new place as init.path in the pipeline file"
            )
        try:
            found = file_fingerprint(path)
            if self.digest not in ("", found):
                raise ComponentError(
                    f"the weights in {path} have changed: their digest is {found}, the pipeline says {self.digest}; "
                    "bring the old file back, or leave out the digest to begin with the new one"
                )
            state = read(path).state
        except TeacherError as error:
            raise ComponentError(str(error)) from error
        return lambda student: load_start(student, state, context.task, str(path))
