"""The items that can be known of a patient beside the images, and how each is read from a text.

A value is read as it was meant, or it is refused with its place and a remedy. A word for unknown
gives nothing: an unknown item never means "no".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

from mammolens.core import Laterality
from mammolens.errors import InvalidManifest
from mammolens.tables import UNKNOWN_WORDS
from mammolens.wording import printable

__all__ = [
    "AGE_LIMITS",
    "ALIASES",
    "BIRTH_DATE",
    "ITEMS",
    "Item",
    "Kind",
    "Value",
    "is_value",
    "item_named",
    "read_value",
    "show_value",
]

Value = bool | float | str

AGE_LIMITS: Final = 15.0, 110.0
"""Possible ages of a patient of mammography in years, as in `mammolens.model.is_usable_age`.
A value outside is an error of entry, such as 0, a year of birth or an age in months."""
BIRTH_DATE: Final = "birth_date"
"""It is no item of a result: it gives the age on the day of the exam."""


class Kind(Enum):
    """What a value of an item is."""

    NUMBER = "number"
    FLAG = "flag"
    SIDE = "side"
    """Yes or no, with the breast if it is known: R, L, both, yes, no."""
    WORD = "word"


@dataclass(frozen=True)
class Item:
    """One item: its title, and the values that are possible.

    `units` are the spellings of its unit; the first is shown. `low` and `high` are the possible
    values. `words` maps what people write to the value. The order of the distinct values of `words`
    is that of the scale. `lasting` items do not change between two exams, so that a statement that
    is younger than the exam counts too.
    """

    title: str
    kind: Kind
    units: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    is_whole: bool = False
    words: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    lasting: bool = False

    @property
    def scale(self) -> tuple[str, ...]:
        """The values of a WORD in their order."""
        return tuple(dict.fromkeys(self.words.values()))


_YEARS: Final = ("years", "year", "yr", "yrs", "y", "a")
_DENSITY: Final = {
    **dict.fromkeys(("a", "1", "almost entirely fatty", "almost entirely fat", "fatty"), "a"),
    **dict.fromkeys(
        ("b", "2", "scattered", "scattered areas of fibroglandular density",
         "scattered fibroglandular densities"), "b"
    ),
    **dict.fromkeys(("c", "3", "heterogeneously dense"), "c"),
    **dict.fromkeys(("d", "4", "extremely dense"), "d"),
}  # fmt: skip
"""BI-RADS density: the fifth edition's letters, the fourth edition's numbers, and the words that
both share. The two editions draw the limits between the categories differently (by percent, by
what may be hidden), but name the same four. Roman numerals are refused: they may be Tabár's
patterns, and F, G and D of mini-MIAS are another scale."""
_RACES: Final = {
    **dict.fromkeys(("white", "non-hispanic white"), "white"),
    **dict.fromkeys(("black", "african american", "african-american"), "black"),
    "hispanic us-born": "hispanic_us_born",
    "hispanic foreign-born": "hispanic_foreign_born",
    "hispanic_us_born": "hispanic_us_born",
    "hispanic_foreign_born": "hispanic_foreign_born",
    **dict.fromkeys(("native american", "american indian", "native_american"), "native_american"),
    **{name: name for name in ("chinese", "japanese", "filipino", "hawaiian")},
    **dict.fromkeys(("other pacific islander", "pacific islander", "pacific_islander"),
                    "pacific_islander"),
    **dict.fromkeys(("other asian", "other_asian"), "other_asian"),
}  # fmt: skip
"""The groups for which BCRAT has rates, as NCI publishes them. No other part uses them."""
_HORMONES: Final = {
    **dict.fromkeys(("never", "no", "0"), "never"),
    **dict.fromkeys(("former", "past", "stopped"), "former"),
    **dict.fromkeys(("current", "now", "yes", "1"), "current"),
}

ITEMS: Final[Mapping[str, Item]] = MappingProxyType(
    {
        "age": Item("Age", Kind.NUMBER, _YEARS, *AGE_LIMITS, lasting=True),
        "density": Item("Breast density (BI-RADS)", Kind.WORD, words=_DENSITY),
        "family_first_degree": Item(
            "First-degree relatives with breast cancer", Kind.NUMBER, (), 0, 20, True
        ),
        "family_youngest_age": Item(
            "Youngest age of a relative at breast cancer", Kind.NUMBER, _YEARS, 10, 110
        ),
        "biopsies": Item("Earlier breast biopsies", Kind.NUMBER, (), 0, 30, True),
        "atypia": Item("Atypical hyperplasia in a biopsy", Kind.FLAG),
        "hormone_therapy": Item("Hormone therapy", Kind.WORD, words=_HORMONES),
        "lump": Item("Lump", Kind.SIDE),
        "discharge": Item("Nipple discharge", Kind.SIDE),
        "pain": Item("Breast pain", Kind.SIDE),
        "prior_cancer": Item("Earlier breast cancer", Kind.SIDE),
        "implants": Item("Implants", Kind.SIDE),
        "menarche_age": Item("Age at menarche", Kind.NUMBER, _YEARS, 7, 25, lasting=True),
        "births": Item("Live births", Kind.NUMBER, (), 0, 25, True),
        "first_birth_age": Item(
            "Age at first live birth", Kind.NUMBER, _YEARS, 10, 60, lasting=True
        ),
        "race": Item("Race or ethnicity (for BCRAT)", Kind.WORD, words=_RACES, lasting=True),
        "weight": Item("Weight", Kind.NUMBER, ("kg",), 25, 350),
        "height": Item("Height", Kind.NUMBER, ("cm",), 100, 230, lasting=True),
    }
)
"""Limits are of what can be true; they are chosen by hand and keep errors of unit out: 150 for a
weight in pounds is possible in kilograms, therefore a unit that is stated is checked too."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ageyears": "age", "patientage": "age", "birads": "density", "breastdensity": "density",
        "familyhistory": "family_first_degree", "relatives": "family_first_degree",
        "nrels": "family_first_degree", "nbiopsies": "biopsies", "biopsy": "biopsies",
        "nbiop": "biopsies", "atypicalhyperplasia": "atypia", "hrt": "hormone_therapy",
        "hormones": "hormone_therapy", "nippledischarge": "discharge", "breastpain": "pain",
        "breastlump": "lump", "implant": "implants", "breastimplants": "implants",
        "priorcancer": "prior_cancer", "previouscancer": "prior_cancer",
        "ageatmenarche": "menarche_age", "menarche": "menarche_age", "agemen": "menarche_age",
        "ageatfirstbirth": "first_birth_age", "age1st": "first_birth_age", "parity": "births",
        "ethnicity": "race", "weightkg": "weight", "heightcm": "height", "dob": BIRTH_DATE,
        "birthdate": BIRTH_DATE, "dateofbirth": BIRTH_DATE,
    }
)  # fmt: skip
"""Other names of items, in lower case without punctuation."""

_NUMBER: Final = re.compile(r"(\d{1,4}(?:[.,]\d{1,20})?)\s*([^\W\d_][\w/]*)?\.?", re.ASCII)
_AGE_STRING: Final = re.compile(r"0*(\d{1,3})Y", re.ASCII | re.IGNORECASE)
_YES: Final = frozenset(("1", "1.0", "yes", "y", "true", "t", "present", "positive"))
_NO: Final = frozenset(("0", "0.0", "no", "n", "false", "f", "absent", "negative"))
_BOTH: Final = frozenset(("both", "bilateral", "b", "rl", "lr", "r,l", "l,r", "r and l"))
_SIDES: Final = {
    **dict.fromkeys(("r", "right", "rt", "right breast"), Laterality.RIGHT),
    **dict.fromkeys(("l", "left", "lt", "left breast"), Laterality.LEFT),
}
_BIRADS_PREFIX: Final = re.compile(r"^(?:(?:bi-?rads|acr|density|category|type)[\s:]*)+")


def item_named(word: str) -> str | None:
    """Give the item that a name means, or ``None``.

    Examples
    --------
    >>> item_named("Breast Density"), item_named("HRT"), item_named("birads score")
    ('density', 'hormone_therapy', None)
    """
    plain = re.sub(r"[\W_]+", "", word.casefold())
    names = {name.replace("_", ""): name for name in (*ITEMS, BIRTH_DATE)}
    return names.get(plain) or ALIASES.get(plain)


def read_value(
    name: str, text: str, source: str, unit: str = ""
) -> tuple[tuple[Value, Laterality | None], ...]:
    """Read the text of an item: its values with their sides; nothing for an unknown value.

    Parameters
    ----------
    name
        A name of `ITEMS`.
    source
        File and place, for the message.
    unit
        The unit, if it is stated apart from the text.

    Raises
    ------
    InvalidManifest
        If the text is not a possible value of the item, or its unit is another.

    Examples
    --------
    >>> read_value("density", "BI-RADS C", "t.csv"), read_value("lump", "?", "t.csv")
    ((('c', None),), ())
    >>> read_value("age", "540 months", "t.csv, line 2")
    Traceback (most recent call last):
    mammolens.errors.InvalidManifest: t.csv, line 2: the unit is 'months' [age]. Give years.
    """
    item, word = ITEMS[name], " ".join(text.casefold().split())
    if word in UNKNOWN_WORDS or word == "not known":
        return ()
    if item.kind is Kind.NUMBER:
        return ((_number(name, item, text.strip(), source, unit), None),)
    if item.kind is Kind.WORD:
        if name == "density":
            word = _BIRADS_PREFIX.sub("", word)
        if word in item.words:
            return ((item.words[word], None),)
        raise _wrong(name, text, source, f"Give one of {', '.join(item.words)}")
    if word in _YES or word in _NO:
        return ((word in _YES, None),)
    if item.kind is Kind.SIDE:
        if word in _BOTH:
            return ((True, Laterality.RIGHT), (True, Laterality.LEFT))
        if word in _SIDES:
            return ((True, _SIDES[word]),)
        raise _wrong(name, text, source, "Give R, L, both, yes, no, or leave it empty")
    raise _wrong(name, text, source, "Give yes, no, or leave it empty")


def is_value(name: str, text: str) -> bool:
    """Say whether a text is a possible value of an item, or a word for unknown."""
    try:
        read_value(name, text, "")
    except InvalidManifest:
        return False
    return True


def show_value(name: str, value: Value) -> str:
    """Write a value with its unit.

    Examples
    --------
    >>> show_value("age", 61.25), show_value("atypia", False), show_value("density", "c")
    ('61.2 years', 'no', 'c')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value.replace("_", " ")
    units = ITEMS[name].units
    return f"{value:.1f}".removesuffix(".0") + (f" {units[0]}" if units else "")


def _number(name: str, item: Item, text: str, source: str, unit: str) -> float:
    if match := _AGE_STRING.fullmatch(text):
        text, unit = match[1], unit or "y"
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise _wrong(name, text, source, _range(item))
    counted = "" if unit == "1" or unit.startswith("{") else unit.strip()  # UCUM without a unit
    for stated in filter(None, (counted, found[2])):
        if stated.casefold() not in item.units:
            remedy = f"Give {item.units[0]}" if item.units else "Give a number without a unit"
            raise InvalidManifest(
                f"the unit is {printable(stated[:20])!r}",
                source=source,
                keyword=name,
                remedy=remedy,
            )
    value = float(found[1].replace(",", "."))
    if not item.low <= value <= item.high or (item.is_whole and value != int(value)):
        raise _wrong(name, text, source, _range(item))
    return value


def _range(item: Item) -> str:
    kind = "a whole number" if item.is_whole else "a number"
    unit = f" of {item.units[0]}" if item.units else ""
    return f"Give {kind}{unit} from {item.low:g} to {item.high:g}, or leave it empty"


def _wrong(name: str, text: str, source: str, remedy: str) -> InvalidManifest:
    shown = printable(text if len(text) <= 40 else f"{text[:40]} …")
    return InvalidManifest(
        f"{shown!r} is not a possible value", source=source, keyword=name, remedy=remedy
    )
