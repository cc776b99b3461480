"""Replays searches on recorded studies, what is of the same family left out: what does it help to know past studies?

    python -m benchmarks.knowledge.replay [--seeds 20] [--sets digits letter]

Every pipeline of a study was trained to the end, so a search is replayed without training. Each searcher says in which
order pipelines are tried, and sees the score of one run of each; the best that it saw is judged by its runs under other
seeds. A fold leaves out all studies of a family: the models, their weights, and the best fixed recipe are made of
the others alone.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.knowledge.advice import SHARED
from autokd.knowledge.base import Base
from autokd.knowledge.card import HAND_KD, CardRun, StudyCard
from autokd.knowledge.features import features, table_of
from autokd.knowledge.order import believed, far_behind, first_choice, worth_trying
from autokd.knowledge.recommender import Model, Recommender, Said, fitted, subject_of
from autokd.knowledge.taught import rule_from
from autokd.recipes import RULES
from benchmarks.knowledge.records import FAMILIES, card_of

AFTER = (1, 2, 5, 10, 20)
"""Trials after which a search is judged."""
PORTFOLIO = 12
"""Trials that come from the past before a search goes on by itself."""
REPEATED = 30
"""Pipelines with several runs from which on a study is searched among these alone."""
EXPLORED = 0.1
"""Share of a model's trials that are drawn at random."""
TIE = 0.1
"""Points that count as none."""
BOOTSTRAPS = 10_000
SHUFFLED, UNRELATED = "shuffled", "unrelated"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A study that a search is replayed on.

    Args:
      name: of the set.
      card: what was recorded.
      runs: one a pipeline, in the order in which they were recorded.
      scores: of each pipeline under each seed, in points.
    """

    name: str
    card: StudyCard
    runs: tuple[CardRun, ...]
    scores: tuple[Values, ...]

    @functools.cached_property
    def worth(self) -> Values:
        """Mean score of each pipeline over its runs, in points."""
        return np.array([each.mean() for each in self.scores])

    @functools.cached_property
    def by_hand(self) -> float:
        """What KD by hand is worth."""
        return float(self.worth[self.place(HAND_KD)])

    @functools.cached_property
    def rows(self) -> list[dict[str, float]]:
        """Numbers of each pipeline."""
        return [features(subject_of(run.pipeline, run.params, self.card.facts)) for run in self.runs]

    @functools.cached_property
    def rules(self) -> list[str]:
        """Name of each pipeline as a rule; "" where it is none."""
        found = [rule_from(run.pipeline) for run in self.runs]
        return ["" if rule is None else rule.name for rule in found]

    def place(self, source: str) -> int:
        """Return the place of a recipe."""
        return next(place for place, run in enumerate(self.runs) if run.source == source)

    def places(self, names: Sequence[str]) -> list[int]:
        """Return the places of recipes that are there, by their names."""
        known = {run.source: place for place, run in reversed(list(enumerate(self.runs)))}
        return [known[f"recipe:{name}"] for name in names if f"recipe:{name}" in known]

    def seen(self, seed: int) -> Values:
        """Return the score of each pipeline that a search sees: that of one of its runs."""
        return np.array([each[seed % len(each)] for each in self.scores])

    def judged(self, seed: int) -> Values:
        """Return the score of each pipeline by its other runs; by the one that is seen where there is no other."""
        others = [np.delete(each, seed % len(each)) if len(each) > 1 else each for each in self.scores]
        return np.array([each.mean() for each in others])


@functools.cache
def target(name: str) -> Target | None:
    """Return a recorded set; None where it is not recorded."""
    card = card_of(name)
    if card is None or card.baseline(HAND_KD) is None:
        return None
    runs: dict[str, list[CardRun]] = {}
    for run in card.runs:
        runs.setdefault(run.key, []).append(run)
    repeated = {key: found for key, found in runs.items() if len(found) > 1}
    kept = repeated if len(repeated) >= REPEATED else runs
    scores = tuple(np.array([100 * (run.score or 0.0) for run in found]) for found in kept.values())
    return Target(name, card, tuple(found[0] for found in kept.values()), scores)


@dataclass(frozen=True)
class Fold:
    """A target, and what may be known of it: the studies on the same kind of input of other families.

    Args:
      target: that is searched on.
      past: the studies that are known.
      control: `SHUFFLED`: each study's results belong to other pipelines of it; `UNRELATED`: such studies stand beside
        the true ones; "": neither.
      seed: of the control.
    """

    target: Target
    past: tuple[Target, ...]
    control: str = ""
    seed: int = 0

    @functools.cached_property
    def said(self) -> Values:
        """What each past study says of the target's pipelines, [S, n]."""
        shuffles = {SHUFFLED: [self.seed + 1], UNRELATED: [0, self.seed + 1]}.get(self.control, [0])
        models = [_model(each.name, shuffle) for shuffle in shuffles for each in self.past]
        return np.stack([model.of(self.target.rows, self.target.rules)[0] for model in models])

    @functools.cached_property
    def tried(self) -> NDArray[np.bool_]:
        """Whether each past study tried each of the target's pipelines as a rule, [S, n]."""
        rows = [[rule in each.rules for rule in self.target.rules] for each in self.past]
        known: NDArray[np.bool_] = np.array(rows * (2 if self.control == UNRELATED else 1))
        tried: NDArray[np.bool_] = known & np.array([bool(rule) for rule in self.target.rules])
        return tried

    @functools.cached_property
    def known(self) -> Values:
        """What each past study says of the pipelines that it really tried."""
        return Said(self.said, self.said, self.tried).known

    @functools.cached_property
    def sources(self) -> list[int]:
        """On how many sources of data each pipeline was tried as a rule; known recipes count as tried everywhere."""
        families = np.array([FAMILIES[each.name] for each in self.past] * (2 if self.control == UNRELATED else 1))
        known = [run.source.startswith("recipe:") for run in self.target.runs]
        return [99 if known[i] else len(set(families[self.tried[:, i]])) for i in range(len(known))]

    @functools.cached_property
    def weights(self) -> Values:
        """How much each past study counts."""
        cards = Base(tuple(each.card for each in self.past))
        own = Recommender(cards, self.target.card.facts).weights
        return np.concatenate([own, own]) / 2 if self.control == UNRELATED else own

    def best_known(self) -> list[int]:
        """Return the known recipes by their mean gain on the past, the best one first."""
        gains: dict[str, list[float]] = {}
        for each in self.past:
            for rule in RULES:
                for place in each.places([rule.name]):
                    gains.setdefault(rule.name, []).append(float(each.worth[place]) - each.by_hand)
        means = {name: float(np.mean(found)) for name, found in gains.items() if len(found) >= len(self.past) / 2}
        return self.target.places(sorted(means, key=lambda name: -means[name]))


@functools.lru_cache(2000)
def _model(name: str, shuffle: int) -> Model:
    found = target(name)
    assert found is not None
    return fitted(found.card, shuffled=np.random.default_rng(shuffle) if shuffle else None)


Search = Callable[[Fold, Values, np.random.Generator], list[int]]
"""(what is known, the score that it sees of each pipeline, random numbers) -> places in the order of trying them."""


def at_random(fold: Fold, seen: Values, rng: np.random.Generator) -> list[int]:
    """Draw at random."""
    return [int(place) for place in rng.permutation(len(seen))]


def recipes_by_hand(fold: Fold, seen: Values, rng: np.random.Generator) -> list[int]:
    """Try what a person tries, then draw at random."""
    return _then_random(fold.target.places([rule.name for rule in RULES if rule.hand]), fold, seen, rng)


def best_fixed(fold: Fold, seen: Values, rng: np.random.Generator) -> list[int]:
    """Try the known recipes, the best on the other families first, then draw at random."""
    return _then_random(fold.best_known(), fold, seen, rng)


def cold(fold: Fold, seen: Values, rng: np.random.Generator) -> list[int]:
    """Try the known recipes in their order, then what a model of the trials thinks best."""
    return _then_modelled(fold.target.places([rule.name for rule in RULES]), fold, seen, rng)


def from_the_past(fold: Fold, seen: Values, rng: np.random.Generator) -> list[int]:
    """Try what past studies say, without those that are wrong about the trials; then as `cold` goes on."""
    order = [first_choice(fold.said, fold.weights, fold.target.place(HAND_KD), fold.tried)]
    behind = far_behind(fold.said, fold.weights, fold.target.place(HAND_KD), fold.tried)
    while len(order) < PORTFOLIO:
        weights = believed(fold.known, fold.weights, {place: float(seen[place]) for place in order})
        if not weights.any():
            break
        left = [place for place in worth_trying(fold.known, weights, order) if fold.sources[place] >= SHARED]
        if not left:
            break
        order.append(next((place for place in left if not behind[place]), left[0]))
    return _then_modelled(order, fold, seen, rng)


def _then_random(first: Sequence[int], fold: Fold, seen: Values, rng: np.random.Generator) -> list[int]:
    return [*first, *(place for place in at_random(fold, seen, rng) if place not in first)]


def _then_modelled(first: Sequence[int], fold: Fold, seen: Values, rng: np.random.Generator) -> list[int]:
    """After the first ones a forest of the trials so far says which is best; one in ten is drawn at random."""
    from sklearn.ensemble import ExtraTreesRegressor

    rows, _ = table_of(fold.target.rows)
    order = list(first)
    while len(order) < max(AFTER):
        left = [place for place in range(len(seen)) if place not in order]
        if rng.random() < EXPLORED or len(order) < 2:
            order.append(int(rng.choice(left)))
            continue
        model = ExtraTreesRegressor(10, random_state=int(rng.integers(2**31))).fit(rows[order], seen[order])
        order.append(left[int(model.predict(rows[left]).argmax())])
    return order


SEARCHES: dict[str, tuple[Search, str]] = {
    "random": (at_random, ""),
    "recipes by hand": (recipes_by_hand, ""),
    "best fixed recipe": (best_fixed, ""),
    "cold search": (cold, ""),
    "from the past": (from_the_past, ""),
    "past shuffled": (from_the_past, SHUFFLED),
    "unrelated added": (from_the_past, UNRELATED),
}


class Row(NamedTuple):
    """What a search reached.

    Args:
      searcher, name, family, seed: which.
      regret: points below the best pipeline of the study, after each of `AFTER`.
      gain: the same pipelines' points above KD by hand.
    """

    searcher: str
    name: str
    family: str
    seed: int
    regret: tuple[float, ...]
    gain: tuple[float, ...]


def replayed(names: Sequence[str], seeds: int) -> Iterator[Row]:
    """Replay every search on every set under every seed."""
    known = [found for name in names if (found := target(name)) is not None]
    for each in known:
        family, kind = FAMILIES[each.name], each.card.facts.modality
        past = tuple(one for one in known if FAMILIES[one.name] != family and one.card.facts.modality == kind)
        if not past:
            continue
        for seed in range(seeds):
            seen, judged = each.seen(seed), each.judged(seed)
            for searcher, (search, control) in SEARCHES.items():
                fold = Fold(each, past, control, seed)
                order = search(fold, seen, np.random.default_rng([seed, 1]))
                reached = [_chosen(order[:count], seen, judged) for count in AFTER]
                regret = tuple(float(each.worth.max()) - value for value in reached)
                gain = tuple(value - each.by_hand for value in reached)
                yield Row(searcher, each.name, family, seed, regret, gain)


def _chosen(tried: Sequence[int], seen: Values, judged: Values) -> float:
    """What the trial reached under other seeds that looked best."""
    return float(judged[max(tried, key=lambda place: seen[place])])


def by_family(rows: Sequence[Row], searcher: str, after: int, what: str = "regret") -> dict[str, float]:
    """Return the mean over sets and seeds of each family, in points."""
    place, found = AFTER.index(after), dict[str, list[float]]()
    for row in rows:
        if row.searcher == searcher:
            found.setdefault(row.family, []).append(getattr(row, what)[place])
    return {family: float(np.mean(values)) for family, values in found.items()}


def difference(rows: Sequence[Row], one: tuple[str, int], other: tuple[str, int]) -> tuple[float, float, float, str]:
    """Return by how many points a search's regret is lower, with the paired bootstrap's 95 % over families, and wins.

    Args:
      rows: of all searchers.
      one, other: searcher and number of trials.
    """
    mine, theirs = by_family(rows, *one), by_family(rows, *other)
    gaps = np.array([theirs[family] - mine[family] for family in mine])
    drawn = np.random.default_rng(0).choice(gaps, (BOOTSTRAPS, len(gaps))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    won, lost = int((gaps > TIE).sum()), int((gaps < -TIE).sum())
    return float(gaps.mean()), float(low), float(high), f"{won}/{len(gaps) - won - lost}/{lost}"


COMPARED = (
    ("first recommendation against the best fixed recipe", ("from the past", 1), ("best fixed recipe", 1)),
    ("first recommendation against hand KD", ("from the past", 1), ("recipes by hand", 1)),
    ("5 trials against 20 of a cold search", ("from the past", 5), ("cold search", 20)),
    ("20 trials against 20 of a cold search", ("from the past", 20), ("cold search", 20)),
    ("shuffled past against random, 1 trial", ("past shuffled", 1), ("random", 1)),
    ("shuffled past against random, 5 trials", ("past shuffled", 5), ("random", 5)),
    ("shuffled past against random, 20 trials", ("past shuffled", 20), ("random", 20)),
    ("unrelated studies added against without, 1 trial", ("unrelated added", 1), ("from the past", 1)),
    ("unrelated studies added against without, 5 trials", ("unrelated added", 5), ("from the past", 5)),
)


def main() -> None:
    """Print regrets and comparisons, for all sets and for each kind of input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sets", nargs="*", default=list(FAMILIES))
    asked = parser.parse_args()
    rows = list(replayed(asked.sets, asked.seeds))
    kinds = {name: found.card.facts.modality for name in asked.sets if (found := target(name)) is not None}
    for kind in ("all", *sorted(set(kinds.values()))):
        print(f"\n{kind}\n")
        print(report([row for row in rows if kind in ("all", kinds[row.name])]))


def report(rows: Sequence[Row]) -> str:
    """Return regrets and comparisons as Markdown."""
    lines = ["| regret in points after | " + " | ".join(map(str, AFTER)) + " |", "|---|" + "---|" * len(AFTER)]
    for searcher in SEARCHES:
        means = [float(np.mean(list(by_family(rows, searcher, after).values()))) for after in AFTER]
        lines.append(f"| {searcher} | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")
    lines += ["", "| points better, mean over families | 95 % | won/tie/lost |", "|---|---|---|"]
    for title, one, other in COMPARED:
        mean, low, high, wins = difference(rows, one, other)
        lines.append(f"| {title}: {mean:+.2f} | {low:+.2f} to {high:+.2f} | {wins} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
