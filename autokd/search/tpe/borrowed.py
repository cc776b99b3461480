"""All that autokd takes from Optuna beside its public interface; a release of Optuna may change it without a word.

Nothing else in the package uses a private name of Optuna. `BORROWED` lists them, a test compares the list with the
installed Optuna, and `pyproject.toml` keeps Optuna below the next minor version.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialModel
from optuna.study import study as optunas_study
from optuna.trial import FrozenTrial, TrialState

MOST_GOOD = 25
"""Trials that TPE takes for good ones, at most."""
METRIC_NAMES: str = optunas_study._SYSTEM_ATTR_METRIC_NAMES
"""Attribute of a study that names its objectives; the public way warns of being new, in threads as well."""
CREATION_LOG = "optuna.storages._rdb.storage"
"""Name of the logger that writes a line for every study made in a database."""


class Borrowed(NamedTuple):
    """A private name of Optuna.

    Args:
      module: where it is.
      name: in the module; "()" stands for an instance of a class, or what a function returns.
      use: what it is for.
      parameters: the first ones of a function, in order; () where it is none.
    """

    module: str
    name: str
    use: str
    parameters: tuple[str, ...] = ()


_SUGGEST = ("self", "study", "trial", "search_space")
BORROWED = (
    Borrowed(
        "optuna.samplers._tpe.sampler", "_split_trials", "splits good trials from bad", ("study", "trials", "n_below")
    ),
    Borrowed("optuna.samplers", "TPESampler._sample_relative", "suggests all parameters at once", _SUGGEST),
    Borrowed("optuna.samplers", "TPESampler._sample", "is overridden, to draw ahead", _SUGGEST),
    Borrowed(
        "optuna.samplers",
        "TPESampler._build_parzen_estimator",
        "estimates a density once an ask",
        ("self", "study", "search_space", "trials", "handle_below"),
    ),
    Borrowed(
        "optuna.samplers",
        "TPESampler._compute_acquisition_func",
        "says how promising draws are",
        ("self", "samples", "mpe_below", "mpe_above"),
    ),
    Borrowed("optuna.samplers", "TPESampler()._rng.rng", "draws"),
    Borrowed("optuna.samplers", "TPESampler()._n_ei_candidates", "is the number of draws"),
    Borrowed("optuna.trial", "create_trial()._trial_id", "numbers trials that no storage has numbered"),
    Borrowed("optuna.storages._rdb.models", "TrialModel.datetime_complete", "is when a trial ended"),
    Borrowed("optuna.study.study", "_SYSTEM_ATTR_METRIC_NAMES", "names the objectives"),
    Borrowed(CREATION_LOG, "", "is the module whose logger is kept quiet"),
)
"""Every private name that is used."""


def number_trials(trials: list[FrozenTrial]) -> None:
    """Give trials the numbers that a storage would have given them, in place."""
    for number, trial in enumerate(trials):
        trial.number = trial._trial_id = number


def good_count(count: int) -> int:
    """Return how many of so many trials TPE takes for good ones: Optuna's own default, a tenth and at most 25."""
    return min(math.ceil(0.1 * count), MOST_GOOD)


@contextlib.contextmanager
def ends_at(storage: RDBStorage, trial: int, when: datetime) -> Iterator[None]:
    """Have a trial in a database end at this time, once what is done meanwhile is done.

    Args:
      storage: Optuna's.
      trial: its number there.
      when: local, without a zone.
    """
    yield
    with storage.engine.begin() as connection:
        connection.execute(
            sqlalchemy.update(TrialModel).where(TrialModel.trial_id == trial).values(datetime_complete=when)
        )


class AskSampler(optuna.samplers.TPESampler):
    """TPE for one ask, of one or several objectives: all candidates are drawn from the same trials.

    So these are split and each density is estimated once, and suggestions are drawn ahead in growing blocks, since a
    call of numpy costs more than what it computes here. The first candidate is the one that TPE itself would suggest.

    Args:
      study: holds the trials.
      seed: of all candidates.
      draws: from the good trials' density, of which the most promising is suggested.
      refused: how many of the trials were never run; they do not make the group of good ones larger.
    """

    def __init__(self, study: optuna.Study, seed: int, *, draws: int, refused: int = 0) -> None:
        super().__init__(seed=seed, n_startup_trials=1, n_ei_candidates=draws)
        trials = study.get_trials(deepcopy=False)
        over = sum(trial.state != TrialState.RUNNING for trial in trials)  # rungs under way count as bad ones
        self._good, self._bad = _split_trials(study, trials, good_count(over - refused))
        self._ahead: dict[tuple[str, ...], Iterator[dict[str, Any]]] = {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE's own, which then leaves word for other processes."""
        return self._sample_relative(study, trial, search_space)

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        paths = tuple(search_space)
        if paths not in self._ahead:
            self._ahead[paths] = self._suggestions(study, search_space)
        return next(self._ahead[paths])

    def _suggestions(self, study: optuna.Study, search_space: dict[str, BaseDistribution]) -> Iterator[dict[str, Any]]:
        """Yield the most promising of so many draws from the good trials' density, again and again."""
        good = self._build_parzen_estimator(study, search_space, self._good, handle_below=True)
        bad = self._build_parzen_estimator(study, search_space, self._bad, handle_below=False)
        for block in itertools.chain((1, 2, 4), itertools.repeat(8)):
            samples = good.sample(self._rng.rng, block * self._n_ei_candidates)
            gains = self._compute_acquisition_func(samples, good, bad).reshape(block, -1)
            for index in gains.argmax(1) + self._n_ei_candidates * np.arange(block):
                yield {path: span.to_external_repr(samples[path][index].item()) for path, span in search_space.items()}
