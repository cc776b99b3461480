"""Checks of the data, by what was counted when they were loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.study.checks.check import Found, Rule, passed, stop, unknown, warn
from autokd.study.checks.facts import number_of
from autokd.study.majority import FAIR, NAMED, RARE, rare_classes

if TYPE_CHECKING:
    from autokd.study.checks.facts import Facts
    from autokd.study.settings import DataFacts

DOMINANT = 0.8
"""Share of the commonest class from which on accuracy says little."""
COPIED, NEAR = 0.01, 0.02
"""Shares of copies and of near-copies that move a score by about as much: those that loading the data warns of."""
NOT_LOOKED_FOR = "were not looked for when the data were loaded"
SPOILED = 0.1
"""Share of copies that makes a split's scores useless."""


def is_balanced(facts: Facts) -> Found | None:
    """Whether there are rare classes, or one that dominates."""
    data, metric = facts.study.settings.data, facts.metric
    counts = data.counts("train")
    if not sum(counts):
        return unknown("Rare classes were not looked for: an earlier version did not count the classes.")
    largest = max(range(len(counts)), key=lambda index: counts[index])
    share = (
        f"class {data.task.classes[largest]} has {100 * counts[largest] / sum(counts):.1f} % of the training samples"
    )
    rare = rare_classes(counts, data.task.classes)
    dominant = counts[largest] > DOMINANT * sum(counts) and metric.name not in FAIR
    if not rare and not dominant:
        return passed(f"The classes are balanced well enough: {share}, and none is rare.")
    named = ", ".join(f"{name} ({100 * part:.1f} %)" for name, part in rare[:NAMED])
    more = f" and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
    told = f"{'rare class' if len(rare) == 1 else 'rare classes'}: {named}{more}; " if rare else ""
    says = f"Classes are not balanced: {told}{share}."
    hardly = f"{metric.title.capitalize()} hardly notices rare classes: consider --objective {FAIR[0]}."
    return warn(says, "" if metric.name in FAIR else hardly)


class Shared(NamedTuple):
    """Samples of a split that are in training, too, of how many, and from which share on that is told."""

    text: str
    copies: int
    looked: int
    bound: float

    @property
    def share(self) -> float:
        """Share of those that were looked at."""
        return self.copies / max(1, self.looked)


def is_kept_apart(facts: Facts) -> Found | None:
    """Whether samples of validation or test are in training, too."""
    data = facts.study.settings.data
    found = [*_copies(data), *_near_copies(data)]
    if not found:
        return unknown(f"Copies across the splits {NOT_LOOKED_FOR}.")
    told = "; ".join(each.text for each in found if each.copies)
    says = f"The splits share samples: {told}." if told else "No sample of validation or test is in training, too."
    if any(each.share > SPOILED for each in found):
        return stop(says)
    return warn(says) if any(each.share > each.bound for each in found) else passed(says)


def _copies(data: DataFacts) -> Iterator[Shared]:
    """Exact copies, a split after the other."""
    for split, size in (("validation", data.validation), ("test", data.test)):
        count = data.copies(split)
        if count is not None:
            yield Shared(f"{count:,} of {size:,} {split} samples are in training, too", count, size, COPIED)


def _near_copies(data: DataFacts) -> Iterator[Shared]:
    """Near-copies, where there are any."""
    for split in ("validation", "test"):
        found = data.near_copies(split)
        if found is not None:
            text = f"{found[0]} of {found[1]} {split} samples that were looked at nearly are"
            yield Shared(text, *found, NEAR)


def holds_something(facts: Facts) -> Found | None:
    """Whether inputs hold nothing: pictures of one colour, columns of one value."""
    data = facts.study.settings.data
    if "constant_inputs" not in data.card:
        return unknown(f"Constant inputs {NOT_LOOKED_FOR}.")
    constant, left_out = data.card["constant_inputs"], data.constant_columns
    if constant:
        return warn(f"Inputs hold nothing: {'; '.join(constant)}.")
    if left_out:
        named = ", ".join(left_out[:NAMED]) + (", …" if len(left_out) > NAMED else "")
        columns = number_of(len(left_out), "column")
        return passed(
            f"{columns} that held a single value {'was' if len(left_out) == 1 else 'were'} left out: {named}."
        )
    return None if constant is None else passed("No input is constant.")


def tells_too_much(facts: Facts) -> Found | None:
    """Whether an input alone tells the class."""
    data = facts.study.settings.data
    if "telling_inputs" not in data.card:
        return unknown(f"Inputs that give the class away {NOT_LOOKED_FOR}.")
    telling: Mapping[str, float] | None = data.card["telling_inputs"]
    if telling is None:
        return None
    if not telling:
        return passed("No single input gives the class away.")
    named = ", ".join(f"{name} ({100 * share:.1f} %)" for name, share in list(telling.items())[:NAMED])
    more = f" and {len(telling) - NAMED} more" if len(telling) > NAMED else ""
    return stop(f"Alone, these tell the class of nearly all validation samples: {named}{more}.")


def uses_the_unlabelled(facts: Facts) -> Found | None:
    """Whether trials were trained on the samples without labels that there are."""
    pool: Mapping[str, Any] | None = facts.study.settings.data.card.get("unlabelled")
    trials = [trial for trial in facts.records.trials.values() if trial.rungs]
    if not pool or not trials:
        return None
    using = [trial for trial in trials if trial.pipeline.get("unlabelled")]
    of = f"of {number_of(len(trials), 'trial')}, {len(using) or 'none'}"
    if not using:
        return warn(f"The {pool['samples']:,} samples without labels were not tried: {of} was trained on them.")
    return passed(f"Samples without labels were tried: {of} {'was' if len(using) == 1 else 'were'} trained on them.")


RULES = (
    Rule(
        number=19,
        title="Rare classes",
        means="If classes differ much in size, accuracy is mostly that of the largest one.",
        how=f"This check warns if a class has less than {100 * RARE:g} % of the training samples (with many classes, "
        f"less than half of an even share). It also warns if the commonest class has more than {100 * DOMINANT:g} % "
        "and the objective does not weigh all classes equally.",
        todo="Look at the worst class (8) and at the table of classes, not only at the mean.",
        look=is_balanced,
    ),
    Rule(
        number=20,
        title="Copies across splits",
        means="The student remembers a test sample that it was trained on, so scores are too good.",
        how="Validation and test samples with exactly the same inputs as a training sample, and near-copies of "
        f"pictures among those that were compared. This check warns above {100 * COPIED:g} % of copies or "
        f"{100 * NEAR:g} % of near-copies of a split, and stops above {100 * SPOILED:g} %.",
        todo="Remove the copies. If samples belong together (frames of one video, scans of one person), say so with "
        "--group.",
        look=is_kept_apart,
    ),
    Rule(
        number=21,
        title="Constant inputs",
        means="A black picture, or a column with one value, teaches nothing. Usually the crop, the file or the "
        "export is wrong.",
        how="Training pictures of one single colour, counted when the data are loaded (of many, an even draw of "
        "20,000). This check warns from the first one on. Columns of a table that hold a single value are left out, "
        "and named.",
        todo="Look at the pictures under What the student sees, and at the files.",
        look=holds_something,
    ),
    Rule(
        number=22,
        title="Inputs that give the class away",
        means="A column that holds the class under another name, or is known only after the class is, makes every "
        "score perfect and the model useless.",
        how="A small decision tree on each column alone, fitted on up to 2,000 training rows (of the first 300 "
        "columns). This check stops if the tree gets 98 % of the way from always giving the commonest class to no "
        "error, on training and on validation rows.",
        todo="Leave the column out of the file, unless it is known before the class is.",
        look=tells_too_much,
    ),
    Rule(
        number=23,
        title="Samples without labels",
        means="Samples without labels pay on some data and not on others, and only trials with them tell.",
        how="Trials that were trained on them, too. This check warns if there are such samples and no trial was.",
        todo="Search with more --time or --trials: the recipes with them come after the first few.",
        look=uses_the_unlabelled,
    ),
)
