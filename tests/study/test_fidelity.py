"""Does short predict long: rank correlations between rungs and with select, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from autokd.study.fidelity import Tau, interval, kendall, short_predicts_long, too_short
from autokd.study.records import Records, RunRecord
from tests.search.records import EPOCHS, trial


def study(short: Sequence[float], long: Sequence[float], alone: int = 0) -> Records:
    """Trials with scores at two rungs, and some that were stopped at the first."""
    both = [trial(k, a, b) for k, (a, b) in enumerate(zip(short, long, strict=True))]
    stopped = [trial(len(both) + k, 0.1) for k in range(alone)]
    return Records(trials={t.number: t for t in [*both, *stopped]})


def select(number: int, *scores: float, stage: str = "select", arm: str | None = None) -> list[RunRecord]:
    return [
        RunRecord(
            stage=stage,
            round=0,
            arm=arm or f"trial {number}",
            variant="",
            seed=seed,
            pipeline={},
            score=score,
            loss=0.0,
            seconds=0.0,
        )
        for seed, score in enumerate(scores)
    ]


ORDER = [0.50 + 0.02 * k for k in range(12)]
SHUFFLED = [ORDER[k] for k in (5, 8, 1, 10, 3, 6, 0, 11, 7, 2, 9, 4)]


def test_the_same_order_is_strong() -> None:
    (found,) = short_predicts_long(study(ORDER, [x + 0.2 for x in ORDER], alone=5))
    assert (found.shorter, found.longer, found.n) == (EPOCHS[0], EPOCHS[1], 12)
    assert found.tau is not None and found.tau.tau == pytest.approx(1.0)
    assert (found.verdict, found.why) == ("strong", "")
    assert too_short(study(ORDER, ORDER)) == ""


def test_no_order_is_weak_and_the_budget_was_too_short() -> None:
    """Of 66 pairs of `SHUFFLED` 33 agree: tau is 0."""
    agreeing = sum(SHUFFLED[i] < SHUFFLED[j] for j in range(12) for i in range(j))
    records = study(ORDER, SHUFFLED)
    (found,) = short_predicts_long(records)
    assert found.tau is not None and found.tau.tau == pytest.approx((2 * agreeing - 66) / 66)
    assert found.tau.high is not None and found.tau.high < 0.6
    assert found.verdict == "weak"
    assert too_short(records) == (
        f"the budget was too short: scores after 1 epoch say little about those after 2 "
        f"(tau {interval(found.tau)}, n = 12); use more epochs"
    )


def test_few_trials_say_nothing() -> None:
    (found,) = short_predicts_long(study(ORDER[:7], SHUFFLED[:7]))
    assert (found.verdict, found.why) == ("unknown", "only 7 trials")
    assert too_short(study(ORDER[:7], SHUFFLED[:7])) == ""
    (one,) = short_predicts_long(study([0.5], [0.6]))
    assert (one.tau, one.n, one.why) == (None, 1, "only 1 trial")
    assert short_predicts_long(Records()) == [] == short_predicts_long(Records(trials={0: trial(0)}))


def test_trials_that_differ_no_more_than_seeds_do_cannot_be_ordered() -> None:
    records = study(ORDER, SHUFFLED)  # the standard deviation of these is 0.072
    records.runs += select(0, 0.5, 0.6, 0.7, stage="noise", arm="kd")  # 0.1
    (found,) = short_predicts_long(records)
    assert (found.verdict, found.why) == ("unknown", "these trials differ hardly more than seeds do")
    records.runs[:] = select(0, 0.50, 0.52, 0.54, stage="noise", arm="kd")
    assert [found.verdict for found in short_predicts_long(records)] == ["weak"]


def test_every_two_rungs_and_select_over_the_seeds_that_finalists_share() -> None:
    trials = [trial(k, 0.1 * k, 0.1 * k, 0.1 * k) for k in range(1, 5)]
    records = Records(trials={t.number: t for t in [*trials, trial(9, 0.9, 0.9, 0.9, failure="error")]})
    records.runs += [*select(4, 0.9, 0.7, 0.1), *select(3, 0.7, 0.7), *select(2, 0.5, 0.5, 0.9, 0.9)]
    found = short_predicts_long(records)
    assert [(one.shorter, one.longer, one.n) for one in found] == [(1, 2, 4), (1, 4, 4), (2, 4, 4), (4, None, 3)]
    assert found[-1].tau == (pytest.approx(1.0), None, None, 3)  # 0.8, 0.7 and 0.5 over the first two seeds


def test_the_verdict_on_simulated_studies() -> None:
    """Rungs that order well are hardly ever called weak, rungs that say nothing hardly ever strong."""
    verdicts: dict[float, list[str]] = {0.0: [], 3.0: []}
    for signal, found in verdicts.items():
        for number in range(60):
            random = np.random.default_rng(number)
            quality = random.normal(0, 1, 15)
            short, long = (signal * quality + random.normal(0, 1, 15) for _ in range(2))
            found.append(short_predicts_long(study(short.tolist(), long.tolist()))[0].verdict)
    assert verdicts[3.0].count("strong") >= 45 and verdicts[3.0].count("weak") <= 2
    assert verdicts[0.0].count("weak") >= 45 and verdicts[0.0].count("strong") <= 2


def test_a_correlation_in_words() -> None:
    assert interval(Tau(0.1, -0.4, 0.5, 9)) == "0.10 [−0.40, 0.50]"
    assert interval(Tau(-0.25, None, None, 4)) == "−0.25" and interval(None) == "–"
    assert kendall([1, 2], [1, 2]) is None
