"""Where a specimen comes from and how it was taken: side, tissue, procedure, clock, distance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from mammolens.core import Laterality
from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.values import Statement, Tissue

__all__ = ["clock_of", "distance_of", "is_node", "laterality_of",
    "present_sides", "procedure_of", "quadrant_of",
           "sides_in", "tissue_of"]  # fmt: skip

_PART: Final = (
    r"(?:br(?:east)?\b|breast|axilla|nipple|mastectomy|lumpectomy|core|biops|sentinel|"
    r"wle|wide|partial|simple|"
    r"fna|fine|upper|lower|u[oi]q|l[oi]q|medial|lateral|central|retro|sub|needle|stereo|"
    r"ultrasound|us\b|vacuum|mammotome|excision|lymph|node|sln|slnb|anc|\d|outer|inner|"
    r"quadrant|tissue|chest|segment|inferior|superior|anterior|posterior|shav|sector|mrm\b|"
    r"re-?exc|level|nodes?\b|mammary|total|modified|skin|mri|open|duct|areola|aspirat|tru|"
    r"14|axillary|localisation|localization|wire|hook|microdoch|vab|vae|side|cavity|margin)"
)
_SIDE: Final = re.compile(
    rf"\b(left|right|lft|rgt|lt|rt|l|r)\b(?:\.|\))?(?:[ -](?:\(\w+\) )?|, ?|: ?|/)(?={_PART})|"
    r"(?:breast|axilla|nipple|mastectomy|biopsy|biopsies|core|cores|lumpectomy|excision|node|nodes|"
    r"wle|fna|vab|bx|tissue|dissection|quadrant|o'clock|specimen|reduction|clearance|laterality|"
    r"side|sided|site|vae|mammotome)[ ,:;(=-]{1,3}(?:is |the )?(left|right|lft|rgt|lt|rt|l|r)\b|"
    r"\b(left|right)[- ]sided?\b|"
    r"^\W{0,3}(left|right|lft|rgt|lt|rt|l|r)\b(?=\W{0,2}$|[:,.)-]| [-(])|"
    r"\((left|right|lft|rgt|lt|rt|l|r)\)|\b(left|right)$|\bon the (left|right)\b|"
    r"\b(left|right)(?= (?:shows?|side|is|was|has|contains?|and (?:left|right) breasts?))|"
    r"\bfrom (?:the )?(left|right)\b|"
    r"(?<!post )(?<!after )(?<!prior )\b(lt|rt)\b(?= ?[,;.)]| side)|\bmrm,? (left|right|lt|rt)\b|"
    r"\b(l|r)(?=uoq|uiq|loq|liq|\buoq)"
)
_SAMPLED: Final = re.compile(
    r"biops|\bcores?\b|\bfna\b|aspirat|excis|mastectomy|lumpectomy|specimen|\bwle\b|"
    r"\bvab\b|\bbx\b|sampled"
)
_EARLIER: Final = re.compile(
    r"\bprevious|\bprior\b|\bhistory\b|\bh/o\b|\bin (?:19|20)\d\d\b|\bknown\b|\bs/p\b|\bpast\b|"
    r"\bfamily\b|\bmother\b|\bsister\b|\bcontralateral\b|\bother breast\b|\bago\b"
)


_DATED: Final = re.compile(
    r"\w+ [^.;]{0,30}?(?:mastectomy|lumpectomy|excision|surgery|cancer|carcinoma|dcis|biopsy)\b"
    r"[^.;]{0,40}?\b(?:19|20)\d\d\b"
)
"""A side of an operation or disease with its year: "left mastectomy for carcinoma 2009"."""
_WRONG: Final = re.compile(r"\bnot |\binstead of\b|\bstated\b|\bfrom\b|\blabelled\b|\bas\b")


_NO_SIDE: Final = re.compile(r"\b(?:left ?/ ?right|right ?/ ?left|[lr] ?/ ?[lr]|left or right)\b")
"""A question for the side."""


def sides_in(text: str) -> list[tuple[Laterality, int]]:
    """Find the sides of the body in a lower-case sentence, with their places.

    Examples
    --------
    >>> [side.name for side, _ in sides_in("left breast: benign. r breast core: dcis")]
    ['LEFT', 'RIGHT']
    >>> sides_in("nothing was left in the pot right away")
    []
    """
    found = []
    for match in _SIDE.finditer(_NO_SIDE.sub(lambda blank: " " * len(blank[0]), text)):
        word = next(group for group in match.groups() if group)
        side = Laterality.LEFT if word.startswith("l") else Laterality.RIGHT
        found.append((side, match.start(match.lastindex or 0)))
    return found


def present_sides(text: str) -> list[tuple[Laterality, int]]:
    """Find the sides that a sentence names for the present, not for an earlier finding."""
    return [
        (side, at)
        for side, at in sides_in(text)
        if not _EARLIER.search(text, max(0, at - 40), at + 30) and not _DATED.match(text, at)
    ]


def laterality_of(sentences: Sequence[Sentence], history: Sequence[Sentence]) -> Statement | None:
    """Give the side of a specimen; all sections but the history must agree.

    Parameters
    ----------
    sentences
        Sentences about the specimen.
    history
        Sentences of clinical details; they count only if they say which side was sampled, and if no
        other sentence gives a side.
    """
    seen: dict[Laterality, list[str]] = {}
    corrected: dict[Laterality, list[str]] = {}
    for sentence in sentences:
        for side, at in present_sides(sentence.text):
            seen.setdefault(side, []).append(sentence.shown)
            if sentence.section is Section.ADDENDUM and not _WRONG.search(
                sentence.text, max(0, at - 24), at
            ):
                corrected.setdefault(side, []).append(sentence.shown)
    if len(seen) > 1 and len(corrected) == 1:
        seen = corrected
    confidence = 0.98
    if not seen:
        for sentence in history:
            for side, at in sides_in(sentence.text):
                earlier = _EARLIER.search(sentence.text, max(0, at - 40))
                earlier = earlier or _DATED.match(sentence.text, at)
                if _SAMPLED.search(sentence.text) and not earlier:
                    seen.setdefault(side, []).append(sentence.shown)
                    confidence = 0.85
    if not seen:
        return None
    evidence = tuple(dict.fromkeys(line for lines in seen.values() for line in lines))[:4]
    if len(seen) > 1:
        return Statement(None, 0.0, evidence, "both sides are named for this specimen")
    return Statement(next(iter(seen)).value, confidence, evidence)


_NODE: Final = re.compile(
    r"sentinel|\b(?:axillary|lymph|intramammary)? ?lymph ?nodes?\b|\bslnb?\b|"
    r"axillary (?:node|clearance|"
    r"dissection|contents|tissue|sampl|core|mass)|\bax(?:illa)?\.? (?:core|fna)|"
    r"\bnodes?\b|\blns?\b|\balnd\b|\banc\b|level [i1]{1,3}\b|axilla\b"
)
_BREAST: Final = re.compile(
    r"breast|mastectomy|lumpectomy|\bwle\b|wide local|quadrant|o'? ?clock|nipple|cavity|segment|"
    r"u[oi]q|l[oi]q|retroareolar|subareolar|\bduct"
)
_SKIN: Final = re.compile(r"^\W*(?:\w+ ){0,3}skin\b|skin (?:punch|ellipse|biopsy|lesion)|mole\b")


_OTHER_ORGAN: Final = re.compile(
    r"^\W*(?:\w+ ){0,2}(?:liver|bone|marrow|lung|pleura\w*|thyroid|ovar\w+|uter\w+|endometri\w+|"
    r"colon|stomach|brain|kidney|spleen|thymus|salivary|parotid)\b"
)


def is_node(heading: str) -> bool:
    """Return whether a lower-case heading names a specimen of lymph nodes alone."""
    return bool(_NODE.search(heading)) and not (
        _BREAST.search(heading) or "intramammary" in heading
    )


def tissue_of(headings: Iterable[str]) -> Tissue:
    """Give the tissue that the headings of a specimen name; breast if they do not say."""
    for heading in headings:
        if is_node(heading):
            return Tissue.LYMPH_NODE
        if _SKIN.search(heading) and not _BREAST.search(heading):
            return Tissue.SKIN
        if _BREAST.search(heading):
            return Tissue.BREAST
        if _OTHER_ORGAN.search(heading):
            return Tissue.OTHER
    return Tissue.BREAST


_PROCEDURES: Final = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("sentinel node", r"sentinel|\bslnb?\b"),
        ("axillary dissection",
            r"axillary (?:lymph node )?(?:node )?(?:dissection|clearance|contents)|"
            r"\balnd\b|"
         r"\banc\b|axillary node clearance|level [i1]{1,3}\b"),
        ("re-excision",
            r"re-?excision|cavity (?:shav|margin|biops|excision)\w*|new (?:\w+ )?margins?|"
            r"shav(?:e|ing)s?|"
         r"further (?:excision|margin)|additional (?:\w+ )?margin"),
        ("wide local excision",
         r"wide local|\bwle\b|lumpectomy|segment(?:al|ectomy)|partial mastectomy|"
         r"quadrantectomy|tylectomy|wide excision|breast[- ]conserving|therapeutic mammoplasty"),
        ("mastectomy", r"mastectomy|\bmrm\b"),
        ("reduction", r"reduction|mammoplasty|mammaplasty"),
        ("fine needle aspiration", r"\bfnac?\b|fine[- ]needle|aspirat|cytolog(?!ic\b|ical)"),
        ("vacuum biopsy", r"vacuum|\bvac\b|\b(?:7|8|9|10) ?-?(?:g\b|gauge)|\bvab\b|\bvae\b|"
            r"\bvabb\b|mammotome|\bvacc?b\b"),
        ("punch biopsy", r"punch(?!ed)"),
        ("core biopsy",
            r"(?<!fibrovascular )\bcores?\b|tru-?cut|\bcnb\b|\bncb\b|\bwbn\b|\bwcb\b|"
            r"needle (?:core )?biops|"
            r"\b1[0-8] ?-?(?:g\b|gauge)|"
         r"stereo\w* (?:guided )?(?:breast )?biops|ultrasound[- ]guided|us[- ]guided|"
         r"u/s[- ]guided|mri[- ]guided|"
         r"needle bx|stereotactic"),
        ("excision biopsy",
            r"excision(?:al)?|excised|microdochectomy|duct excision|local excision|"
            r"open biopsy|"
         r"surgical biopsy|hadfield|wire[- ](?:guided|localised|localized)|lesion removed"),
    )
)  # fmt: skip
_NOT_DONE: Final = re.compile(
    r"recommend|advis|suggest|should|previous|prior|follow[- ]?up|to follow|await|"
    r"plan|consider|correlat|known|"
    r"history|future|further management|for excision|on excision|in excision|until|if |subsequent|"
    r"earlier|site change|biopsy site|mdt|\bon (?:\w+ )?(?:core|biopsy|fna|vab)\b"
)


def procedure_of(sentences: Iterable[Sentence], tissue: Tissue) -> Statement | None:
    """Give how a specimen was taken: headings and specimen lines first, then the rest."""
    rows = list(sentences)
    first = [s for s in rows if s.section is Section.SPECIMEN or s.starts_line]
    order = (*[s for s in first if s.section is not Section.GROSS], *rows)
    for sentence in order:
        for name, pattern in _PROCEDURES:
            if not (match := pattern.search(sentence.text)):
                continue
            around = sentence.text[max(0, match.start() - 30) : match.end() + 24]
            if _NOT_DONE.search(around):
                continue
            if tissue is Tissue.BREAST and name in ("sentinel node", "axillary dissection"):
                continue
            if name == "excision biopsy" and re.search(
                r"margin|complete|excision is", sentence.text[match.start() : match.end() + 16]
            ):
                continue
            if tissue is Tissue.LYMPH_NODE:
                if name in ("core biopsy", "fine needle aspiration"):
                    name = "node biopsy"
                elif name not in ("sentinel node", "axillary dissection"):
                    continue
            return Statement(name, 0.9, (sentence.shown,))
    return None


_CLOCK: Final = re.compile(
    r"(?<![\d.])(1[0-2]|[1-9])(?:[:.](\d\d))?(?: ?(?:-|to|/|and) ?(1[0-2]|"
    r"[1-9])(?:[:.](\d\d))?)? ?(?:o'? ?c?l?ock\b|o'?cl\b|oc\b|o'c\b|clock\b)|"
    r"(?:@|\bat|position|,|bx|biopsy|core|breast|axilla|quadrant|left|right|\blt|\brt|\bl|"
    r"\br) ?(1[0-2]|[1-9]):(00|30)\b|"
    r"clock (?:position|face)\D{0,6}(1[0-2]|[1-9])\b|"
    r"\b(1[0-2]|[1-9])(?::00)? ?(?:h|hr|hrs|h00)\b(?! \w*fix)"
)


def clock_of(sentences: Iterable[Sentence]) -> Statement | None:
    """Give the clock position; two positions, or one between two hours, are unsure."""
    seen: dict[int, str] = {}
    between: list[str] = []
    for sentence in sentences:
        if re.search(r"inked|margin|sutur|fixation|formalin|\bfixed\b|isch", sentence.text):
            continue
        for match in _CLOCK.finditer(sentence.text):
            hour = int(next(g for g in (match[1], match[5], match[7], match[8]) if g))
            minutes = match[2] or match[6]
            if match[3] or (minutes or "00") != "00":
                between.append(sentence.shown)
            seen.setdefault(hour, sentence.shown)
    if between:
        return Statement(None, 0.0, tuple(between[:2]), "the clock position is between two hours")
    return _single(seen, 0.95, "several clock positions are named")


_DISTANCE: Final = re.compile(
    r"(\d{1,3}(?:\.\d)?)(?: ?(-|to) ?\d{1,3}(?:\.\d)?)? ?(cm|mm) ?(?:\(?fn\b|f\.n|"
    r"fr(?:om)? (?:the )?nipple|from nip|from (?:the )?(?:nac|areola)|cfn|from n\b)|"
    r"(\d{1,2}(?:\.\d)?) ?cmfn|\b(?:fn|distance from (?:the )?nipple|nipple distance|"
    r"dfn)\W{0,3}(\d{1,3}(?:\.\d)?) ?(cm|mm)|"
    r"\bn ?\+ ?(\d{1,2}(?:\.\d)?)\b"
)


def distance_of(sentences: Iterable[Sentence]) -> Statement | None:
    """Give the distance from the nipple in cm."""
    seen: dict[float, str] = {}
    between: list[str] = []
    for sentence in sentences:
        for match in _DISTANCE.finditer(sentence.text):
            number = next(g for g in (match[1], match[4], match[5], match[7]) if g)
            factor = 0.1 if (match[3] or match[6]) == "mm" else 1.0
            if match[2]:
                between.append(sentence.shown)
            seen.setdefault(round(float(number) * factor, 2), sentence.shown)
    if between:
        return Statement(None, 0.0, tuple(between[:2]), "the distance is a range")
    return _single(seen, 0.95, "several distances from the nipple are named")


_QUADRANTS: Final = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("upper outer",
            r"upper[ ,-]{1,2}outer|outer[ ,-]{1,2}upper|[lr]?\buoq|\b[lr]uoq|"
            r"upper lateral|superolateral"),
        ("upper inner",
            r"upper[ ,-]{1,2}inner|inner[ ,-]{1,2}upper|\b[lr]?uiq|upper medial|"
            r"superomedial"),
        ("lower outer",
            r"lower[ ,-]{1,2}outer|outer[ ,-]{1,2}lower|\b[lr]?loq|lower lateral|"
            r"inferolateral"),
        ("lower inner",
            r"lower[ ,-]{1,2}inner|inner[ ,-]{1,2}lower|\b[lr]?liq|lower medial|"
            r"inferomedial"),
        ("axillary tail", r"axillary tail|tail of spence"),
        ("central",
            r"retro-?areolar|sub-?areolar|\bcentral (?:breast|quadrant|location|region|"
            r"portion)|breast,? central"),
    )
)  # fmt: skip


def quadrant_of(sentences: Iterable[Sentence]) -> Statement | None:
    """Give the quadrant; two quadrants are unsure."""
    seen: dict[str, str] = {}
    for sentence in sentences:
        if re.search(r"margin|sutur|orient|clips? at", sentence.text):
            continue
        for name, pattern in _QUADRANTS:
            if pattern.search(sentence.text):
                seen.setdefault(name, sentence.shown)
    return _single(seen, 0.95, "several quadrants are named")


T = TypeVar("T", str, int, float)


def _single(seen: Mapping[T, str], confidence: float, several: str) -> Statement | None:
    if not seen:
        return None
    evidence = tuple(dict.fromkeys(seen.values()))[:3]
    if len(seen) > 1:
        return Statement(None, 0.0, evidence, several)
    return Statement(next(iter(seen)), confidence, evidence)
