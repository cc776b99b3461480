"""Checks of the data, by what was counted when they were loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autokd.study.checks.check import Found, Rule, passed, stop, unknown, warn
from autokd.study.majority import FAIR, NAMED, RARE, rare_classes

if TYPE_CHECKING:
    from autokd.study.checks.facts import Facts

DOMINANT = 0.8
"""Share of the commonest class from which on accuracy says little."""
COPIED, NEAR = 0.01, 0.02
"""Shares of copies and of near-copies that move a score by about as much: those that loading the data warns of."""
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


def is_kept_apart(facts: Facts) -> Found | None:
    """Whether samples of validation or test are in training, too."""
    data = facts.study.settings.data
    sizes = {"validation": data.validation, "test": data.test}
    copies = {split: data.copies(split) for split in sizes}
    counted = {split: count for split, count in copies.items() if count is not None}
    if not counted:
        return unknown("Copies across the splits were not looked for when the data were loaded.")
    exact = {split: count / max(1, sizes[split]) for split, count in counted.items()}
    near = {split: found for split in sizes if (found := data.near_copies(split)) is not None}
    parts = [
        f"{counted[split]:,} of {sizes[split]:,} {split} samples are in training, too"
        for split in counted
        if counted[split]
    ]
    parts += [
        f"{count} of {looked} {split} samples that were looked at nearly are" for split, (count, looked) in near.items()
    ]
    shares = [*exact.values(), *(count / max(1, looked) for count, looked in near.values())]
    many = any(share > COPIED for share in exact.values())
    many = many or any(count > NEAR * looked for count, looked in near.values())
    says = f"{'; '.join(parts)}." if parts else "No sample of validation or test is in training, too."
    if max(shares) > SPOILED:
        return stop(f"The splits share samples: {says}")
    return warn(f"The splits share samples: {says}") if many else passed(says)


RULES = (
    Rule(
        number=19,
        title="Rare classes",
        means="With classes of very different size, accuracy is mostly that of the largest one.",
        how=f"It warns where a class has less than {100 * RARE:g} % of the training samples (with many classes, less "
        f"than half of an even share), or the commonest one more than {100 * DOMINANT:g} % and the objective is not "
        "one in which all classes weigh the same.",
        todo="Look at the worst class (8) and at the table of classes, not at the mean alone.",
        look=is_balanced,
    ),
    Rule(
        number=20,
        title="Copies across splits",
        means="A test sample that was trained on is remembered, not recognised; scores are too good.",
        how="Validation and test samples whose inputs are exactly those of a training sample, and near-copies of "
        f"pictures among those that were looked at. It warns above {100 * COPIED:g} % of copies or {100 * NEAR:g} % of "
        f"near-copies of a split, and stops above {100 * SPOILED:g} %.",
        todo="Take the copies out; where samples belong together (frames of one video, scans of one person), say so "
        "with --group.",
        look=is_kept_apart,
    ),
)
