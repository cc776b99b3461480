"""Whether a study's rungs are scored on side branches is part of what makes it this study."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from autokd.errors import StudyError
from autokd.files import write_text
from autokd.search.facts import describe_study
from autokd.search.prepare import prepare
from autokd.search.request import Request
from autokd.search.session import Setup
from autokd.space import Budget
from autokd.study.store import StudyStore
from tests.search.spaces import SPACE


@pytest.fixture
def request_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setenv("AUTOKD_CACHE", str(tmp_path / "cache"))
    space = tmp_path / "tiny.yaml"
    space.write_text(SPACE)
    options: dict[str, Any] = {"limit_train": 128, "studies_dir": tmp_path / "studies"}
    return Request(dataset="digits", space=space, study="mine", device="cpu", **options)


def prepared(request: Request) -> Setup:
    return prepare(request, lambda at: None, dry=True)


def begin(request: Request, **changed: Any) -> None:
    """Make the study of a request, without running it; None leaves a part of its budget out."""
    setup = prepared(request)
    budget = {**setup.identity.budget, **changed}
    left = {key: value for key, value in budget.items() if value is not None}
    setup = dataclasses.replace(setup, identity=dataclasses.replace(setup.identity, budget=left))
    StudyStore.create(Path(request.studies_dir) / str(request.study), describe_study(setup), setup.space_text).close()


def test_a_new_study_has_branches_and_says_so(request_of: Request) -> None:
    found = prepared(request_of)
    assert found.budget.branch == found.identity.budget["branch"] == Budget.branch > 0


def test_a_study_from_before_there_were_branches_goes_on_without(request_of: Request) -> None:
    begin(request_of, branch=None)
    found = prepared(request_of)
    assert found.budget.branch == 0 and "branch" not in found.identity.budget
    assert prepared(dataclasses.replace(request_of, fresh=True)).budget.branch == Budget.branch


def test_a_study_without_branches_is_one_of_its_own(request_of: Request) -> None:
    begin(request_of)
    assert prepared(request_of).budget.branch == Budget.branch
    space = yaml.safe_load(SPACE)
    space["budget"]["branch"] = 0
    assert isinstance(request_of.space, Path)
    write_text(request_of.space, yaml.safe_dump(space))
    with pytest.raises(StudyError, match=r"budget\.branch: 0\.\d+ in the study, '\(nothing\)' asked"):
        prepared(request_of)
    begin(dataclasses.replace(request_of, study="other"))
    assert prepared(dataclasses.replace(request_of, study="other")).budget.branch == 0
