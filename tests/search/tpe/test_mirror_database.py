"""The mirror in a database: what it holds, what it survives, and what is refused before a search begins."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import optuna
import pytest

import autokd
from autokd.errors import MissingDependency, UserError
from autokd.search.tpe.database import database_url, mask_passwords
from autokd.search.tpe.mirror import Mirror, rebuild
from autokd.study.store import StudyStore
from tests.search.mirrors import expected, in_database, told
from tests.search.spaces import UNSCREENED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study whose mirror is a database."""
    base = tmp_path_factory.mktemp("mirrored")
    (base / "tiny.yaml").write_text(UNSCREENED.replace("trials: 8", "trials: 6"))
    autokd.search(
        "digits",
        limit_train=64,
        device="cpu",
        space=base / "tiny.yaml",
        study="mine",
        storage=f"sqlite:///{base}/mirror.db",
        studies_dir=base / "studies",
        reports_dir=base / "reports",
    )
    return base


def test_the_database_holds_what_the_records_hold(folder: Path) -> None:
    store, url = StudyStore.open(folder / "studies" / "mine"), f"sqlite:///{folder}/mirror.db"
    assert told(in_database(url)) == expected(store) and len(told(in_database(url))) >= 4
    assert "mirror.db" not in (folder / "studies" / "mine" / "study.yaml").read_text()


def test_what_differs_is_written_anew_and_a_rebuild_is_equal(folder: Path) -> None:
    store, url = StudyStore.open(folder / "studies" / "mine"), f"sqlite:///{folder}/mirror.db"
    optuna.load_study(study_name="mine", storage=url).add_trial(
        optuna.trial.create_trial(value=0.5, user_attrs={"number": 77})
    )
    with Mirror(store, url) as mirror:
        mirror.update()
    assert told(in_database(url)) == expected(store)
    assert rebuild(store, f"sqlite:///{folder}/other.db") == len(expected(store))
    assert told(in_database(f"sqlite:///{folder}/other.db")) == expected(store)


def test_a_database_that_is_away_is_written_once_it_is_back(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, away = StudyStore.open(folder / "studies" / "mine"), tmp_path / "away"
    now = [0.0]
    mirror = Mirror(store, f"sqlite:///{away}/mirror.db", clock=lambda: now[0])
    mirror._gather(over=True)
    mirror._attempt()
    mirror._attempt()  # not again before its pause is over
    assert caplog.text.count("the Optuna mirror could not be written (") == 1
    away.mkdir()
    now[0] = 2.0
    mirror._attempt()
    assert told(in_database(f"sqlite:///{away}/mirror.db")) == expected(store) and "is back" in caplog.text
    mirror.close()


@pytest.mark.parametrize("text", ["nonsense", "mysql://u:secret@h/d", "sqlite://"])
def test_a_url_that_is_no_database_is_refused_without_repeating_its_password(text: str) -> None:
    with pytest.raises(UserError) as caught:
        database_url(text)
    assert str(caught.value).startswith("--storage") and "secret" not in str(caught.value)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("psycopg"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"psycopg is not installed; .* 'autokd\[postgres\]'"):
        database_url("postgresql://me@here/studies")


def test_passwords_are_masked() -> None:
    assert mask_passwords("postgresql://me:secret@here/studies") == "postgresql://me:***@here/studies"
