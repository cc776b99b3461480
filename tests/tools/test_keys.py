"""The count of keyed reads can't be lowered by writing the same read in another way."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokd import catalog
from tools import keys


def count(package: Path, code: str, file: str = "report/facts.py") -> int:
    """Keyed reads of records in a package of one module."""
    (package / file).parent.mkdir(parents=True, exist_ok=True)
    (package / file).write_text(code)
    return sum(found.total() for found in keys.count_reads(package).values())


@pytest.mark.parametrize(
    "code",
    [
        'claim["arms"]',
        'anything["arms"]',
        'claim.get("arms")',
        'claim.get("arms", {})',
        'claim.pop("arms")',
        '"arms" in claim',
        '"arms" not in claim',
        'import operator\noperator.itemgetter("arms")(claim)',
        'from operator import itemgetter\nitemgetter("arms")(claim)',
        'match claim:\n    case {"arms": arms}:\n        pass',
        'ARMS = "arms"\nclaim[ARMS]',
        'ARMS: str = "arms"\nclaim.get(ARMS)',
    ],
)
def test_a_read_counts_however_it_is_written(code: str, tmp_path: Path) -> None:
    assert count(tmp_path, code) == 1


def test_a_constant_of_another_module_counts_like_the_string(tmp_path: Path) -> None:
    (tmp_path / "names.py").write_text('ARMS = "arms"\n')
    assert count(tmp_path, "from autokd.names import ARMS\nclaim[ARMS]") == 1


@pytest.mark.parametrize(
    "code", ['{"arms": 1}', 'claim["arms"] = 1', 'claim["no such key"]', "claim.arms", "claim[0]", 'f"arms {claim}"']
)
def test_what_is_no_read_of_a_record_does_not_count(code: str, tmp_path: Path) -> None:
    assert count(tmp_path, code) == 0


def test_a_nested_read_counts_by_its_keys(tmp_path: Path) -> None:
    assert count(tmp_path, 'claim["arms"]["recommended"]["test"]') == 2


def test_records_have_their_home_and_no_record_reaches_what_is_below_it(tmp_path: Path) -> None:
    assert count(tmp_path, 'claim["arms"]', "study/claim.py") == 0
    assert count(tmp_path, 'claim["arms"]', "engine/step.py") == 0
    assert count(tmp_path, 'claim["arms"]', "knowledge/past.py") == 1


def test_what_is_left_out_exists() -> None:
    assert {name for name in keys.BELOW if not (keys.PACKAGE / name).exists()} == set()
    assert set(catalog.KINDS) - {"exports"} <= keys.BELOW  # what is exported may come from a record
