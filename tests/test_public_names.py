"""The names that a user may rely on."""

from __future__ import annotations

import subprocess
import sys

import autokd
from tests.processes import ANEW, run

PUBLIC = [
    "AutokdError",
    "PipelineSpec",
    "Study",
    "Teacher",
    "UserError",
    "export_model",
    "load_student",
    "open_study",
    "predict",
    "recommend",
    "search",
    "train",
]


def test_public_names_are_these_sorted_and_few():
    assert autokd.__all__ == PUBLIC == sorted(PUBLIC)
    assert len(PUBLIC) <= 12
    assert {*PUBLIC, "__version__"} == set(dir(autokd))


def test_every_public_name_exists_and_is_documented():
    for name in PUBLIC:
        assert getattr(autokd, name).__doc__


def test_importing_autokd_imports_nothing_heavy():
    script = "import sys, autokd; print([n for n in ('torch', 'numpy', 'pandas', 'typer', 'rich') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def test_search_stays_a_function_whatever_is_imported_first(tmp_path):
    script = (
        f"{ANEW}import autokd.study.store, autokd\nfirst = autokd.search\n"
        "import autokd.cli.commands, autokd.api, autokd.search.run\n"
        "print(callable(first), first is autokd.search is autokd.api.search)"
    )
    assert run(script, folder=tmp_path) == (0, "True True\n")
