"""Clean the text of a report: one spelling for each sign, joined lines, corrected misspellings.

All steps take time that grows linearly with the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["correct", "logical_lines", "tidy", "unfold"]

_SIGNS: Final = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("‘’ʼ´`", "'"),
        **dict.fromkeys("“”„", '"'),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\f\v", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", None),
        "×": "x",
        "µ": "u",
        "•": "-",
        "·": "-",
        "●": "-",
        "▪": "-",
        "☒": "[x]",
        "☑": "[x]",
        "☐": "[ ]",
        "½": ".5",
        "≥": ">=",
        "≤": "<=",
        "…": "...",
        **{sign: f"{number}." for number, sign in enumerate("①②③④⑤⑥⑦⑧⑨", 1)},
    }
)
_BOX: Final = re.compile(r"[\[(](x|X|✓|✔| |_)?[\])]")
"""A tick box. Only a bracket with nothing or one mark inside is one."""
_COLUMN: Final = re.compile(r"(?<=\w) {3,}(?=\w)")
_LEADER: Final = re.compile(
    r"(?<=[A-Za-z0-9)]) ?(?:\.{3,}+|_{3,}+|\t++| {3,}+|\s\|\s)[ .:_|]*+(?=[\w<>(+-])"
)
"""Dots, tabs or spaces between a title and its value in a form. Possessive: linear time."""
_OPEN_END: Final = re.compile(
    r"(?:,|-|/|\b(?:of|the|with|and|or|for|no|not|in|to|a|an|from|is|are|at|by|without|than|"
    r"shows?|showing|grade|evidence|carcinoma|invasive|breast)|"
    r"\bno (?:[\w-]+ ){0,4}?(?:residual|recurrent|situ|definite|significant|metastatic))$",
    re.IGNORECASE,
)
_JOINS: Final = re.compile(r"(?:or|and|nor|but|with|without|of|is|are)\b", re.IGNORECASE)
_TITLE_INSIDE: Final = re.compile(
    r"(?<=[\w.;:)])(?<!clinical)(?<!pathological)(?<!final)(?<!gross)(?<!microscopic)(?<!\bof)"
    r"(?<!\band) (?=(?:(?:clinical|pathological|final|gross|microscopic|nature of)(?: and)? )?"
    r"(?:details|history|information|specimens?|gross|macro(?:scopy)?|micro(?:scopy)?|description|"
    r"diagnosis|conclusion|comment|summary|receptors|supplementary report|addendum)\b[ \w]{0,12}:|"
    r"(?-i:(?:FINAL |CORRECTED |SUPPLEMENTARY )?(?:DIAGNOSIS|REPORT|ADDENDUM|CONCLUSION)\b))",
    re.IGNORECASE,
)
_LABEL_INSIDE: Final = re.compile(r"(?:(?<=[.;:])|(?<=[A-Z]{5})) (?=\(?[A-H1-9][.):] ?-? ?[A-Z])")
_FOLDED: Final = 120
"""Letters. A longer text without a line break has probably lost its lines."""
_STARTS_ITEM: Final = re.compile(
    r"[-*>#]\s|(?:[A-Ha-h]|[1-9])\d?\s?[-=]\s|(?:[A-H]|[1-9]) (?:[Ll]eft|[Rr]ight|[LR]t?)\b|"
    r"\(?(?:[A-Z]|[a-z]|\d{1,2}|[ivx]{1,4})[.):]\s|"
    r"[A-Za-z][\w /()'+-]{0,50}:|(?:[LR]|[LR]t\.?|Left|Right|LEFT|RIGHT)\s.{0,60}?(?:\s-\s|:)"
)
_HYPHEN: Final = re.compile(
    r"(?<=[A-Za-z][a-z])-[ \t]*\n[ \t]*(?=[a-z]{2})"
    r"(?!(?:positiv|negativ|grade|type|like|guided|biops|cell|site|assisted|specific|free|line))"
)
"""A word that is divided at the end of a line."""
_SPACED: Final = re.compile(r"\b(?:[A-Z] ){4,40}[A-Z]\b")
_CELLS: Final = re.compile(r"^(?:part |specimen )?([A-H]|\d{1,2})$", re.IGNORECASE)
"""The first cell of a row of a table, if it is the label of a specimen."""
_SCANNED: Final = re.compile(
    r"\b(?!y?p[TNtn])(?=[A-Za-z]*[01])(?=[A-Za-z01]*[A-Za-z]{3})[A-Za-z01]{5,}(?<=[A-Za-z])\b"
    r"|\b(?=[A-Zl]*l)(?=[A-Zl]*[A-Z]{2})[A-Zl]{3,}\b|\b[DdLl][Cc][1l][Ss]\b"
)
"""A word in which a scanner read a digit instead of o, i or l, or l instead of I."""
_BAR: Final = re.compile(r"[A-Za-z]{1,20}\|[A-Za-z]{2,20}|\bl(?=[nN][A-Za-z]{3})")
"""A bar or a small l that a scanner read instead of I or l; a table has bars between words."""
_CAPITAL: Final = re.compile(r"\bI(?=(?:eft|obul|ymph|esion|ower|ateral|ump)[a-z]*\b)")
_R_N: Final = re.compile(r"\b[A-Za-z]*rn[A-Za-z]*\b")
"""A word in which a scanner may have read rn instead of m."""
_WITH_M: Final = frozenset(
    (
        *("lump", "sample", "samples", "component", "components", "margin", "margins", "lymph"),
        *("small", "moderate", "myxoid", "mm", "metaplasia", "mass", "mucinous", "tumour", "tumor"),
    )
)
_LONG_LINE: Final = 58
"""A line this long without a full stop was probably broken by a printer's margin."""


def tidy(text: str) -> str:
    """Give each sign one spelling; the words stay as they are.

    Examples
    --------
    >>> tidy("B5b\\u00a0– 12\\u00d79\\u2009mm")
    'B5b - 12x9 mm'
    """
    lines = text.translate(_SIGNS).replace("\r\n", "\n").replace("\r", "\n")
    lines = _SPACED.sub(lambda found: found[0].replace(" ", ""), lines)
    lines = _SCANNED.sub(_unscanned, _HYPHEN.sub("", lines))
    lines = _CAPITAL.sub("l", _BAR.sub(_without_bar, lines))
    return _R_N.sub(_with_m, lines) if "rn" in lines else lines


def _without_bar(match: re.Match[str]) -> str:
    forms = [match[0].replace("|", sign) for sign in "Il"]
    known = [one for one in forms if one.lower() in {*_KNOWN, "right", "hospital"}]
    return known[0] if known else "I" if match[0] == "l" else match[0]


def _with_m(match: re.Match[str]) -> str:
    word = match[0].replace("rn", "m")
    low = word.lower()
    return word if low in _WITH_M or (correct(low) in _KNOWN and low != match[0]) else match[0]


def _unscanned(match: re.Match[str]) -> str:
    word = match[0]
    if not any(sign in word for sign in "01"):
        is_capital = word.replace("l", "").isupper()
        return word.replace("l", "I") if is_capital else word
    word = word.replace("0", "o")
    forms = (word.replace("1", "i"), word.replace("1", "l"))
    known = [form for form in forms if form.lower() in _KNOWN or correct(form.lower()) in _KNOWN]
    unknown = forms[1] if word.startswith("1") else forms[0]  # A guess.
    return known[0] if known else unknown


def unfold(text: str) -> str:
    """Begin a line at each title and label of a text that has lost its line breaks.

    Examples
    --------
    >>> print(unfold("Clinical details: lump in the left breast, found by the patient herself, with"
    ...              " a cyst. Macroscopy: three cores. Diagnosis: left breast core: B2."))
    Clinical details: lump in the left breast, found by the patient herself, with a cyst.
    Macroscopy: three cores.
    Diagnosis: left breast core: B2.
    """
    if "\n" in text.strip() or len(text) < _FOLDED:
        return text
    return _LABEL_INSIDE.sub("\n", _TITLE_INSIDE.sub("\n", text))


def logical_lines(text: str) -> Iterator[str]:
    """Give the lines of a tidy text: forms as ``title: value``, broken sentences joined.

    An empty line is given as "".

    Examples
    --------
    >>> list(logical_lines("Side ....... Left\\nThere is no evidence of\\nmalignancy.\\n[ ] DCIS"))
    ['Side: Left', 'There is no evidence of malignancy.', '']
    """
    held: list[str] = []
    for raw in text.split("\n"):
        raw = _row_of_table(raw)
        line = " ".join(_LEADER.sub(": ", _ticked(raw.strip().strip("|").strip())).split())
        if held and _continues(held[-1], line):
            held.append(line)
            continue
        if held:
            yield " ".join(held)
        held = [line]
    if held:
        yield " ".join(held)


def _row_of_table(line: str) -> str:
    """Write a row of a table with narrow bars as text: ``1|core|DCIS`` is ``1. core: DCIS``."""
    if line.count("|") < 2 or " | " in line or len(line) > 2000:
        return line
    first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
    if not _CELLS.match(first) or len(cells) < 2:
        return line
    return f"{first}. {cells[0]}: {'; '.join(cells[1:])}"


def _ticked(line: str) -> str:
    """Take away the choices of a form that are not ticked."""
    if "[" not in line and "(" not in line:
        return line
    marks = list(_BOX.finditer(line))
    if not marks:
        return line
    kept = [_with_colon(line[: marks[0].start()])]
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        value, *following = _COLUMN.split(line[mark.end() : after.start() if after else None], 1)
        if (mark[1] or "").strip(" _"):
            kept.append(value)
        if following and after:  # The title of a second choice in the same line.
            kept.append("; " + _with_colon(following[0]))
    return " ".join(part.strip() for part in kept)


def _with_colon(title: str) -> str:
    """Separate the title of a choice from its value."""
    words = title.strip()
    return f"{words}:" if words and words[-1].isalnum() else words


def _continues(before: str, line: str) -> bool:
    if not before or not line or before[-1] in ".:;!?" or _STARTS_ITEM.match(line):
        return False
    if line[0].islower() or _JOINS.match(line) or _OPEN_END.search(before[-60:]):
        return True
    return len(before) >= _LONG_LINE and not line.isupper() and not before.isupper()


_WORDS: Final = (
    *("carcinoma", "adenocarcinoma", "invasive", "infiltrating", "ductal", "lobular", "mucinous"),
    *("metaplastic", "medullary", "malignant", "malignancy", "benign", "fibroadenoma", "papilloma"),
    *("hyperplasia", "atypical", "atypia", "fibrocystic", "sclerosing", "adenosis", "insufficient"),
    *("inadequate", "suspicious", "excluded", "identified", "negative", "positive", "receptor"),
    *("oestrogen", "estrogen", "progesterone", "mastectomy", "lumpectomy", "excision", "biopsy"),
    *("sentinel", "histological", "diagnosis", "intermediate", "necrosis", "phyllodes"),
    *("metastatic", "metastasis", "breast", "clinical", "specimen", "cellular", "epithelial"),
    *("tubular", "lesion", "conclusion", "microscopic", "macroscopic", "dcis", "lcis", "left"),
)
_REAL: Final = frozenset(
    (
        *("typical", "globular", "capillary", "exclude", "excludes", "exclusion", "incision"),
        *("evasive", "malignancies", "atypia", "metastases", "diagnoses", "hyperplastic"),
        *("identifies", "positively", "negatively", "suspicion"),
    )
)
"""Correct words that are one letter away from a word of the list."""
_TOKEN: Final = re.compile(r"[a-z]{6,16}")
_SLIPS: Final = {
    "sentinal": "sentinel",
    "rigth": "right",
    "rihgt": "right",
    "letf": "left",
    "brest": "breast",
}
"""Misspellings that are too short for `_TOKEN`, or that it does not correct."""
_SHORT: Final = re.compile(rf"\b(?:{'|'.join(_SLIPS)})\b")


def _without_one(word: str) -> Iterator[str]:
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


def _spellings() -> dict[str, str]:
    """Map each of `_WORDS`, and each form with one letter less, to its word if only one fits."""
    found: dict[str, str] = {}
    for word in _WORDS:
        for form in {*_without_one(word), word}:
            found[form] = "" if found.get(form, word) != word else word
    return {form: word for form, word in found.items() if word}


_KNOWN: Final = frozenset(_WORDS)
_FORMS: Final = _spellings()


def correct(text: str) -> str:
    """Correct long words of pathology with one wrong, missing, added or exchanged letter.

    Parameters
    ----------
    text
        Lower-case text.

    Examples
    --------
    >>> correct("invasvie ductal carcinma, atypical")
    'invasive ductal carcinoma, atypical'
    """
    return _TOKEN.sub(_corrected, _SHORT.sub(lambda found: _SLIPS[found[0]], text))


def _corrected(match: re.Match[str]) -> str:
    token = match[0]
    if token in _KNOWN or token in _REAL or token.rstrip("s") in _KNOWN:
        return token
    if token in _FORMS:
        return _FORMS[token]
    for form in _without_one(token):
        word = _FORMS.get(form)
        # One letter added or exchanged; the first letter is seldom wrong.
        if word and word[0] == token[0] and abs(len(word) - len(token)) <= 1 and len(form) > 4:
            return word
    return token
