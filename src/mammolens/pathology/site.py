"""Where a specimen comes from and how it was taken: side, tissue and procedure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from mammolens.core import Laterality
from mammolens.pathology.assertions import OTHER_MATERIAL
from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.values import Statement, Tissue

__all__ = ["is_node", "laterality_of", "present_sides", "procedure_of", "sides_in", "tissue_of"]

_PART: Final = (
    r"(?:br(?:east)?\b|breast|axilla|nipple|mastectomy|lumpectomy|core|biops|sentinel|"
    r"wle|wide|partial|simple|reduction|lump|mass|targeted|"
    r"fna|fine|upper|lower|u[oi]q|l[oi]q|medial|lateral|central|retro|sub|needle|stereo|"
    r"ultrasound|us\b|vacuum|mammotome|excision|lymph|node|sln|slnb|anc|\d|outer|inner|"
    r"quadrant|tissue|chest|segment|inferior|superior|anterior|posterior|shav|sector|mrm\b|"
    r"re-?exc|level|nodes?\b|mammary|total|modified|skin|mri|open|duct|areola|aspirat|tru|"
    r"14|axillary|localisation|localization|wire|hook|microdoch|vab|vae|side|cavity|margin)"
)
_SIDE: Final = re.compile(
    rf"(?<![\d-])\b(left|right|lft|rgt|lt|rt|l|r)\b(?:\.|\))?(?:[ -](?:\(\w+\) )?|, ?|: ?|/)"
    rf"(?={_PART})|"
    r"(?:breast|axilla|nipple|mastectomy|biopsy|biopsies|core|cores|lumpectomy|excision|node|nodes|"
    r"wle|fna|vab|bx|sln|slnb|tissue|dissection|quadrant|o'clock|specimen|reduction|clearance|"
    r"laterality|"
    r"discharge|smear|lump|side|sided|site|vae|mammotome)[ ,:;(=-]{1,3}(?:is |the )?"
    r"(left|right|lft|rgt|lt|rt|l|r)\b|"
    r"\b(left|right)[- ]sided?\b|"
    r"^\W{0,3}(left|right|lft|rgt|lt|rt|l|r)\b(?=\W{0,2}$|[:,.)-]| [-(])|"
    r"^\W{0,3}(left|right|lt|rt)\b(?= (?:\w+ ){1,4}?(?:breast|axill|node|biops|excis|core|"
    r"dissection|lump|mass|mastectomy|clearance))|"
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
    r"\bfamily\b|\bmother\b|\bsister\b|\bcontralateral\b|\bother breast\b|\btreated\b|\boutside\b|"
    r"\b(?:cancer|carcinoma) (?:surgery|operation)\b"
)


_DATED: Final = re.compile(
    r"\w+ [^.;(]{0,30}?(?:mastectomy|lumpectomy|excision|surgery|cancer|carcinoma|dcis|biopsy)\b"
    r"[^.;(]{0,40}?\b(?:19|20)\d\d\b"
)
"""A side of an operation or disease with its year: "left mastectomy for carcinoma 2009"."""
_AGO: Final = re.compile(r"\b(?:year|month|week)s? (?:ago|earlier)\b")
_WRONG: Final = re.compile(r"\bnot |\binstead of\b|\bstated\b|\bfrom\b|\blabelled\b|\bas\b")
"""Words before the side that an addendum corrects, as in "not left"."""

_NO_SIDE: Final = re.compile(r"\b(?:left ?/ ?right|right ?/ ?left|[lr] ?/ ?[lr]|left or right)\b")
"""A question for the side."""


_BY_WORD: Final = re.compile(r"\b(?:left|right)\b")


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
        if len(word) == 1 and "(" in match[0] and _BY_WORD.search(text):
            continue  # A word is more certain than a letter in brackets, which can be a number.
        side = Laterality.LEFT if word.startswith("l") else Laterality.RIGHT
        found.append((side, match.start(match.lastindex or 0)))
    return found


def present_sides(text: str) -> list[tuple[Laterality, int]]:
    """Find the sides that a sentence names for the present, not for an earlier finding."""
    if OTHER_MATERIAL.search(text):
        return []
    return [
        (side, at)
        for side, at in sides_in(text)
        if not _EARLIER.search(text, max(0, at - 40), at + 30)
        and not _DATED.match(text, at)
        and not _AGO.search(text)
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
    if len(seen) > 1:
        seen = _of_headings(sentences) or seen
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


_IDENTITY: Final = re.compile(
    r"label|request|\bform\b|container|\bpot\b|\bjar\b|specimen|received|sections? (?:of|from)|"
    r"cores?\b|biops|discrepan|mismatch|taken from|should read|error"
)
"""Words that say of which side the tissue is; a sentence without them can be about the other."""
_FIRM: Final = (Section.SPECIMEN, Section.DIAGNOSIS, Section.SYNOPTIC, Section.ADDENDUM)


def _of_headings(sentences: Sequence[Sentence]) -> dict[Laterality, list[str]]:
    """Give the side of headings and diagnoses, if only descriptions name the other side."""
    firm: dict[Laterality, list[str]] = {}
    for sentence in sentences:
        counts = sentence.starts_line or sentence.section in _FIRM
        if counts or _IDENTITY.search(sentence.text):
            for side, _ in present_sides(sentence.text):
                firm.setdefault(side, []).append(sentence.shown)
    return firm if len(firm) == 1 else {}


_NODE: Final = re.compile(
    r"sentinel|\b(?:axillary|lymph|intramammary)? ?lymph ?nodes?\b|\bsln[bs]?\b|"
    r"axillary (?:node|clearance|"
    r"dissection|contents|tissue|sampl|core|mass)|\bax(?:illa)?\.? (?:core|fna)|"
    r"\bnodes?\b|\blns?\b|\balnd\b|\banc\b|level [i1]{1,3}\b|axilla\b"
)
_BREAST: Final = re.compile(
    r"breast|mastectomy|lumpectomy|\bwle\b|wide local|quadrant|o'? ?clock|nipple|cavity|segment|"
    r"u[oi]q|l[oi]q|retroareolar|subareolar|\bduct"
)
_SCAR: Final = re.compile(r"\bmastectomy (?:scar|site|flap)\b")
_SKIN: Final = re.compile(
    r"^\W*(?:\w+ ){0,3}skin\b|chest wall|skin (?:punch|ellipse|biopsy|lesion)|mole\b"
)


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
        heading = _SCAR.sub("", heading)
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
        ("sentinel node", r"sentinel|\bsln[bs]?\b|\bsnb\b"),
        ("axillary dissection",
            r"axilla\w*,? (?:lymph )?(?:nodes?,? )?(?:dissection|clearance|contents)|"
            r"\balnd\b|"
         r"\banc\b|axillary node clearance|level [i1]{1,3}\b"),
        ("re-excision",
            r"re-?excision|cavity (?:shav|margin|biops|excision)\w*|new (?:\w+ )?margins?|"
            r"shav(?:e|ing)s?|"
         r"further (?:excision|margin)|additional (?:\w+ )?margin"),
        ("wide local excision",
         r"wide local|\bwle\b|lumpectomy(?! (?:scar|site|cavity|bed)\b)|segment(?:al|ectomy)|"
         r"partial mastectomy|"
         r"quadrantectomy|tylectomy|wide excision|breast[- ]conserving|therapeutic mammoplasty"),
        ("mastectomy", r"mastectomy|\bmrm\b"),
        ("reduction", r"reduction|mammoplasty|mammaplasty"),
        ("fine needle aspiration", r"\bfna[bc]?\b|fine[- ]needle|aspirat|cytolog(?!ic\b|ical)"),
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
    r"recommend|advi[sc]|suggest|should|previous|prior|follow[- ]?up|to follow|await|"
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
