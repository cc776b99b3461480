"""A network given in Python, used as it is; the caller answers for its weights."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from torch import nn

from autokd.declarations import Teacher
from autokd.networks.class_names import by_name, teachers_task
from autokd.networks.fed import Fed
from autokd.networks.freeze import foreign, freeze
from autokd.types import ANY, BuildContext
from autokd.types import Teacher as AnyTeacher


@dataclass(frozen=True, kw_only=True)
class ModuleTeacher(Fed):
    """A trained `nn.Module`; the teacher is a frozen copy, the caller's network stays as it is."""

    declares = Teacher(modalities=ANY)

    module: nn.Module  # [B, *input_shape] -> logits [B, C] or Output; inputs are normalised as the data's Task says
    features: tuple[str, ...] = ()  # module paths of the feature stages; () for the last one at each spatial size

    def build(self, context: BuildContext) -> AnyTeacher:
        """Return the frozen teacher.

        Raises:
          TeacherError: the network cannot be copied or does not fit the data.
        """
        source = f"{type(self.module).__module__}.{type(self.module).__qualname__}"
        own = teachers_task(context.task, self.classes, (), source)
        with foreign(f"the teacher {source} cannot be copied"):
            module = copy.deepcopy(self.module).cpu()
        teacher = freeze(
            module,
            own,
            source=source,
            identity={},
            inputs=self.form(),
            features=self.features,
        )
        return by_name(teacher, own, context.task)
