"""A foreign table of runs: its structure is found, noise teaches nothing, mistakes are told, and no name is kept."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from autokd.cli.commands import run_command
from autokd.errors import UserError
from autokd.knowledge import StudyCard, read_base
from autokd.knowledge.card import HAND_KD
from autokd.knowledge.foreign import Imported, import_csv
from autokd.knowledge.mapping import read_mapping
from autokd.knowledge.pays import findings
from autokd.knowledge.transfer import transfer

MAPPING: dict[str, Any] = {
    "task": "task",
    "score": "score",
    "configuration": {
        "loss": "losses.{value}",
        "kd_temperature": "losses.kd.temperature",
        "batch": "batch_size",
        "mixup": "free",
        "alpha": "free",
    },
}
Row = dict[str, Any]


def drawn(worth: Callable[[Row], float], *, seed: int = 0, tasks: int = 5, runs: int = 40) -> list[Row]:
    """A table of random configurations; scores are what they are worth, on a level of each task, with noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for task in range(tasks):
        for _ in range(runs):
            row: Row = {
                "task": f"secret task {task}",
                "loss": str(rng.choice(["kd", "dkd", "dist"])),
                "kd_temperature": round(float(rng.uniform(1, 8)), 2),
                "batch": int(rng.choice([32, 64])),
                "mixup": str(rng.choice(["TRUE", "FALSE"])),
                "alpha": round(float(rng.uniform(0, 1)), 2),
            }
            score = 0.4 + 0.08 * task + worth(row) + 0.02 * rng.standard_normal()
            rows.append({**row, "score": round(float(np.clip(score, 0, 1)), 4)})
    return rows


def structure(row: Row) -> float:
    return 0.05 * (row["loss"] == "dkd") + 0.04 * (row["mixup"] == "TRUE")


def write(folder: Path, rows: Sequence[Mapping[str, Any]], mapping: Mapping[str, Any]) -> tuple[Path, Path]:
    table, described = folder / "runs.csv", folder / "map.yaml"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    described.write_text(yaml.safe_dump(dict(mapping), sort_keys=False), encoding="utf-8")
    return table, described


def imported(folder: Path, rows: Sequence[Mapping[str, Any]], mapping: Mapping[str, Any] = MAPPING) -> Imported:
    table, described = write(folder, rows, mapping)
    return import_csv(table, read_mapping(described))


def by_task(found: Imported, rows: Sequence[Row]) -> list[StudyCard]:
    """The cards in the order of their tasks in the table."""
    first = {
        task: next(row["score"] for row in rows if row["task"] == task)
        for task in dict.fromkeys(r["task"] for r in rows)
    }
    return [next(c for c in found.base.cards if c.runs[0].score == score) for score in first.values()]


def test_a_known_structure_is_found(tmp_path: Path) -> None:
    found = imported(tmp_path, drawn(structure))
    how_well = transfer(found.base)
    assert how_well.learned
    assert how_well.correlation is not None
    assert how_well.correlation.low > 0.5
    assert how_well.p == 0.001
    assert how_well.first > 0.75
    effects = {(e.choice.place.split(".")[-1], e.choice.option): e for e in findings(found.base).scopes[0].effects}
    assert effects["losses", "dkd"].verdict == "pays"
    mixup = next(e for (place, _), e in effects.items() if found.names.get(place_of(found, place)) == "mixup")
    assert mixup.verdict == "costs"  # FALSE, against TRUE
    assert all("loss dkd" in row and "mixup TRUE" in row for row in found.best(3))


def place_of(found: Imported, name: str) -> str:
    return next((key for key in found.names if key.endswith(f".{name}")), "")


@pytest.mark.parametrize("seed", range(4))
def test_noise_teaches_nothing(tmp_path: Path, seed: int) -> None:
    how_well = transfer(imported(tmp_path, drawn(lambda _: 0.0, seed=seed)).base)
    assert not how_well.learned
    assert how_well.p > 0.01


def test_what_helps_one_task_and_harms_another_teaches_nothing(tmp_path: Path) -> None:
    def opposite(row: Row) -> float:
        return structure(row) * (-1) ** int(row["task"][-1])

    assert not transfer(imported(tmp_path, drawn(opposite, tasks=6)).base).learned


def test_tasks_of_one_family_do_not_predict_each_other(tmp_path: Path) -> None:
    rows = [{**row, "source": row["task"][-1] in "01"} for row in drawn(structure, tasks=4, runs=20)]
    found = imported(tmp_path, rows, {**MAPPING, "family": "source"})
    assert len({card.facts.family for card in found.base.cards}) == 2
    how_well = transfer(found.base)
    assert (how_well.studies, how_well.sources, how_well.correlation) == (4, 2, None)
    assert not how_well.learned


def test_pipelines_have_autokds_parts(tmp_path: Path) -> None:
    rows = [
        {"task": "a", "loss": "KD", "kd_temperature": 4, "batch": 64, "mixup": "TRUE", "alpha": "", "score": 81.5},
        {"task": "a", "loss": "none", "kd_temperature": 4, "batch": "", "mixup": "FALSE", "alpha": 0.5, "score": ""},
    ]
    values = {"KD": "kd", "none": ""}
    configuration = {**MAPPING["configuration"], "loss": {"to": "losses.{value}", "values": values}}
    mapping = {**MAPPING, "percent": True, "epochs": 30, "samples": 100, "classes": 4, "configuration": configuration}
    (card,) = imported(tmp_path, rows, mapping).base.cards
    first, second = card.runs
    assert first.pipeline["losses"] == {"kd": {"use": "kd", "temperature": 4.0}}
    assert (first.pipeline["batch_size"], first.score, first.epochs) == (64, 0.815, 30)
    assert "losses" not in second.pipeline  # its temperature is that of a loss that it has not
    assert (second.score, second.failure) == (None, "failed")
    assert list(second.pipeline["other"].values()) == ["c1", 0.5]
    assert (card.facts.train, card.facts.class_counts) == (100, (25, 25, 25, 25))


def test_flags_and_fields_alone_say_that_a_part_is_there(tmp_path: Path) -> None:
    columns = {"dkd": "losses.dkd", "lr": "optimizer.sgd.learning_rate", "adam": "augment.mixup"}
    rows = [
        {"task": "a", "score": 0.5, "dkd": "yes", "lr": 0.1, "adam": 0},
        {"task": "a", "score": 0.6, "dkd": "no", "lr": "", "adam": 1},
    ]
    (card,) = imported(tmp_path, rows, {"task": "task", "score": "score", "configuration": columns}).base.cards
    assert [{k: v for k, v in run.pipeline.items() if k != "format"} for run in card.runs] == [
        {"losses": {"dkd": {"use": "dkd"}}, "optimizer": {"use": "sgd", "learning_rate": 0.1}},
        {"augment": {"use": "mixup"}},
    ]


def test_kd_by_hand_is_a_row_or_a_column(tmp_path: Path) -> None:
    rows = drawn(structure, tasks=2, runs=4)
    rows[1] |= {"loss": "kd", "kd_temperature": 4, "mixup": "FALSE"}
    by_row = imported(tmp_path, rows, {**MAPPING, "baseline": {"loss": "kd", "kd_temperature": 4.0, "mixup": False}})
    first = by_task(by_row, rows)[0]
    assert first.baseline(HAND_KD) == rows[1]["score"]
    by_column = imported(tmp_path, [{**row, "hand": 0.44} for row in rows], {**MAPPING, "baseline": "hand"})
    assert [card.baseline(HAND_KD) for card in by_column.base.cards] == [0.44, 0.44]


def test_two_runs_of_one_configuration_are_one_pipeline(tmp_path: Path) -> None:
    row = drawn(structure, tasks=1, runs=1)[0]
    rows = [{**row, "score": score, "seed": seed} for seed, score in enumerate((0.5, 0.7))]
    (card,) = imported(tmp_path, rows, {**MAPPING, "seed": "seed"}).base.cards
    assert list(card.worth.values()) == [pytest.approx(0.6)]


def test_no_name_of_the_table_enters_the_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"patient": row["task"], "Dr. Evil": row["score"], "clinic=x": "/home/eve/x", "y": row["mixup"], "loss": "kd"}
        for row in drawn(structure, tasks=3, runs=15)
    ]
    mapping = {
        "task": "patient",
        "family": "clinic=x",
        "score": "Dr. Evil",
        "configuration": {"clinic=x": "free", "y": "free", "loss": "losses.{value}"},
    }
    table, described = write(tmp_path, rows, mapping)
    base = tmp_path / "base.parquet"
    assert run_command(["knowledge", "import-csv", str(table), "--map", str(described), "-o", str(base)]) == 0
    kept = json.dumps(
        [[card.facts.to_plain(), [vars(run) for run in card.runs]] for card in read_base(base).cards], default=str
    )
    for word in ("secret", "patient", "Evil", "clinic", "eve", "TRUE", str(tmp_path)):
        assert word not in kept
        assert word.encode() not in base.read_bytes()
    shown = capsys.readouterr().out
    assert "Nothing can be said of other tasks" in shown
    assert "c1 = /home/eve/x" in shown  # who imports it is told


def test_the_command_says_what_was_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, described = write(tmp_path, drawn(structure, tasks=4), MAPPING)
    base, html = tmp_path / "base.parquet", tmp_path / "pays.html"
    command = ["knowledge", "import-csv", str(table), "--map", str(described), "-o", str(base)]
    assert run_command([*command, "--html", str(html)]) == 0
    shown = capsys.readouterr().out
    assert "Something was learnt" in shown
    assert "loss dkd" in shown
    assert "mixup: FALSE" in html.read_text(encoding="utf-8")
    assert run_command(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    table, _ = write(tmp_path, drawn(lambda _: 0.0, tasks=4), MAPPING)
    assert run_command([*command, "--overwrite", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["learned"] is False
    assert plain["first"] == []
    assert run_command([*command, "--overwrite"]) == 0
    assert "Nothing was learnt" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"score": None}, "score: name a column"),
        ({"skore": "score"}, "skore: there is no such key; did you mean 'score'?"),
        ({"metric": "accuracee"}, "metric: did you mean 'accuracy'?"),
        ({"percent": 3}, "percent: say true or false"),
        ({"epochs": True}, "epochs: name a column, or give one number"),
        ({"baseline": 3}, "baseline: name the column"),
        ({"configuration": {}}, "configuration: say of each column"),
        ({"configuration": {"loss": 3}}, "configuration: loss: say what it is: free"),
        ({"configuration": {"loss": "lozzes.kd"}}, "no slot 'lozzes'; did you mean 'losses'?"),
        ({"configuration": {"loss": "losses.kdd"}}, "losses has no 'kdd'; did you mean"),
        (
            {"configuration": {"loss": "losses.kd.temprature"}},
            "kd has no field 'temprature'; did you mean 'temperature'?",
        ),
        ({"configuration": {"loss": "losses"}}, "say losses.{value}, losses.COMPONENT"),
        ({"configuration": {"batch": "batch_size.kd"}}, "batch_size is a number"),
        ({"configuration": {"loss": {"to": "losses.{value}", "values": {"a": "kdd"}}}}, "losses has no 'kdd'"),
        ({"configuration": {"loss": {"two": "losses"}}}, "give to, and values"),
    ],
)
def test_mistakes_in_a_mapping_are_told(tmp_path: Path, change: Mapping[str, Any], told: str) -> None:
    _, described = write(tmp_path, [{"a": 1}], {**MAPPING, **change})
    with pytest.raises(UserError) as refused:
        read_mapping(described)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_mistakes_in_a_mapping_are_told_at_once(tmp_path: Path) -> None:
    _, described = write(tmp_path, [{"a": 1}], {"percent": 3, "configuration": {"a": 1}})
    with pytest.raises(UserError, match=r"task: say .*; score: say .*; percent: say .*; configuration: a: say"):
        read_mapping(described)
    described.write_text("a: [", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as YAML"):
        read_mapping(described)
    with pytest.raises(UserError, match="cannot be read as YAML"):
        read_mapping(tmp_path / "missing.yaml")
    described.write_text("- a", encoding="utf-8")
    with pytest.raises(UserError, match="give keys with columns"):
        read_mapping(described)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ({"score": "good"}, "line 2: score is 'good'; it must be a number"),
        ({"score": 81.2}, "say percent: true if scores are in percent"),
        ({"loss": "KL"}, "line 2: loss: losses has no 'KL'"),
        ({"kd_temperature": "hot", "loss": "kd"}, "kd_temperature is 'hot'; it must be a number"),
        ({"batch": "big"}, "batch is 'big'"),
    ],
)
def test_mistakes_in_a_table_are_told_with_their_line(tmp_path: Path, cells: Row, told: str) -> None:
    rows = drawn(structure, tasks=1, runs=2)
    rows[0] |= cells
    with pytest.raises(UserError) as refused:
        imported(tmp_path, rows)
    assert told in str(refused.value)


def test_a_table_must_have_the_columns_and_rows(tmp_path: Path) -> None:
    table, described = write(tmp_path, [{"a": 1}], MAPPING)
    with pytest.raises(UserError, match="has no column 'task', which the mapping names; it has a"):
        import_csv(table, read_mapping(described))
    table.write_text("task;score;loss;kd_temperature;batch;mixup;alpha\n", encoding="utf-8")
    with pytest.raises(UserError, match="has no row"):
        import_csv(table, read_mapping(described))
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as CSV"):
        import_csv(table, read_mapping(described))
    with pytest.raises(UserError, match="cannot be read as CSV"):
        import_csv(tmp_path / "missing.csv", read_mapping(described))
