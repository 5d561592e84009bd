"""Weaknesses of a model, stated from the run's own data and figures.

No sentence is about a data set that the run has not used. Every sentence uses only the records of
the training side, the held-out patients, or figures of the card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from mammolens.bench.auditing.groups import density_group
from mammolens.bench.report.document import join_words
from mammolens.core import InputKind
from mammolens.data.manifest import Record
from mammolens.metrics import clopper_pearson
from mammolens.metrics.bootstrap import FEW
from mammolens.model import STRIDE, ModelCard
from mammolens.wording import percent

__all__ = ["largest_miss", "weaknesses_of"]

_RISK: Final = 0.05
"""Probability that more cancers are missed than `largest_miss` gives."""
_RARE: Final = 0.05
"""Share of the training images below which a view counts as rare. Chosen by hand."""
_NAMED: Final = 5
"""Largest number of machines that are named."""


def weaknesses_of(
    card: ModelCard, learned: Sequence[Record], held_out: Sequence[Record]
) -> Iterator[str]:
    """Give the weaknesses of a model, each in one or two sentences.

    Parameters
    ----------
    card
        The card with its figures and operating points.
    learned, held_out
        The usable images of the training side and of the validation side.
    """
    yield _extent(learned)
    yield _window(card)
    yield from _choice(card, held_out)
    yield from _ranking(card)
    if card.input_kind is InputKind.BREAST:
        yield from _classes(learned)
    yield _ages(learned)
    yield _density(learned)
    yield _machines(learned)
    yield from _views(learned)
    yield (
        f"Probabilities stand for images of which {percent(card.prior_malignant)} are malignant, "
        "as on the validation side: restate them for another population, and do not compare them "
        "between sources."
    )
    if (age := card.calibration.age) is not None:
        yield (
            f"A known age is part of P(malignant), by a slope fitted on {age.fitted_on}: it does "
            "not distinguish patients of one age, and does harm if patients were matched by age."
        )
    yield "Its tables do not show implants, men or tomosynthesis: nothing is known about these."


def largest_miss(missed: int, n: int) -> float:
    """Give the largest share of cancers that a threshold may miss, with a probability of 95 %.

    The threshold is one of `n` ordered scores. The share below it is distributed as an order
    statistic, so the result is the upper limit of Clopper and Pearson.
    Source: Wilks 1941, doi 10.1214/aoms/1177731788.

    Examples
    --------
    >>> round(largest_miss(0, 7), 3), round(largest_miss(8, 178), 3)
    (0.348, 0.08)
    """
    _, high = clopper_pearson([missed], [n], level=1 - 2 * _RISK)
    return float(high[0])


def _extent(learned: Sequence[Record]) -> str:
    ill, everyone = _patients(r for r in learned if r.malignant), _patients(learned)
    names = sorted({record.dataset for record in learned})
    return (
        f"Learned from {len(learned)} images of {everyone} patients, {ill} of them with cancer, of "
        f"{join_words(names)}: expect a loss on other machines and populations."
    )


def _window(card: ModelCard) -> str:
    height, width = card.input_shape
    if card.input_kind is InputKind.LESION:
        return (
            f"It sees one marked window at {height} × {width} pixels: neither the rest of the "
            "breast, nor the other view, nor earlier exams. It cannot answer normal: a mark on "
            "healthy tissue gets a score like any other."
        )
    return (
        f"A breast is reduced to {height} × {width} pixels: details smaller than one of these, "
        "such as small calcifications, are lost. The map has "
        f"{height // STRIDE} × {width // STRIDE} cells: a finding is a region to look at, not a "
        "contour."
    )


def _choice(card: ModelCard, held_out: Sequence[Record]) -> Iterator[str]:
    low = card.operating_points.low
    unit = "lesions" if low.unit == "lesion" else "patients"
    names = join_words(sorted({record.dataset for record in held_out}))
    yield (
        f"The pass, calibration and thresholds were chosen on the {low.n} validation {unit} "
        f"({low.n_positive} with cancer) of {names} whose figures are given: these are "
        "optimistic."
    )
    missed = round((1.0 - low.sensitivity.value) * low.n_positive)
    yield (
        f"The threshold of low misses {missed} of the {low.n_positive} {unit} with cancer that it "
        f"was fixed on; among others like them up to {largest_miss(missed, low.n_positive):.0%} "
        "may be missed (95 % limit)" + (", because they are few." if low.n_positive < FEW else ".")
    )


def _ranking(card: ModelCard) -> Iterator[str]:
    unit = "lesion" if card.input_kind is InputKind.LESION else "patient"
    for one in card.validation:
        if (one.task, one.unit) != ("malignancy", unit) or one.dataset == "all":
            continue
        counts = f"n {one.n}, {one.n_positive} with cancer"
        if one.auc is None:
            yield f"Nothing could be measured on {one.dataset}: one kind of label ({counts})."
        elif one.auc.low <= 0.5:
            yield (
                f"On {one.dataset} it was not shown to rank {unit}s better than chance: AUC "
                f"{one.auc} ({counts})."
            )


def _classes(learned: Sequence[Record]) -> Iterator[str]:
    """Name classes that no source, or only some sources, label separately."""
    sources = sorted({record.dataset for record in learned})
    sources_of = {
        name: sorted({r.dataset for r in learned if r.allowed == alone})
        for name, alone in (("normal", (True, False, False)), ("benign", (False, True, False)))
    }
    for name, by in sources_of.items():
        if not by:
            yield (
                f"No training image is labelled {name}: the network can learn it by exclusion "
                "at best."
            )
    if sources_of["normal"] and any(by and by != sources for by in sources_of.values()):
        named = " and ".join(f"{name} by {join_words(by)}" for name, by in sources_of.items() if by)
        yield (
            f"Only some sources label these classes separately ({named}): P(tumour) then also "
            "depends on the source and must not be trusted on other sources."
        )


def _ages(learned: Sequence[Record]) -> str:
    known = [record.age_years for record in learned if record.age_years is not None]
    if not known:
        return "No age of its training patients is known, so its performance by age is unknown."
    low, middle, high = np.quantile(known, (0.01, 0.5, 0.99))
    return (
        f"Its training images are of patients from {low:.0f} to {high:.0f} years (median "
        f"{middle:.0f}{_unknown(len(learned) - len(known), learned)}): nothing is "
        "known about other ages."
    )


def _density(learned: Sequence[Record]) -> str:
    shares = _shares(learned, density_group)
    if not shares:
        return "No breast density of its training images is known, so its effect is unknown."
    return f"Breast density of its training images: {shares}."


def _machines(learned: Sequence[Record]) -> str:
    shares = _shares(learned, lambda record: record.machine)
    if not shares:
        return "Its training tables name no machine, so its performance on yours is unknown."
    return f"Machines of its training images: {shares}. Nothing is known about others."


def _views(learned: Sequence[Record]) -> Iterator[str]:
    views = Counter(r.view_position.value for r in learned if r.view_position is not None)
    total = sum(views.values())
    rare = [view for view in ("CC", "MLO") if views[view] < _RARE * total]
    if not total:
        yield "The views of its training images are not known."
    elif rare:
        trained = join_words([f"{n} {view}" for view, n in views.most_common()])
        yield f"Learned from {trained} images: {join_words(rare)} views are almost unknown to it."


def _shares(records: Sequence[Record], name_of: Callable[[Record], str | None]) -> str:
    """Give the names with their shares, the most frequent first; empty if none is known."""
    found = Counter(name for record in records if (name := name_of(record)) is not None)
    if not found:
        return ""
    total = len(records)
    shown = [f"{name} {n / total:.0%}" for name, n in found.most_common(_NAMED)]
    more = [f"{len(found) - _NAMED} more"] if len(found) > _NAMED else []
    return f"{join_words([*shown, *more])}{_unknown(total - found.total(), records)}"


def _unknown(count: int, records: Sequence[Record]) -> str:
    return f", unknown for {count / len(records):.0%}" if count else ""


def _patients(records: Sequence[Record] | Iterator[Record]) -> int:
    return len({record.patient for record in records})
