"""Decide whether a sentence affirms, denies, doubts or only mentions something.

The method is that of ConText (Harkema et al. 2009, doi:10.1016/j.jbi.2009.05.002): words such as
"no evidence of" or "cannot be excluded" have a direction and a scope, and the scope ends at words
such as "but". The words and scopes here are our own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

__all__ = ["OTHER_MATERIAL", "Assertion", "Context", "context_of"]


class Assertion(Enum):
    """How a sentence speaks about something, the strongest objection last."""

    AFFIRMED = 0
    DOUBTED = 1
    """Suspected, possible, or the sentence can be understood in two ways."""
    DENIED = 2
    HISTORICAL = 3
    """An earlier finding, or one of another place."""
    MENTIONED = 4
    """A risk, a definition, a question: nothing about the tissue."""


_BREAKS: Final = re.compile(
    r";|\bbut\b|\bhowever\b|\balthough\b|\bthough\b|\bexcept\b|\bapart from\b|\bother than\b|"
    r"\bonly\b|\bnow\b|\bcurrently\b|\bwhereas\b|\bwhile\b|\bbecause\b|\binstead\b|"
    r"\bin a background\b|\bbackground\b|\bwith residual\b|\bshows\b|\bshowing\b|\bcontains\b|"
    r"\bi am\b|(?<!whether )(?<!if )\bthis is\b|\bin my (?:view|opinion)\b|"
    r"\barising (?:in|within|from)\b|\bin (?:association|conjunction) with\b|\. "
)
_NO_SUBJECT: Final = re.compile(r"\b(?:neither|none|no|nor)\b[^,;:]{0,25}$")
"""The subject of "neither site contains carcinoma"."""
_NOT_SEEN: Final = (
    r"(?:identified|seen|present|found|detected|demonstrated|evident|observed|noted|apparent|"
    r"appreciated|recogni[sz]ed|visuali[sz]ed|encountered|shown|received|involved|included|"
    r"met|fulfilled|reached|satisfied|established|proven)"
)
_DOUBT_AFTER: Final = re.compile(
    r"(?:can ?not|can't|could not|couldn't|may not|not)(?: be)?(?: \w+ly)?(?: be)? "
    r"(?:\w+ly )?(?:excluded|ruled out|discounted|confirmed|determined|assured)|"
    r"\b(?:is|are|remains?|was) (?:strongly |highly |also )?(?:suspected|possible|favou?red|likely|"
    r"(?:a|of|the) (?:\w+ )?(?:concern|worry|consideration)|"
    r"probable|unlikely|questionable|uncertain|suspicious|not certain|not excluded|"
    r"a possibility|considered|in the differential)|\b(?:suspected|favou?red|unlikely)\b|"
    r"\(?\?\)?\s*[.)]?$|"
    r"\b(?:needs?|has|have|ought|remains?|should|must) (?:to )?be (?:\w+ly )?(?:excluded|"
    r"considered|ruled out|confirmed)|: ?(?:suspected|possible|probable|"
    r"equivocal|uncertain|indeterminate|suspicious|likely|cannot be \w+|"
    r"not certain)\b(?=\s*(?:$|[.,;)(]))|"
    r"difficult to exclude|hard to exclude|\b(?:may|might|could) have been\b|"
    r"\bconsidered\b(?! (?:to be|as|an?|the|benign|malignant)\b)"
)
_DOUBT_BEFORE: Final = re.compile(
    r"\bsuspicious\b(?: for| of)?|\bsuspicions?\b(?: for| of)?|\bsuspect(?:ed|s|ing)?\b|"
    r"\bsuggest(?:s|ed|ive|ing)?\b(?: of)?|\bpossibl[ey]\b|\bpossibility\b|\bprobabl[ey]\b|"
    r"\blikely\b|\bfavou?r(?:s|ed|ing)?\b|\bquer(?:y|ies)\b|(?<![a-z\d)])\?+|"
    r"\b(?:can ?not|can't|could not|unable to|does not|do not|did not|not|difficult to|hard to)"
    r"(?: \w+ly)? (?:exclude|rule out|discount)\b|\b(?:not|isn't|im) ?possible to (?:say|tell|"
    r"determine|decide|distinguish|know|state)\b|\brais(?:es?|ed|ing)\b.{0,24}?\b(?:of|for)\b|"
    r"\bconcern(?:ing|s)?\b(?: for| of)?|\bworr(?:isome|ying)\b(?: for)?|"
    r"\bworried (?:about|for|that)\b|"
    r"\bat least(?! ?(?:[\d.~>]|a\b|one\b|two\b|three\b|in part|(?:moderate|intermediate|low|high)"
    r"(?:ly)?\b|grade\b|pt\d))|\bequivocal\b(?: for)?|\bindeterminate\b(?: for)?|"
    r"\b(?:may|might|could)(?: \w+)? (?:represent|be|indicate|reflect)\b|\bdifferential\b|"
    r"\bversus\b|\bvs\b\.?|\bverging\b|\bborderline between\b|\bspectrum\b|"
    r"\bbordering\b|\bapproach(?:es|ing)\b|"
    r"\bwhether\b|\bundecided\b|"
    r"\buncertain (?:between|whether|about|if)\b|"
    r"\bresembl\w+|\breminiscent of\b|\bcytolog(?:y|ical features) of\b|"
    r"\bpresumed\b|\bpresumptive\b|\bsomewhat\b|\bin favou?r of\b|\bquestionable\b|\b\?"
)
_DENIED_BEFORE: Final = re.compile(
    r"\bno(?!\. ?\d|\.? of\b| \d|:)\b|\bwithout\b|\bnegative for\b|"
    r"\bfree (?:of|from)\b|\babsence of\b|\black(?:s|ing|ed)?\b(?: of)?|\bdevoid of\b|"
    r"\bfail(?:s|ed)? to\b|\brul(?:es?|ed|ing) out\b|\bexclud(?:es?|ed|ing)\b|"
    r"\bnever\b|\bnor\b|\bnothing\b|\bshort of\b|\binsufficient (?:\w+ )?(?:for|to)\b|"
    r"\bbelow the \w+ (?:for|of)\b|"
    r"\bneither\b|"
    r"\bnone (?:of|shows?|has|have|is|was|are|were|contains?)\b|"
    r"\bnot\b(?! only| completely| fully| entirely| just)|\bnil\b|\binstead of\b|"
    r"\brather than\b|\bneg for\b|\bdoesn't\b|\bisn't\b|\bmistaken for\b|\bmimic(?:s|king|ked)?\b|"
    r"\bsimulat(?:es?|ed|ing)\b|\babsent\b:?"
)
_DENIED_AFTER: Final = re.compile(
    r"(?:was|were|been) (?:\w+ ){0,2}?(?:looked|searched|sought) (?:for)?,? (?:and|but) (?:\w+ )?"
    r"(?:not|none)\b|"
    rf"\bnot (?:\w+ly )?(?:been )?{_NOT_SEEN}|[:=] ?(?:\(?-\)?$|(?:none|no|nil|absent|negative|neg|"
    r"n/a|na|n|0)(?=\s*(?:$|[.,;()])(?!\d)))|\b(?:is|are|was|were) (?:\w+ly )?absent\b|\babsent\b|"
    r"\b(?:is|are|was|were|has been|have been|been) (?:\w+ly )?(?:excluded|ruled out)\b|"
    r"\bruled out\b|\bnot applicable\b|\b(?:is|are) not (?:appropriate|warranted|indicated|"
    r"justified)\b|\bnone (?:identified|seen|present|found)\b|"
    r"\b(?:find|found|see|saw|seeing|finding) none\b|"
    r"(?<=[a-z]) - (?:none|no|absent|negative|not)(?=\s*(?:$|[.,;()]))|\bis negative\b(?! for)"
)
_HISTORY: Final = re.compile(
    r"\bhistory\b(?: of)?|\bh/o\b|\bhx\b|\bprevious(?:ly)?\b|\bprior\b(?! to)|\bpast\b|"
    r"\bknown\b|\bstatus post\b|\bs/p\b|\bdiagnosed (?:in|on|at|elsewhere|\d)|"
    r"\bin (?:19|20)\d\d\b|\b(?:year|month|week|day)s? (?:ago|earlier|before)\b|"
    r"\bearlier\b|\borig\b\.?|\boriginally\b|\boriginal (?:report|diagnosis)\b|\binitially\b|"
    r"\bbiopsy[- ]proven\b|\bchanged from\b|"
    r"\bcontralateral\b|\bother breast\b|\bopposite breast\b|\bcompared (?:to|with)\b|"
    r"\bmother\b|\bsister\b|\baunt\b|\bfamil(?:y|ial)\b|\bpre-?operative(?:ly)?\b|\btreated\b|"
    r"\binstead of\b|\bk/?c/?o\b|\b(?:provisional|preliminary) (?:verbal|report|diagnos|opinion|"
    r"result|categor)\w*|"
    r"\boutside (?:biops|report|hospital|slides?|diagnosis|core)\w*|\bbiopsy outside\b|"
    r"\bpre-?(?:nact|treatment|chemotherapy|therapy)\b|"
    r"\b(?:excision|mastectomy|lumpectomy|wle|resection|operation|surgery) for\b|"
    r"\b(?:neo-?adjuvant|nact?|chemotherapy|endocrine therapy)\b[^.;:]{0,60}? for\b|"
    r"\bpost[- ](?:lumpectomy|excision|mastectomy|surgery|wle|bct) for\b|"
    r"\b(?:after|following) (?:lumpectomy|excision|mastectomy|surgery|wle|core|biopsy) (?:for|"
    r"of)\b|"
    r"\bon (?:the )?initial\b"
)
_EARLIER_REPORT: Final = re.compile(
    r"(?:previous|prior|earlier|past|orig(?:inal|\.)?|outside|pre-?(?:nact|chemo\w*|treatment|operative))"
    r"(?: \w+){0,3}? (?:biops\w+|core|fna|"
    r"report|histology|specimens?|vab|excision|cytology|wle|lumpectomy|mastectomy|surgery)\b"
    r"[^:]{0,30}:"
)
OTHER_MATERIAL: Final = re.compile(
    r"\b(?:mother|sister|aunt|cousin|grandmother|daughter|father|brother)s?\b|"
    r"\bnot (?:been |yet been )?(?:sampled|biopsied|operated|part of|included)\b|"
    r"\b(?:was|were) not (?:received|submitted|sent)\b|"
    r"\b(?:done|performed|reported) (?:outside|elsewhere)\b|\bat (?:another|an outside) hospital\b|"
    r"\bicd\b|\b(?:c50|d05|c79|z\d\d)\.?\d{0,3}\b|"
    r"^you (?:were|asked|wondered|raised|considered|suspected|queried)\b|"
    r"\byour (?:\w+ )?(?:question|concern|query|suspicion)\b|"
    r"^(?:the|this) patient (?:is|has|had|was|takes|gives)\b|^clinical(?:ly)?\b"
)
"""A sentence about a relative, or about tissue that is not a part of this report."""
_CHANGED: Final = re.compile(
    r"\b(?:amended|changed|revised|corrected|altered|upgraded|downgraded|reclassified)\b"
    r"[^.;:]{0,20}?\bfrom\b(.{1,60}?)(?:->|\bto\b|\binto\b)"
)
"""The first value of a change "from B3 to B5a" is no longer valid."""
_ASIDE: Final = re.compile(r"\([^()]{1,200}\)")
_ELSEWHERE: Final = re.compile(
    r"\bon (?:\w+ )?(?:core|biopsy|fna|vab|mri|imaging)\b|\bat another\b|\belsewhere\b|\boutside\b|"
    r"\bclinical(?:ly)?\b|\bpost (?:lumpectomy|excision|wle|mastectomy)\b|"
    r"\b(?:after|following)\b"
)
"""Words of brackets that say what was known before this specimen."""
_HISTORY_AFTER: Final = re.compile(
    r"\b(?:diagnosed|proven|confirmed|reported|known) (?:on|at|by|in|from) (?:the |a )?(?:\w+ )?"
    r"(?:core|biopsy|fna|vab|imaging)\b|"
    r"\b(?:in|diagnosed in|excised in|removed in|treated in|since|,) (?:19|20)\d\d\b|"
    r"\b(?:year|month|week|day)s? (?:ago|earlier)\b|\bpreviously\b|"
    r"\b(?:is|are|was|has been|have been|should be|been)? ?(?:now|changed to|amended to|revised to|"
    r"corrected to|reclassified(?: as| to)?|upgraded to|downgraded to|replaced by)\b|"
    r"\bon (?:the )?(?:previous|prior|earlier|outside)\b|\bin error\b|\bby mistake\b|"
    r"\bclinically\b|\bby (?:clinical|palpation)\b"
)
_MENTION: Final = re.compile(
    r"\bto (?:exclude|rule out|r/o|look for|assess for|check for)\b|\brisks?\b(?: of|"
    r" for| factor)?|"
    r"\br/o\b|(?:^|[:(] ?)rule out\b|(?:^|[:(] ?)exclude\b|\bif\b|\brecommend(?:ed|s|ation)?\b|"
    r"\bshould\b|\bpredispos\w+|\bdefined\b|\bguidelines?\b|\bcriteria\b|\bscreening for\b|"
    r"\bsurveillance\b|\b(?:assess|evaluat|examin|search|test|look)(?:ed|ment|ation|"
    r"ing)? (?:\w+ly )?for\b(?!,? (?:and|but) (?:\w+ )?(?:not|none))|\bquestion of\b|"
    r"\bstain(?:s|ed|ing)? for\b|\bmay be associated\b|\bassociated with (?:an? )?(?:increased|"
    r"higher|elevated)\b|\bcolleague of\b|\bconcordant with\b|\bmeeting\b|"
    r"\b(?:radiolog\w+|clinical\w*|mammogra\w+|imaging|ultrasound|sonogra\w+|mri)"
    r" (?:\w+ ){0,2}?(?:suspic\w+|suspect\w*|concern\w*|worry|question)\b|"
    r"\bupgrade(?: rate| risk)?\b|"
    r"\bmdt\b|\bclassification of\b|\bdevelop(?:ing|ment)?\b|\bsubsequent\b|\bfuture\b"
)
_MASKED: Final = re.compile(
    r"(?:previous|prior|recent|old|earlier|known|original) (?:\w+ ){0,2}?(?:biops(?:y|"
    r"ies)|core|procedure|surgical|surgery|"
    r"excision|needle|fna|clip|operation|operative|lumpectomy)(?: \w+)? (?:site|cavity|tract|track|"
    r"changes?|scar|reaction|marker)s?|"
    r"breast (?:cancer )?screening(?: \w+)?|breast cancer (?:clinic|team|unit|cent(?:re|er)|mdt|"
    r"service|nurse|conference|meeting|service)|american (?:joint committee|cancer|society)[\w ]*|"
    r"(?:of )?(?:uncertain|unknown|low|intermediate) malignant potential|no special type|"
    r"(?:\w+ )?cancer (?:institute|cent(?:re|er)|hospital|unit|network|registry|research|society|"
    r"care|services?|clinic|team|trust|foundation|board|pathway|patients?)|pre-malignan\w+|"
    r"not otherwise specified|no\. of|not only|no change|no longer|"
    r"without doubt|no doubt|not just|not limited to|"
    r"(?:in )?(?:19|20)\d\d who|who (?:classification )?\(?(?:19|20)\d\d|original magnification"
)
"""Words that look like a trigger or a finding and are neither. Their letters become spaces."""
_AFFIRMING: Final = re.compile(r"\b(?:is|are|was|were) (?:also )?(?:present|seen|identified|noted)")
_QUANTIFIED: Final = re.compile(r"\d|\bgrade\b|\bfoc(?:us|al|i)\b")


@dataclass(frozen=True)
class Context:
    """A sentence with its words of doubt and denial, ready to judge any span of it.

    `text` is the sentence with misleading words blanked; spans of both are the same.
    """

    text: str
    whole: Assertion
    ranges: tuple[tuple[int, int, Assertion], ...]

    def judge(self, begin: int, end: int) -> Assertion:
        """Judge the span ``[begin, end)`` of the sentence."""
        found = [how for low, high, how in self.ranges if low <= begin and end <= high]
        return max([self.whole, *found], key=lambda how: how.value)


def context_of(sentence: str) -> Context:
    """Find the words of doubt, denial and history in a lower-case sentence.

    Examples
    --------
    >>> context = context_of("dcis but no invasive carcinoma")
    >>> context.judge(0, 4).name, context.judge(12, 30).name
    ('AFFIRMED', 'DENIED')
    """
    text = _MASKED.sub(_blank, sentence)
    ranges: list[tuple[int, int, Assertion]] = []
    breaks = [
        match.span()
        for match in _BREAKS.finditer(text)
        if not (match[0][:4] in ("show", "cont") and _NO_SUBJECT.search(text, 0, match.start()))
    ]
    taken = [False] * (len(text) + 1)
    for match in _DOUBT_AFTER.finditer(text):
        if _take(taken, match):
            ranges.append((_back(text, breaks, match.start()), match.start(), Assertion.DOUBTED))
    for match in _DOUBT_BEFORE.finditer(text):
        if _take(taken, match):
            ranges.append((match.end(), _end(text, breaks, match.end()), Assertion.DOUBTED))
            if match[0].startswith(("vs", "versus")):
                ranges.append(
                    (_back(text, breaks, match.start()), match.start(), Assertion.DOUBTED)
                )
    for match in _MENTION.finditer(text):
        if _take(taken, match):
            ranges.append((match.end(), _end(text, breaks, match.end()), Assertion.MENTIONED))
    for match in _DENIED_AFTER.finditer(text):
        if _take(taken, match):
            ranges += _denied_back(text, breaks, match.start())
    for match in _DENIED_BEFORE.finditer(text):
        if _take(taken, match):
            ranges += _denied_on(text, breaks, match.end())
    for match in _HISTORY_AFTER.finditer(text):
        ranges.append(
            (_back(text, breaks, match.start(), False), match.start(), Assertion.HISTORICAL)
        )
    for match in _HISTORY.finditer(text):
        end = _end(text, breaks, match.end())
        closed = _closing(text, match.end(), end)
        colon = text.find(":", match.end() + 2, end)
        if closed > 0 and (colon < 0 or colon < closed):
            ranges.append((match.end(), closed, Assertion.HISTORICAL))
        elif colon > 0 and match[0].endswith((" for", " of")):
            ranges.append((match.end(), colon, Assertion.HISTORICAL))
        elif colon < 0 or _EARLIER_REPORT.match(text[match.start() : colon + 1]):
            ranges.append((match.end(), end, Assertion.HISTORICAL))
        else:  # What follows may be the earlier finding or the present one.
            ranges.append((match.end(), colon, Assertion.HISTORICAL))
            ranges.append((colon, end, Assertion.DOUBTED))
    for match in _CHANGED.finditer(text):
        ranges.append((match.start(1), match.end(1), Assertion.HISTORICAL))
    for match in _ASIDE.finditer(text):
        if _ELSEWHERE.search(match[0]):
            ranges.append((match.start(), match.end(), Assertion.HISTORICAL))
    other = Assertion.HISTORICAL if OTHER_MATERIAL.search(text) else Assertion.AFFIRMED
    return Context(text, other, tuple(ranges))


def _closing(text: str, begin: int, end: int) -> int:
    """Give the end of the bracket that a word stands in, or that begins a quotation; else -1."""
    if text.rfind("(", max(0, begin - 200), begin) > text.rfind(")", max(0, begin - 200), begin):
        return text.find(")", begin, end)
    opened = text.find("(", begin, begin + 30)
    closed = text.find(")", opened, end) if opened >= 0 else -1
    return closed if text.find(":", opened, closed) >= 0 else -1


def _blank(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _take(taken: list[bool], match: re.Match[str]) -> bool:
    """Claim the letters of a trigger; false if a more specific trigger has them."""
    if any(taken[match.start() : match.end()]):
        return False
    taken[match.start() : match.end()] = [True] * (match.end() - match.start())
    return True


def _end(text: str, breaks: list[tuple[int, int]], begin: int) -> int:
    return next((low for low, _ in breaks if low >= begin), len(text))


def _back(text: str, breaks: list[tuple[int, int]], end: int, stop_at_comma: bool = True) -> int:
    begin = max((high for _, high in breaks if high <= end), default=0)
    if not stop_at_comma:
        return begin
    return max(begin, text.rfind(",", begin, end) + 1)


def _denied_on(
    text: str, breaks: list[tuple[int, int]], begin: int
) -> list[tuple[int, int, Assertion]]:
    """Give what a denial that stands before its object covers.

    The denial of "no atypia, DCIS or invasion" covers the list. Behind a comma without "or", the
    sentence can be understood in two ways.
    """
    end = _end(text, breaks, begin)
    comma = text.find(",", begin, end)
    first = end if comma < 0 else comma
    ranges = [(begin, first, Assertion.DENIED)]
    joined = text.find(" and ", begin, first)
    if joined >= 0 and _AFFIRMING.search(text, joined, first):
        ranges.append((begin, joined, Assertion.DENIED))
        ranges[0] = (joined, first, Assertion.DOUBTED)
    if first == end:
        return ranges
    rest = text[first:end]
    if re.match(r",? (?:with|and with|there is|there are)\b", rest):
        return ranges
    listed = (" or " in rest or " nor " in rest) and not _QUANTIFIED.search(rest)
    ranges.append((first, end, Assertion.DENIED if listed else Assertion.DOUBTED))
    return ranges


def _denied_back(
    text: str, breaks: list[tuple[int, int]], end: int
) -> list[tuple[int, int, Assertion]]:
    """Give what a denial that stands behind its object covers."""
    begin = _back(text, breaks, end)
    whole = _back(text, breaks, end, stop_at_comma=False)
    ranges = [(begin, end, Assertion.DENIED)]
    if whole < begin and " or " in text[begin:end]:
        ranges.append((whole, begin, Assertion.DOUBTED))
    return ranges
