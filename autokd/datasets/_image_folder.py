"""A folder of images, one folder a class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokd.data_types import DataContext, Raw
from autokd.datasets.layout import Layout, layout_of
from autokd.datasets.pictures import Listed, read_pictures
from autokd.declarations import Dataset
from autokd.errors import DataError
from autokd.modalities.picture_files import find_pictures, said_of_others


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Images in one folder a class, or in train, val and test folders of that form.

    Resized to square images, whose side is by default about that of the median image, at most 64; grey where no image
    has colour. Decoded once and kept in the cache.
    """

    declares = Dataset(modality="image")

    root: str  # the folder
    group: str | None = None  # pattern of what names a picture's group in its path below its class, or "folder"
    validation: str | None = None  # a folder of the same form to validate on
    ground: str | None = None  # what transparent images are laid on, white or black; None for white

    def build(self, context: DataContext) -> Raw:
        """Read it; see `autokd.data_types.DatasetComponent`."""
        layout = layout_of(Path(self.root), None if self.validation is None else Path(self.validation))
        listed, passed_over = _listing(layout, _group_finder(self.group))
        found = read_pictures(listed, context, self.ground)
        return Raw(
            name=Path(self.root).resolve().name,
            modality="image",
            classes=layout.classes,
            skipped=found.skipped,
            reading=found.reading,
            sampled=found.sampled,
            remarks=(*layout.remarks, *passed_over, *found.remarks),
            without_label=None,
            **found.parts,
        )


def _listing(layout: Layout, group_of: Callable[[Path], str | None]) -> tuple[list[Listed], list[str]]:
    """Return every picture with its split, class and group, and what is said of the other files."""
    listed: list[Listed] = []
    others: Counter[str] = Counter()
    for part, folders in layout.folders.items():
        for label, name in enumerate(layout.classes):
            if name in folders:
                found = find_pictures(folders[name])
                for path in found.pictures:
                    listed.append(Listed(part, label, path, group_of(path.relative_to(folders[name]))))
                others.update(found.others)
    return listed, said_of_others(others)


def _group_finder(group: str | None) -> Callable[[Path], str | None]:
    """Return what tells a picture's group from its path below its class folder."""
    if group is None:
        return lambda inside: None
    if group == "folder":
        return _folder_inside
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise DataError(f"group {group!r} is no regular expression ({error}), and not the word folder") from error
    return lambda inside: _named(pattern, inside)


def _folder_inside(inside: Path) -> str:
    if len(inside.parts) < 2:
        raise DataError(f"{inside} lies in no folder below its class; group 'folder' needs one folder a group there")
    return inside.parts[0]


def _named(pattern: re.Pattern[str], inside: Path) -> str:
    """Return what the pattern's group called group, else its first one, else all of it matches."""
    match = pattern.search(inside.as_posix())
    name = match and match[pattern.groupindex.get("group", min(1, pattern.groups))]
    if not name:
        raise DataError(
            f"group '{pattern.pattern}' matches nothing in {inside.as_posix()}; every picture needs a group"
        )
    return name
