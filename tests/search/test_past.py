"""What a search begins with: the known recipes alone, or what past studies advise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import pytest

from autokd.errors import StudyError, UserError
from autokd.knowledge import read_base
from autokd.knowledge.base import write_base
from autokd.recipes import RULES
from autokd.search import run
from autokd.search.facts import describe_study
from autokd.search.prepare import prepare
from autokd.search.recommend import request_of
from autokd.search.request import Progress, Recommending, Request, Screening
from autokd.search.session import Setup
from autokd.study.past import PastStudent
from autokd.study.settings import StudySettings
from autokd.study.store import StudyStore, read_settings
from tests.search.past import write_past
from tests.search.spaces import ONE_LAYER

SPACE = (
    ONE_LAYER.replace("trials: 3", "trials: 9, recipes: 4")
    .replace("{ce: {weight: 1.0, label_smoothing: 0.0}}", "{ce: {}}")
    .replace("{adamw: {}}", "{adamw: {}, sgd: {}}")
)


def prepared(request: Request, said: list[str] | None = None) -> Setup:
    def tell(at: Progress) -> None:
        if said is not None and at.stage == "past":
            said.append(at.note)

    return prepare(request, tell, dry=True)


def begin(setup: Setup, request: Request) -> None:
    """Make the study of a request, without running it."""
    StudyStore.create(Path(request.studies_dir) / str(request.study), describe_study(setup), setup.space_text).close()


class Begun(NamedTuple):
    """A request of four recipes, what is prepared for it without past studies and with some, and what is said then."""

    request: Request
    cold: Setup
    base: Path
    setup: Setup
    said: list[str]

    @property
    def warm(self) -> Request:
        return dataclasses.replace(self.request, knowledge=[self.base])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    folder = tmp_path_factory.mktemp("past")
    (folder / "space.yaml").write_text(SPACE)
    request = Request(dataset="wine", space=folder / "space.yaml", study="mine", device="cpu")
    cold = prepared(dataclasses.replace(request, studies_dir=folder / "none", cold=True))
    base, said = write_past(folder / "past.parquet", cold), list[str]()
    warm = dataclasses.replace(request, studies_dir=folder / "none", knowledge=[base])
    return Begun(request, cold, base, prepared(warm, said), said)


@pytest.fixture
def begun(made: Begun, tmp_path: Path) -> Begun:
    return made._replace(request=dataclasses.replace(made.request, studies_dir=tmp_path))


def test_what_past_studies_advise_comes_after_the_recipes_by_hand(begun: Begun) -> None:
    setup = begun.setup
    names = [*setup.recipes]
    assert names[:2] == ["kd", "alone"] and len(names) == 4
    taught = next(name for name in names if name.startswith("past-"))
    assert setup.recipes[taught].plain["losses"]["kd"]["temperature"] == 9.0
    assert setup.advised == names[2] and setup.past is not None and setup.past.studies == 4
    assert [each.name for each in setup.past.advised] == names[2:]
    advised = setup.past.rule(taught)
    assert advised is not None and advised.interval is not None and (advised.gain or 0) > 0.1
    assert (advised.studies, advised.better) == (4, 4)
    own = sum(name.startswith("past-") for name in names)
    assert begun.said == [
        f"4 of 4 are about this kind of input; they put 2 recipes in order, {own} of them their own, "
        f"{setup.past.advised[0].title} first"
    ]
    assert setup.identity.knowledge == setup.past.base is not None
    assert setup.dropped == begun.cold.dropped


def test_cold_begins_as_ever(begun: Begun) -> None:
    cold = begun.cold
    assert [*cold.recipes] == [each.rule.name for each in cold.portfolio.recipes][:4]
    assert {*cold.recipes} < {rule.name for rule in RULES}
    assert cold.past is None and cold.advised == "" and "knowledge" not in cold.identity.to_plain()
    assert prepared(begun.request).identity == cold.identity  # tests have no shipped base
    with pytest.raises(UserError, match="--cold begins without past studies, and --knowledge names some"):
        prepared(dataclasses.replace(begun.warm, cold=True))


def test_the_shipped_base_is_asked_unless_the_search_is_cold(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokd.knowledge.places.SHIPPED", begun.base)
    warm = prepared(begun.request)
    assert warm.recipes == begun.setup.recipes and warm.past is not None and warm.past.added is None
    assert prepared(dataclasses.replace(begun.request, cold=True)).identity == begun.cold.identity


def test_past_studies_about_something_else_change_nothing(begun: Begun, tmp_path: Path) -> None:
    said: list[str] = []
    other = write_past(tmp_path / "other.parquet", begun.cold, modality="image")
    setup = prepared(dataclasses.replace(begun.request, knowledge=[other]), said)
    assert said == ["none of 4 is about this kind of input; the known recipes come first"]
    assert setup.identity == begun.cold.identity and setup.portfolio == begun.cold.portfolio
    assert setup.past is not None and setup.past.advised == ()


def test_two_recipes_leave_past_studies_nothing_to_advise(begun: Begun, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(SPACE.replace("recipes: 4", "recipes: 2"))
    assert prepared(dataclasses.replace(begun.warm, space=tmp_path / "two.yaml")).past is None


def test_a_study_goes_on_from_its_own_record(begun: Begun, tmp_path: Path) -> None:
    setup = begun.setup
    begin(setup, begun.warm)
    begun.base.rename(tmp_path / "gone")
    try:
        again = prepared(begun.request)
    finally:
        (tmp_path / "gone").rename(begun.base)
    assert again.recipes == setup.recipes and again.past == setup.past and again.identity == setup.identity
    assert again.advised == setup.advised
    assert prepared(begun.warm).recipes == setup.recipes


def test_scored_students_of_past_studies_get_into_the_records(begun: Begun, tmp_path: Path) -> None:
    """Those of families and fields that the space has, of studies that have enough of them."""

    def scored(use: str, count: int, **fields: int) -> tuple[PastStudent, ...]:
        rows = [{"use": use, "width": width, **fields} for width in range(4, 4 + count)]
        return tuple(PastStudent(student=row, params=9, macs=9, proxies={"nwot": 1.5}, scores=(0.5,)) for row in rows)

    cards = read_base(begun.base).cards
    past = [scored("mlp", 9), scored("cnn", 9), scored("mlp", 7), scored("mlp", 8) + scored("mlp", 9, other=1)]
    base = tmp_path / "scored.parquet"
    write_base(base, [dataclasses.replace(card, students=each) for card, each in zip(cards, past, strict=True)])
    said: list[str] = []
    request = dataclasses.replace(begun.request, knowledge=[base])
    setup = prepared(request, said)
    assert said[0].endswith("; 2 of them scored students without training") and setup.recipes == begun.setup.recipes
    with run._opened(request, setup) as store:
        assert sorted(map(len, store.records.past_students)) == [8, 9]
        assert past[0] in store.records.past_students
    base.unlink()
    again = prepared(begun.request)  # goes on from the records alone
    with run._opened(begun.request, again) as store:
        assert sorted(map(len, store.records.past_students)) == [8, 9]


def test_a_study_that_began_otherwise_is_refused(begun: Begun, tmp_path: Path) -> None:
    begin(begun.setup, begun.warm)
    with pytest.raises(StudyError, match="began from what past studies advised; leave --cold out to go on"):
        prepared(dataclasses.replace(begun.request, cold=True))
    other = write_past(tmp_path / "other.parquet", begun.cold, studies=2)
    with pytest.raises(StudyError, match="leave --knowledge out"):
        prepared(dataclasses.replace(begun.request, knowledge=[other]))
    cold = dataclasses.replace(begun.request, study="cold")
    begin(begun.cold, cold)
    assert prepared(cold).past is None and prepared(dataclasses.replace(cold, cold=True)).past is None
    with pytest.raises(StudyError, match="began from the known recipes alone; leave --knowledge out"):
        prepared(dataclasses.replace(cold, knowledge=[begun.base]))


def test_what_was_advised_is_written_and_read(begun: Begun) -> None:
    setup = begun.setup
    begin(setup, begun.warm)
    read = read_settings(Path(begun.request.studies_dir) / "mine")
    assert read.past == setup.past and read.identity.knowledge == setup.identity.knowledge
    older = {key: value for key, value in read.to_plain().items() if key != "past"}
    assert StudySettings.from_plain(older).past is None


def test_screening_asks_no_past_studies(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []

    def noted(request: Request, *_: object, **__: object) -> Setup:
        asked.append(request)
        raise UserError("enough")

    monkeypatch.setattr(run, "prepare", noted)
    with pytest.raises(UserError, match="enough"):
        run.screen_only(Screening(dataset="wine"), lambda at: None)
    assert asked[0].cold


def test_beside_a_study_that_began_from_past_studies_others_are_prepared_cold(begun: Begun) -> None:
    begin(begun.setup, begun.warm)
    beside = dataclasses.replace(begun.request, cold=True)
    assert prepare(beside, lambda at: None, dry=True, for_study=False).past is None
    asked = Recommending(dataset="wine", space=begun.request.space)
    assert request_of(asked).fresh and request_of(asked).cold  # a study of this name says nothing


def test_a_base_that_is_none_is_refused_in_a_line(begun: Begun) -> None:
    with pytest.raises(UserError, match=r"space\.yaml is no knowledge base"):
        prepared(dataclasses.replace(begun.request, knowledge=[str(begun.request.space)]))
