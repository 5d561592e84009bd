"""Give each sentence of a report to the specimen that it is about.

Labels of the report ("A.", "Specimen 2") come first. A report without labels is divided by side,
and a heading that names only lymph nodes begins a specimen of nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mammolens.core import Laterality
from mammolens.pathology.layout import Section, Sentence
from mammolens.pathology.site import is_node, present_sides, sides_in
from mammolens.pathology.titles import TELLING
from mammolens.pathology.wholes import PLACE_MARK

__all__ = ["Group", "group"]

_NODE_HEADING: Final = re.compile(
    r"^\W*(?:(?:core |needle )?(?:biops\w+|fna\w*|excision|tru-?cut|cores?) (?:of|from) (?:the )?)?"
    r"(?:(?:left|right|lt|rt|l|r)\b\.? ?)?(?:(?:axilla(?:ry)?|"
    r"breast,?)\W{0,3})?(?:sentinel|axilla(?:ry)?\b|slnb?\b|lymph)"
    r"[\w ,/()#=-]{0,60}?(?:nodes?|biopsy|clearance|dissection|slnb?|contents|"
    r"excision)?[\w ,()/=]{0,30}(?:[:.-]|$)"
)
_TAKEN: Final = re.compile(
    r"\b(?:left|right|lt|rt)\b(?!.*procedure)|biops(?!.*procedure)|dissection|"
    r"clearance|excision|\bcore|\bfna|slnb|sentinel|#|container|\bpot\b|\bjar\b|specimen"
)
"""A heading that says how the nodes were taken; a row of a form such as "Lymph nodes" does not."""
_SHAVE: Final = re.compile(
    r"^\W*(?:(?:left|right|lt|rt|new|additional|further|breast)\W{1,2})*(superior|inferior|medial|"
    r"lateral|anterior|posterior|deep|superficial|upper|lower)?\W{0,2}(?:cavity )?"
    r"(?:margin )?(?:shav\w+|bed biops\w+)[^:.-]{0,20}(?::| - )(?=.*[a-z]{3})"
    r"|^\W*(?:(?:left|right|lt|rt|breast)\W{1,2})*(?:additional|new|further|extra|separate) "
    r"(superior|inferior|medial|lateral|anterior|posterior|deep|superficial)? ?margins?"
    r"[^:.-]{0,20}(?::| - )(?! ?(?:clear|negative|positive|involved|free|\d))(?=.*[a-z]{3})"
)
_EXCISED: Final = re.compile(
    r"\bwle\b|wide local|lumpectomy|segmentectomy|quadrantectomy|mastectomy"
)
_PLAIN_HEADING: Final = re.compile(r"^\W*(?:breast|(?:lymph |axillary )*node|axilla|ln)(?=:)")
_PLAIN_NODE: Final = re.compile(r"^\W*(?:(?:lymph |axillary )*node|axilla|ln):")
"""Headings of a report that has one specimen of each kind: "Breast: …", "Node: …"."""
_BREAST_HEADING: Final = re.compile(
    r"^\W*(?:(?:left|right|lt|rt|l|r)\b\W{0,2})?(?:breast|mastectomy|lumpectomy|wide local)"
)
_NAMED: Final = re.compile(
    r"\b(?:specimens?|parts?|biops(?:y|ies)|jars?|pots?|tumou?rs?|sites?) (?:#|"
    r"no\.? ?)?\(?([a-h]\d?|\d)\b"
    r"|\(([a-h])\)|(?:^|\bin |\bon |\bof |\bfrom )([a-h])\b(?=[:,)]|$| (?:shows?|is|contains?)\b)"
)
_SPLIT: Final = re.compile(
    r"[,;.]\s*(?:and |while |whereas |but )?|\b(?:and|while|whereas|but) (?:the )?|\s[&/]\s"
)


_WRONG_SIDE: Final = re.compile(
    r"(?=.*\b(?:left|right)\b).*(?:\bin error\b|entry error|erroneous|should (?:read|be)|"
    r"wrong side|incorrect|mislabel|instead of|not (?:the )?(?:left|right)|side is\b|laterality)"
)
_OF_BREAST: Final = re.compile(
    r"\bbreast\b(?! (?:carcinoma|cancer|primary|origin|malignan))|mastectomy|lumpectomy|\bwle\b|"
    r"wide local|quadrant|o'? ?clock|nipple|\bdcis\b"
)
"""Words of a specimen of the breast; "metastatic breast carcinoma" can stand in a node alone."""


@dataclass
class Group:
    """A specimen: its label or ``None``, its sentences, whether a heading says lymph nodes."""

    name: str | None
    sentences: list[Sentence] = field(default_factory=list)
    node_heading: bool = False

    @property
    def headings(self) -> list[str]:
        """Lower-case beginnings of lines that say what the specimen is, the best first."""
        order = (Section.SPECIMEN, Section.DIAGNOSIS)
        lines = [s for wanted in order for s in self.sentences if s.section is wanted]
        rest = [s for s in self.sentences if s.section not in order]
        return [_heading(s.text) for s in (*lines, *rest) if s.starts_line]


def _heading(text: str) -> str:
    return re.split(r"[:.](?!\w)| - ", text[:120], maxsplit=1)[0]


def group(sentences: Sequence[Sentence]) -> tuple[list[Group], list[Sentence]]:
    """Divide sentences among the specimens.

    Returns
    -------
    groups, floating
        The specimens in the order of the report, and sentences that belong to none for certain.
    """
    usable = [s for s in sentences if s.section in TELLING | {Section.SPECIMEN, Section.GROSS}]
    if any(s.names for s in usable):
        return _by_label(usable)
    return _by_side(usable)


def _by_label(usable: Sequence[Sentence]) -> tuple[list[Group], list[Sentence]]:
    groups: dict[str, Group] = {}
    for sentence in usable:
        for name in sentence.names:
            groups.setdefault(name, _new(name)).sentences.append(sentence)
    floating: list[Sentence] = []
    for sentence in usable:
        if not sentence.names:
            for name in _names_inside(sentence, groups) or ():
                groups[name].sentences.append(sentence)
                break
            else:
                floating.append(_unnamed(sentence))
    floating += _trailing_paragraphs(groups, usable)
    floating += _receptors_of_nodes(groups.values())
    last = next(reversed(groups.values()), None)
    if last is not None and len(groups) > 1:
        floating += _loose_receptors(last)
    kept = [g for g in groups.values() if any(s.section in TELLING for s in g.sentences)]
    if all(_nodes_only(g) for g in kept) and any(s.section in TELLING for s in floating):
        lost = [g for g in groups.values() if g not in kept and not _nodes_only(g)]
        kept = lost + kept if len(lost) == 1 else kept  # A form without labels is about it.
    kept = kept or list(groups.values())
    if len(kept) == 1:
        kept[0].sentences += floating
        return kept, []
    return kept, _assign_by_side(kept, floating)


_LONGEST_HEADING: Final = 25
"""Letters; the paragraph behind a shorter text belongs to it."""
_RECEPTOR_ROW: Final = re.compile(
    r"^\W*(?:er|pr|pgr|her ?-?2|o?estrogen|progesterone|(?:hormone )?receptors?|ki ?-?67|mib)\b"
)


def _receptors_of_nodes(groups: Iterable[Group]) -> list[Sentence]:
    """Take rows of receptors away from lymph nodes: they follow the last specimen of a report."""
    taken: list[Sentence] = []
    for one in groups:
        if one.node_heading or _nodes_only(one):
            rows = [s for s in one.sentences if _RECEPTOR_ROW.match(s.text)]
            one.sentences = [s for s in one.sentences if s not in rows]
            taken += [replace(s, section=Section.MARKERS) for s in rows]
    return taken


def _trailing_paragraphs(groups: dict[str, Group], usable: Sequence[Sentence]) -> list[Sentence]:
    """Take away the paragraphs that follow the last specimen of a section and are not labelled.

    A comment behind the list of specimens is about all of them.
    """
    taken: list[Sentence] = []
    for place, sentence in enumerate(usable):
        before = usable[place - 1] if place else None
        if before is None or not sentence.names or sentence.section is not before.section:
            continue
        is_apart = (
            sentence.names == before.names
            and sentence.line > before.line + 1
            and not sentence.shown.startswith(("-", "*"))
            and len(before.text) > _LONGEST_HEADING
            and not any(s.names not in ((), sentence.names) for s in usable[place:])
        )
        if is_apart and len(groups) > 1:
            rest = [s for s in usable[place:] if s.names == sentence.names]
            lines = {id(s) for s in rest}
            groups[sentence.names[0]].sentences = [
                s for s in groups[sentence.names[0]].sentences if id(s) not in lines
            ]
            taken += [_unnamed(s) for s in rest]
            break
    return taken


def _unnamed(sentence: Sentence) -> Sentence:
    is_row = sentence.section is not Section.ADDENDUM and _RECEPTOR_ROW.match(sentence.text)
    return replace(sentence, names=(), section=Section.MARKERS if is_row else sentence.section)


def _loose_receptors(last: Group) -> list[Sentence]:
    """Take rows of receptors away from the last specimen: they can be about an earlier one."""
    own = {s.line for s in last.sentences[:1]}
    rows = [
        s
        for s in last.sentences
        if s.line not in own
        and s.starts_line
        and _RECEPTOR_ROW.match(s.text)
        and s.section is not Section.MARKERS  # Its title has named the specimen.
    ]
    lines = {s.line for s in rows}
    taken = [s for s in last.sentences if s.line in lines]
    last.sentences = [s for s in last.sentences if s.line not in lines]
    return [replace(s, section=Section.MARKERS, names=()) for s in taken]


def _new(name: str) -> Group:
    return Group(None if name.startswith(PLACE_MARK) else name)


def _names_inside(sentence: Sentence, groups: dict[str, Group]) -> list[str]:
    found = (next(g for g in m.groups() if g).upper() for m in _NAMED.finditer(sentence.text))
    return [name for name in found if name in groups]


def _assign_by_side(groups: Sequence[Group], floating: Iterable[Sentence]) -> list[Sentence]:
    """Give a sentence that names a side to the only breast specimen of that side."""
    sides = {id(g): _sides(g) for g in groups}
    left: list[Sentence] = []
    running: Laterality | None = None
    section: Section | None = None
    for sentence in floating:
        if sentence.section is not section:
            section, running = sentence.section, None
        own = {side for side, _ in sides_in(sentence.text)}
        if len(own) == 1:
            running = next(iter(own))
        fitting = [
            g
            for g in groups
            if running is not None and sides[id(g)] == {running} and not _nodes_only(g)
        ]
        if len(fitting) > 1 and sentence.starts_line and _EXCISED.search(_heading(sentence.text)):
            fitting = [g for g in fitting if any(_EXCISED.search(one) for one in g.headings)]
        if len(fitting) == 1 and sentence.section is not Section.SPECIMEN:
            fitting[0].sentences.append(sentence)
        else:
            left.append(sentence)
    return left


def _sides(one: Group) -> set[Laterality]:
    return {side for heading in one.headings for side, _ in sides_in(heading)}


def _nodes_only(one: Group) -> bool:
    return any(is_node(heading) for heading in one.headings[:1])


def _by_side(usable: Sequence[Sentence]) -> tuple[list[Group], list[Sentence]]:
    """Divide a report without labels by side, lymph nodes and cavity shaves."""
    parts = [part for sentence in usable for part in _divided(sentence)]
    deciding = [s for s in parts if s.section in (Section.DIAGNOSIS, Section.ADDENDUM)]
    if not any(sides_in(s.text) for s in deciding):
        deciding = [s for s in parts if s.section in TELLING]
    sides = list(dict.fromkeys(side for s in deciding for side in _own(s)))
    if any(s.section is Section.ADDENDUM and _WRONG_SIDE.search(s.text) for s in usable):
        sides = []  # The other side was an error: it is one specimen.
    plain = {heading[0] for s in parts if (heading := _PLAIN_HEADING.match(s.text))}
    has_nodes = any(_starts_nodes(s) for s in parts) or len({one[:4] for one in plain}) > 1
    shaves = {shave for s in parts if (shave := _shave(s))}
    has_parts = has_nodes or len(shaves) > 1 or (bool(shaves) and _has_more(parts))
    if has_nodes and not any(_OF_BREAST.search(s.text) for s in usable):
        return [Group(None, list(usable), node_heading=True)], []
    if len(sides) < 2 and not has_parts:
        return ([Group(None, list(usable))] if usable else []), []
    groups: dict[tuple[Laterality | None, bool, str], Group] = {}
    floating: list[Sentence] = []
    running: Laterality | None = None
    nodes, section, shave, list_line = False, None, "", -1
    for sentence in parts:
        if sentence.section is not section:
            section, running, nodes, shave = sentence.section, None, False, ""
        own = _own(sentence)
        if sentence.starts_line:
            if _starts_nodes(sentence) or (has_nodes and _PLAIN_NODE.match(sentence.text)):
                nodes, shave = True, ""
            elif has_parts and (found := _shave(sentence)):
                nodes, shave = False, found
            elif own or _BREAST_HEADING.match(sentence.text):
                nodes, shave = False, ""
        if shaves and has_parts and "shav" in sentence.text and not _shave(sentence):
            list_line = sentence.line
        if sentence.line == list_line or (len(own) > 1 and len(sides) > 1):
            floating.append(sentence)
            continue
        if len(own) == 1 and len(sides) > 1:
            running = own[0]
        place = running if len(sides) > 1 else None
        if len(sides) > 1 and place is None:
            floating.append(sentence)
            continue
        here = groups.setdefault((place, nodes, shave), Group(None, node_heading=nodes))
        here.sentences.append(sentence)
    if not groups:
        return [Group(None, list(usable))], []
    telling = [g for g in groups.values() if any(s.section in TELLING for s in g.sentences)]
    if not all(g.node_heading for g in telling):
        floating += _receptors_of_nodes(telling)
    return telling or list(groups.values()), floating


def _shave(sentence: Sentence) -> str:
    """Give which cavity shave a heading names; "" if it names none."""
    if not sentence.starts_line or sentence.section not in TELLING:
        return ""
    match = _SHAVE.match(sentence.text)
    return f"{match[1] or match[2] or ''} shave" if match else ""


def _has_more(parts: Sequence[Sentence]) -> bool:
    """Whether a report with one cavity shave has another specimen of the breast."""
    return any(_EXCISED.search(s.text) for s in parts)


def _starts_nodes(sentence: Sentence) -> bool:
    if not sentence.starts_line or sentence.section not in (Section.DIAGNOSIS, Section.BODY):
        return False
    match = _NODE_HEADING.match(sentence.text)
    heading = _heading(sentence.text)
    return bool(match) and is_node(heading) and bool(_TAKEN.search(heading))


def _own(sentence: Sentence) -> list[Laterality]:
    """List the sides that a sentence says of this specimen."""
    return list(dict.fromkeys(side for side, _ in present_sides(sentence.text)))


def _divided(sentence: Sentence) -> Iterator[Sentence]:
    """Divide a sentence about both sides where the second side begins."""
    found = sides_in(sentence.text)
    if len(_own(sentence)) < 2 or sentence.section not in TELLING:
        yield sentence
        return
    begin, last, first = 0, found[0][0], True
    for side, at in found[1:]:
        if side is last:
            continue
        cuts = list(_SPLIT.finditer(sentence.text, begin, at))
        if cuts:
            yield _part(sentence, begin, cuts[-1].start(), first)
            begin, first = cuts[-1].end(), False
        last = side
    yield _part(sentence, begin, len(sentence.text), first)


def _part(sentence: Sentence, begin: int, end: int, first: bool) -> Sentence:
    return replace(
        sentence,
        text=sentence.text[begin:end].strip(),
        starts_line=sentence.starts_line and first,
    )
