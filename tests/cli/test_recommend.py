"""The command that recommends without a search."""

from __future__ import annotations

import json


def test_what_is_recommended_is_printed_and_written(run, here):
    ran = run("recommend", "--dataset", "wine", "--space", "space.yaml", "--top", "2", "-o", "files", "--json", "-q")
    assert ran.code == 0 and ran.err == ""
    plain = json.loads(ran.out)
    assert len(plain["pipelines"]) == len(plain["files"]) == 2 and plain["past_studies"] == []
    assert run("check", plain["files"][0]).code == 0
    assert not (here / "studies").exists()


def test_a_limit_that_none_meets_and_a_metric_that_there_is_not_are_refused(run, here):
    ran = run("recommend", "--dataset", "wine", "--space", "space.yaml", "--max-params", "3")
    assert ran.code == 3 and "smallest" in ran.err and "Traceback" not in ran.err
    ran = run("recommend", "--dataset", "wine", "--space", "space.yaml", "--objective", "accurary")
    assert ran.code == 2 and "accuracy" in ran.err
