"""A network of timm (PyTorch Image Models): timm:NAME, such as timm:mobilenetv4_conv_small."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from autokd import compat
from autokd.declarations import Student
from autokd.errors import ComponentError, nearest
from autokd.networks.fed import InputForm
from autokd.networks.library import Ways
from autokd.students.library import LibraryStudent
from autokd.types import IMAGE, Task


@dataclass(frozen=True, kw_only=True)
class Timm(LibraryStudent):
    """A network of timm at its own size, with its classifier made for the data's classes.

    Features are the stages that timm names; transformers offer tokens and the last attention too. What a network costs
    is what it costs once its branches are one, as it is delivered (`timm.utils.reparameterize_model`).
    """

    declares = Student(modalities=IMAGE, family=True)

    @classmethod
    def example(cls) -> str:
        """Return the name of one of the components, for messages."""
        return "timm:mobilenetv4_conv_small"

    @classmethod
    def check(cls, model: str) -> None:
        """Raise ComponentError where timm has no network of this name."""
        timm = compat.timm()
        name, dot, _ = model.partition(".")
        if dot:
            raise ComponentError(f"timm:{model}: leave off what follows the dot; weights come from a file: timm:{name}")
        if not timm.is_model(model):
            raise ComponentError(f"timm has no network {model!r}; {nearest(model, timm.list_models())}")

    @classmethod
    def form(cls) -> InputForm:
        """Return mean, std and side of the weights that timm itself has for the network."""
        known = _known(cls.model)
        return InputForm(mean=tuple(known.mean), std=tuple(known.std), own_size=int(known.input_size[-1]))

    @classmethod
    def fed_by(cls, file: Path) -> dict[str, list[float]]:
        """Return mean and std of what a config.json says, or of timm's weights with the tag in the file's name."""
        said = super().fed_by(file)
        named = next((name for name in (file.stem, file.parent.name) if name.startswith(f"{cls.model}.")), "")
        known = compat.timm().get_pretrained_cfg(named) if named else None
        return said or (cls._apart(known.mean, known.std) if known is not None else {})

    def make(self, task: Task) -> nn.Module:
        """Return timm's network."""
        arguments: dict[str, Any] = {"num_classes": task.num_classes, "in_chans": task.input_shape[0]}
        if self.drop_path:
            arguments["drop_path_rate"] = self.drop_path
        if _known(self.model).fixed_input_size:
            arguments["img_size"] = tuple(task.input_shape[1:])
        network: nn.Module = compat.timm().create_model(self.model, pretrained=False, **arguments)
        return network

    def stages(self, network: nn.Module) -> Sequence[tuple[str, int]]:
        """Return the stages that timm names."""
        named: Any = vars(network).get("feature_info", ())
        return [(stage["module"], stage["num_chs"]) for stage in named]

    def ways(self) -> Ways:
        """Return what timm does with its networks."""
        return Ways(simplify=_simplified, convert=_converted)


@functools.cache
def _known(model: str) -> Any:
    """What timm knows of the weights that it has for a network, or of what it was made for."""
    timm = compat.timm()
    return timm.get_pretrained_cfg(model) or timm.models.PretrainedCfg()


def _simplified(network: nn.Module) -> nn.Module:
    simpler: nn.Module = compat.import_module("timm.utils", "timm").reparameterize_model(network, inplace=True)
    return simpler


def _converted(state: Mapping[str, Tensor], network: nn.Module) -> Mapping[str, Tensor]:
    """A state dict of other names, or for another size of pictures, as timm itself converts those that it downloads."""
    convert: Any = vars(sys.modules[type(network).__module__]).get("checkpoint_filter_fn")
    converted: Mapping[str, Tensor] = state if convert is None else convert(dict(state), network)
    return converted
