"""The text of a model card, from the run's data and from the section ``card`` of its TOML file.

If a sentence of that section names a public data set that the run has not used, it is left out:
people copy run files, and such sentences with them. `people_groups` describes the patients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mammolens.bench.auditing.groups import density_group
from mammolens.bench.packaging.weaknesses import weaknesses_of
from mammolens.bench.report.document import join_words
from mammolens.data.manifest import Record
from mammolens.data.sources import SourceInfo, list_sources
from mammolens.errors import BadModelPackage
from mammolens.learn.config import RunConfig, load_localisation
from mammolens.learn.sections import CardConfig
from mammolens.model import ModelCard, PeopleGroup, read_card
from mammolens.model.package_files import CARD_FILE, open_package

__all__ = ["card_words", "people_groups"]

_OWN: Final = ("folder", "table")
"""Readers of a user's own data; their names are not names of data sets."""
UNKNOWN: Final = "unknown"
_COUNTRIES: Final = {
    "cbis-ddsm": "United States",
    "cbis_masses": "United States",
    "cesm": "Egypt",
    "cmmd": "China",
    "ddsm": "United States",
    "inbreast": "Portugal",
    "mias": "United Kingdom",
    "rsna": "Australia or United States",
    "vindr": "Viet Nam",
}
"""Where the patients of a source were imaged, as it was published: DDSM Heath 2001; CBIS-DDSM
doi:10.1038/sdata.2017.177; CESM doi:10.1038/s41597-022-01238-0; CMMD doi:10.7937/tcia.eqde-4b16;
INbreast doi:10.1016/j.acra.2011.09.014; mini-MIAS Suckling 1994; RSNA doi:10.1148/radiol.241447 (of
two sites, and the table does not say which is which); VinDr doi:10.1038/s41597-023-02100-7."""
_AGES: Final = (40, 50, 60, 70)
_EXPECTED: Final = {
    "age": ("under 40", "40–49", "50–59", "60–69", "70 and over"),
    "density": ("A", "B", "C", "D"),
    "cancer": ("malignant", "not malignant"),
}
"""Groups that are listed even if nobody is in them, where the data say anything of their axis."""


@dataclass(frozen=True)
class CardWords:
    """The text fields of a card, and a note on each sentence that was left out."""

    fields: dict[str, Any]
    left_out: tuple[str, ...]


def card_words(
    config: RunConfig,
    card: ModelCard,
    learned: Sequence[Record],
    held_out: Sequence[Record],
    further: Sequence[str] = (),
) -> CardWords:
    """Write intended use, weaknesses, licence and attribution of a judged model.

    Parameters
    ----------
    learned, held_out
        The records of the training and of the validation side.
    further
        Weaknesses from elsewhere, such as cautions about the run's first weights.
    """
    marked = load_localisation(config)
    taught = sorted({record.dataset for record in learned})
    seen = {*taught, *(r.dataset for r in (*held_out, *(marked.records if marked else ())))}
    own, left_out = config.card, list[str]()

    def kept(words: str) -> bool:
        unseen = _unseen(words, seen)
        if unseen:
            left_out.append(f"left out of the card, because the run did not use {unseen}: {words}")
        return not unseen

    weaknesses = [*weaknesses_of(card, learned, held_out), *(_sentence(words) for words in further)]
    weaknesses += [words for name in taught for words in config.note_of(name).weaknesses]
    if (start := config.network.start) is not None:
        weaknesses.append(f"Its trunk comes from {start}, and has the weaknesses of that model.")
    default = CardConfig().intended_use
    fields = {
        "intended_use": own.intended_use if kept(own.intended_use) else default,
        "tumour_vouched": own.tumour_vouched,
        "weaknesses": (*weaknesses, *(words for words in own.weaknesses if kept(words))),
        "licence": own.licence if own.licence and kept(own.licence) else _licence(config, taught),
        "attribution": own.attribution
        if own.attribution and kept(own.attribution)
        else _attribution(config, sorted(seen)),
    }
    return CardWords(fields, tuple(left_out))


def _unseen(words: str, seen: set[str]) -> str:
    """Give the first public data set that is named but was not used; empty if there is none."""
    names = {_plain(info.name) for info in list_sources()} - set(_OWN)
    ways = sorted((re.escape(n).replace("_", "[-_ ]?") for n in names), key=len, reverse=True)
    for found in re.findall(rf"(?<![a-z])(?:{'|'.join(ways)})(?![a-z])", words.lower()):
        name = _plain(found)
        if not any(set(name.split("_")) & set(_plain(one).split("_")) for one in seen):
            return str(found)
    return ""


def _licence(config: RunConfig, taught: Sequence[str]) -> str:
    terms = [f"{name} ({_licence_of(config, name)})" for name in taught]
    return f"Research use only: the weights were learned from {join_words(terms)}.{_bound(config)}"


def _bound(config: RunConfig) -> str:
    """Give the terms of the weights that the trunk comes from."""
    start = config.network.start
    if start is None:
        return ""
    words = f" The trunk comes from {start}, whose terms apply as well"
    try:
        source, read = open_package(str(start) if config.network.starts_from_package else start)
        return f"{words}: {read_card(read(CARD_FILE), source).licence}"
    except BadModelPackage:
        return f"{words}."


def _licence_of(config: RunConfig, name: str) -> str:
    info = _source(name)
    return config.note_of(name).licence or (info.licence if info else "licence not stated")


def _attribution(config: RunConfig, seen: Sequence[str]) -> str:
    parts = []
    for name in seen:
        info = _source(name)
        known = f"{info.summary.partition(':')[0]} ({info.home})" if info else ""
        parts.append(config.note_of(name).attribution or known or f"{name} (origin not stated)")
    network = config.network
    parts.append(
        f"first weights: {network.start or network.weights}"
        if network.start or network.weights
        else f"ImageNet weights of {network.backbone} (timm)"
    )
    return f"{'; '.join(parts)}."


def _source(name: str) -> SourceInfo | None:
    plain = _plain(name)
    known = (one for one in list_sources() if one.name not in _OWN and _plain(one.name) == plain)
    return next(known, None)


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]+", "_", name.strip().lower())


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}" + ("" if words.endswith(".") else ".")


def _age(record: Record) -> str | None:
    if record.age_years is None:
        return None
    reached = sum(record.age_years >= edge for edge in _AGES)
    return _EXPECTED["age"][reached]


def _cancer(record: Record) -> str | None:
    if record.malignant is None:
        return None
    return "malignant" if record.malignant else "not malignant"


AXES: Final[dict[str, Callable[[Record], str | None]]] = {
    "source": lambda record: record.dataset,
    "country": lambda record: _COUNTRIES.get(record.dataset),
    "sex": lambda _: None,  # no table of images has sex or implants yet: all are unknown
    "age": _age,
    "density": density_group,
    "implant": lambda _: None,
    "machine": lambda record: record.machine and f"{record.dataset}: {record.machine}",
    "cancer": _cancer,
}
"""What is counted, in the order of the card, and the group of an image."""


def people_groups(records: Sequence[Record]) -> tuple[PeopleGroup, ...]:
    """Count the patients and images of each group; a patient with images in two groups is in both.

    Unknown is counted as unknown, and a group of which nothing is known is never listed with 0.

    Examples
    --------
    >>> from pathlib import Path
    >>> rows = people_groups([Record("mias", "1", "p", Path("1.png"), malignant=True)])
    >>> [(one.axis, one.group, one.patients) for one in rows if one.axis in ("sex", "cancer")]
    [('sex', 'unknown', 1), ('cancer', 'malignant', 1), ('cancer', 'not malignant', 0)]
    """
    found = []
    for axis, group_of in AXES.items():
        known = any(group_of(record) is not None for record in records)
        members: dict[str, list[Record]] = {n: [] for n in _EXPECTED.get(axis, ()) if known}
        unknown: list[Record] = []
        for record in sorted(records, key=lambda one: group_of(one) or ""):
            name = group_of(record)
            (unknown if name is None else members.setdefault(name, [])).append(record)
        groups = members | ({UNKNOWN: unknown} if unknown else {})
        found += [
            PeopleGroup(
                axis=axis, group=name, patients=len({one.patient for one in own}), images=len(own)
            )
            for name, own in groups.items()
        ]
    return tuple(found)
