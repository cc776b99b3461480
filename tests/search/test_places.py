"""What is refused, or said, before any work is done: names and places; and versions that changed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import autokd
from autokd.errors import StudyError
from autokd.search import facts
from autokd.search.places import check_name


@pytest.mark.parametrize("name", ["a b", "ä", "-x", ".hidden", "x" * 250, "漢字"])
def test_names_of_studies(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 300, "300 bytes long, and that of a folder at most 250"),
        ("漢" * 100, "300 bytes long"),
        ("caf\udce9", "not UTF-8"),
        ("a/b", "not a path"),
        ("a\0b", "not a path"),
        ("..", "not a path"),
    ],
)
def test_names_that_no_folder_can_have(name: str, message: str) -> None:
    with pytest.raises(StudyError, match=message) as caught:
        check_name(name)
    str(caught.value).encode()


def made_under(**versions: str) -> Any:
    return SimpleNamespace(versions={**facts.versions_now(), **versions})


def test_other_versions_are_said_and_kept_with_the_first(caplog: pytest.LogCaptureFixture) -> None:
    facts.tell_versions(made_under())
    assert not caplog.records
    facts.tell_versions(made_under(autokd="0.0.1", torch="2.5.0, then 2.6.0"))
    (record,) = caplog.records
    now = facts.versions_now()
    assert f"autokd 0.0.1, now {autokd.__version__}; torch 2.6.0, now {now['torch']}" in record.getMessage()
    kept = facts.with_versions_now(made_under(autokd="0.0.1").versions)
    assert kept == {**now, "autokd": f"0.0.1, then {autokd.__version__}"}
    assert facts.with_versions_now(kept) == kept
    facts.tell_versions(SimpleNamespace(versions=kept))  # type: ignore[arg-type]
    assert len(caplog.records) == 1


def test_the_version_is_that_of_the_package_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokd._version.__version__", "9.9.9")
    assert facts.versions_now()["autokd"] == "9.9.9"
