"""The words of breast pathology: which pattern means which histology, and how bad it is.

Patterns look at lower-case, corrected text. Earlier patterns win where two overlap, so "ductal
carcinoma in situ" stands before "ductal carcinoma". Every repetition is bounded.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mammolens.pathology.values import Outcome

__all__ = ["CONCEPTS", "INVASIVE_TYPES", "IN_SITU_KINDS", "Concept", "normalise"]


class Concept(NamedTuple):
    """A pattern, the histology that it names ("" for none) and the outcome that it implies.

    `generic` marks a word such as "malignancy", which refers to a diagnosis named elsewhere.
    `outcome` is ``None`` for a word that needs a person if nothing else explains it.
    """

    pattern: re.Pattern[str]
    histology: str
    outcome: Outcome | None
    generic: bool = False


_NORMAL: Final = (
    (re.compile(r"\b(?:non|pre)[- ]?(?:invasive|infiltrating)\b"), "noninvasive"),
    (re.compile(r"\bin[- ]?situ\b"), "in situ"),
    (re.compile(r"\bw/o\b"), "without"),
    (re.compile(r"\bmicro[- ]?(?=inva)"), "micro"),
    (re.compile(r"\bd\.c\.i\.s\b\.?"), "dcis"),
    (re.compile(r"\bl\.c\.i\.s\b\.?"), "lcis"),
    (
        re.compile(
            r"\bcar?c?inom(?:ta|a)\b|\bcarc\b\.?|\bca\b(?!\.? ?[\d~<>+]|,? usa\b)\.?|\bcarcinom\b"
        ),
        "carcinoma",
    ),
    (
        re.compile(
            r"(?<!focally )(?<! is )\binfiltrative\b(?! (?:border|margin|edge|growth|patt))"
        ),
        "invasive",
    ),
    (re.compile(r"\binfilt\b\.?|\binv\b\.?|\binfiltr\b\.?"), "invasive"),
    (re.compile(r"\binfiltrating\b"), "invasive"),
    (re.compile(r"\bduct\b\.?(?= (?:carcinoma|ca\b|hyperplasia))"), "ductal"),
    (re.compile(r"\bduct\.(?= )"), "ductal"),
    (re.compile(r"\blob\.(?= )"), "lobular"),
    (re.compile(r"\btumor"), "tumour"),
    (re.compile(r"\bneoplasm\b"), "tumour"),
)


def normalise(text: str) -> str:
    """Give words with several spellings one spelling.

    Examples
    --------
    >>> normalise("non-invasive tumor; infilt. duct ca")
    'noninvasive tumour; invasive ductal carcinoma'
    """
    for pattern, word in _NORMAL:
        text = pattern.sub(word, text)
    return text


_GAP: Final = r"(?:[\w/+-]+[,)]? \(?){0,6}?"
_CANCER: Final = r"(?:carcinoma|adenocarcinoma|cancer|malignancy|component|disease|tumour)s?"
INVASIVE_TYPES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        (
            "mixed ductal lobular",
            r"ductal (?:and|/|&|-) ?lobular|mixed (?:ductal|type|nst|lobular)|"
            r"ductolobular|lobular and ductal|nst (?:and|/) lobular",
        ),
        ("micropapillary invasive", r"micropapillary"),
        (
            "ductal",
            r"\bductal\b(?! and lobular)|\bnst\b|\bnos\b|no special type|no specific type|"
            r"not otherwise specified|\bidc\b",
        ),
        ("lobular", r"\blobular\b|\bilc\b"),
        ("tubular", r"\btubular\b(?! (?:formation|differentiation|score))"),
        ("mucinous", r"\bmucinous\b|\bcolloid\b"),
        ("medullary", r"\bmedullary\b(?! (?:features|pattern|like))"),
        ("metaplastic", r"\bmetaplastic\b"),
        ("papillary invasive", r"\bpapillary\b"),
        ("cribriform invasive", r"\bcribriform\b"),
        ("apocrine invasive", r"\bapocrine\b"),
        ("adenoid cystic", r"\badenoid cystic\b"),
        ("inflammatory", r"\binflammatory\b"),
    )
)
_TYPED: Final = (
    r"(?:ductal|lobular|tubular|mucinous|colloid|medullary|metaplastic|cribriform|adenoid cystic|"
    r"mammary|micropapillary|apocrine|tubulolobular|secretory|inflammatory|scirrhous|"
    r"neuroendocrine)(?: \(\w+\))?"
)
IN_SITU_KINDS: Final = frozenset(
    ("dcis", "pleomorphic lcis", "encapsulated papillary", "solid papillary", "paget")
)


def _concepts() -> tuple[Concept, ...]:
    inv, situ, high, ben = Outcome.INVASIVE, Outcome.IN_SITU, Outcome.HIGH_RISK, Outcome.BENIGN
    rows: tuple[tuple[str, str, Outcome | None, bool], ...] = (
        # Not a diagnosis, though the words look like one.
        (
            r"(?:lympho ?-?vascular|vascular|lymphatic|perineural|angio|venous|"
            r"blood vessel|dermal|skin|"
         r"chest wall|muscle|nipple|"
         r"nodal|l?v)[- /]*(?:space )?(?:invasion|infiltration|emboli)|\blvi\b|"
            r"\bpni\b", "", None, True),
        (r"\bpt(?:is|x|0|[1-4][a-d]?(?:mi)?)\b", "", None, True),
        (
            r"lymph ?-?nod(?:e|es|al)[\w /(),]{0,40}(?:metasta[a-z]{1,4}|carcinoma|"
            r"malignan[a-z]{1,4})|"
         r"(?:metasta[a-z]{1,4}|carcinoma|"
         r"malignan[a-z]{1,4})[\w /(),]{0,40}(?:lymph )?nod(?:e|es|al)\b|"
         r"nodal metasta[a-z]{1,4}|extra ?nodal|macro ?-?metasta[a-z]{1,4}|"
         r"micro ?-?metasta[a-z]{1,4}",
         "", None, True),
        # In situ, before the invasive words that they contain.
        (r"\bmicropapillary dcis\b", "dcis", situ, False),
        (r"\b(?:pleomorphic|florid)[\w, -]{0,24}(?:lcis|lobular (?:carcinoma in situ|neoplasia))|"
         r"\b(?:lcis|lobular carcinoma in situ)[, (-]{1,3}(?:\w+ and )?(?:pleomorphic|"
         r"florid)(?: type| variant)?",
         "pleomorphic lcis", situ, False),
        (
            r"\bdcis\b|ductal (?:carcinoma )?in situ(?: carcinoma)?|"
            r"\bcomedo(?:-?carcinoma)?\b(?! ?-?necrosis| type)|"
         r"intra-?ductal (?:\w+ )?carcinoma|(?:ductal )?intraepithelial neoplasia (?:grade )?[23]|\bdin ?(?:1c|[23])\b|"
         r"noninvasive ductal carcinoma", "dcis", situ, False),
        (r"\blcis\b|\blisn\b|lobular (?:carcinoma )?in situ(?: neoplasia| carcinoma)?|\balh\b|"
         r"atypical lobular hyperplasia|lobular (?:intraepithelial )?neoplasia|\blin ?[123]?\b",
         "lobular neoplasia", high, False),
        (r"(?:encapsulated|intra-?cystic|encysted) papillary (?:carcinoma|tumour)",
         "encapsulated papillary", situ, False),
        (r"solid[- ]papillary carcinoma(?: in situ)?", "solid papillary", situ, False),
        (
            r"papillary carcinoma in situ|intraductal papillary carcinoma|"
            r"noninvasive (?:\w+ )?papillary carcinoma",
         "", situ, False),
        (r"\bpaget'?s?(?: disease)?\b", "paget", situ, False),
        (
            r"\bnoninvasive carcinoma|(?<!ductal )(?<!lobular )carcinoma in situ|"
            r"in situ (?:\w+ )?(?:carcinoma|disease|malignancy|component)|"
         r"\bpure in situ\b", "", situ, False),
        # Invasive.
        (r"\bmicroinvasi(?:on|ve)(?: (?:ductal |lobular )?carcinoma)?\b|\bmicroscopic invasion\b",
         "microinvasive", inv, False),
        (
            r"(?:malignant|high[- ]grade) (?:cystosarcoma )?phyll?odes(?: tumour)?|"
            r"phyll?odes tumour, malignant|"
         r"malignant phyll?odes", "malignant phyllodes", inv, False),
        (r"\b(?:angio|lipo|leiomyo|fibro|osteo|rhabdomyo)?sarcoma\b", "sarcoma", inv, False),
        (r"\blymphoma\b", "lymphoma", inv, False),
        (rf"\binvasive {_GAP}{_CANCER}\b", "invasive", inv, False),
        (r"\bidc\b(?:[- ]nst)?|\bilc\b|\bibc\b", "invasive", inv, False),
        (
            rf"\binvasive (?:\w+[ ,/-]{{1,2}}){{0,2}}?{_TYPED}\b(?! hyper| neopl|"
            rf" carcinoma in situ)", "invasive", inv, False),
        (rf"\b{_TYPED}(?: and lobular|"
            rf"/lobular)? (?:adeno)?carcinoma\b(?! in situ)", "invasive", inv, False),
        (r"\bmetaplastic (?:\w+ ){1,2}carcinoma\b", "invasive", inv, False),
        (r"\bcarcinoma,? (?:\(?of )?\(?(?:nst|nos|no special type|ductal type|lobular type)\b",
         "invasive", inv, False),
        (r"\bmetasta[a-z]{1,4} (?:to|in|from|of)\b[\w ]{0,30}|\bmetastatic (?:\w+ ){0,2}?"
         r"(?:carcinoma|melanoma|tumour|adenocarcinoma|disease)", "metastasis", inv, False),
        (r"\b(?:stromal |focal |foci of |focus of |early |frank |definite |true )+invasion\b|"
         r"\binvasion\b(?= (?:is|was) (?:present|seen|identified))|"
         r"\binvasive (?:focus|foci|growth|elements?|"
         r"islands?|nests|glands|malignan[a-z]{1,4})\b|\binvasion\b", "", inv, False),
        (
            r"(?<!border is )(?<!edge is )\binvasive\b(?! (?:border|margin|edge|front|growth pat))",
         "", inv, False),
        (r"papillary carcinoma|squamous cell carcinoma", "", Outcome.MALIGNANT, False),
        # High-risk.
        (r"\badh\b|\baidep\b|\bdin ?1b\b|atypical (?:intra-?)?ductal (?:epithelial )?(?:hyperplasia|"
            r"proliferation)|"
         r"atypical intraductal (?:\w+ )?proliferation|atypical epithelial proliferation|"
         r"ductal hyperplasia,? (?:with atypia|atypical)|atypical hyperplasia", "adh", high, False),
        (
            r"\bfea\b|flat epithelial atypia|columnar cell (?:change|lesion|"
            r"hyperplasia)s? with (?:\w+ )?atypia|"
         r"columnar cell atypia", "fea", high, False),
        (
            r"(?:radial |complex sclerosing |sclerosing )+(?:scar|"
            r"lesion)s?(?:/complex sclerosing lesion)?|\bcsl\b|radial sclerosing lesion",
         "radial scar", high, False),
        (
            r"\bpapillomas?\b|\bpapillomatosis\b(?<!juvenile )|papillary lesion|"
            r"intraductal papillary (?:lesion|tumour)",
         "papilloma", high, False),
        (r"\bphyll?odes\b(?: tumour)?|cellular fibroepithelial (?:lesion|"
            r"tumour)", "phyllodes", high, False),
        (r"fibroepithelial (?:lesion|tumour)", "", None, False),
        (r"mucoc[eo]+le[- ]?(?:like)?(?: lesion| tumour)?", "mucocele-like lesion", high, False),
        # Benign.
        (r"\bfibro-?adenom(?:a|as|atous|atoid)\b(?: hyperplasia|"
            r" change)?", "fibroadenoma", ben, False),
        (r"\bfibro ?-?cystic\b(?: change| changes| disease)?|\bfcc\b|\bfibro-?adenosis\b|"
         r"non-?proliferative (?:\w+ ){0,2}(?:changes?|disease)", "fibrocystic", ben, False),
        (
            r"\budh\b|\busual(?:[- ]type)? (?:ductal |epithelial )*hyperplasia|(?:florid |"
            r"mild |moderate |ductal |epithelial |simple |benign )+"
         r"hyperplasia(?: of (?:the )?usual type)?(?!,? (?:with atypia|atypical))|"
         r"\bhut\b|epitheliosis|hyperplasia of (?:the )?usual type",
         "usual hyperplasia", ben, False),
        (r"sclerosing adenosis|\badenosis\b", "sclerosing adenosis", ben, False),
        (r"fat necrosis|necrotic fat", "fat necrosis", ben, False),
        (r"duct(?:al)? ectasia|periductal mastitis", "duct ectasia", ben, False),
        (r"\bpash\b|pseudo-?angiomatous (?:stromal )?hyperplasia", "pash", ben, False),
        (
            r"\babscess\b|\bmastitis\b|inflammat(?:ion|ory change|ory infiltrate)|"
            r"granulation tissue|granuloma\w*",
         "abscess", ben, False),
        (
            r"\b(?:lactating|lactational|tubular|nipple|ductal) adenomas?\b|lactational change|"
            r"myofibroblastoma|\bha?emangioma\b|\b(?:\w+ )?fibrosis\b",
         "", ben, False),
        (
            r"mastopathy|\blobulitis\b|\bha?ematoma\b|\bseroma\b|\bgalactocele\b|\bamyloid\b|"
            r"collagenous spherulosis|nodular fasciitis|\b(?:accessory|ectopic) breast(?: tissue)?|"
            r"\batroph(?:ic|y of) (?:\w+ ){0,2}?(?:breast|lobul\w+|duct\w*|parenchyma)|"
            r"\blobular atrophy|proliferative (?:\w+ ){0,2}(?:changes?|disease),? without atypia|"
            r"(?<!near )(?<!near-)(?<!almost )(?:complete patholog\w+|patholog\w+ complete) "
            r"(?:\w+ )?response|"
            r"granular cell tumour|(?:secretory|lactating) change|foreign[- ]body|hypertrophy",
         "", ben, False),
        (r"\bhamartoma\b", "hamartoma", ben, False),
        (r"columnar cell (?:change|lesion|hyperplasia)s?", "columnar cell", ben, False),
        (r"apocrine (?:metaplasia|change|cysts?|cells)", "apocrine metaplasia", ben, False),
        (r"\bgyn(?:ae|e)comasti(?:a|oid)\b(?: hyperplasia)?", "gynaecomastia", ben, False),
        (r"intra-?mammary (?:lymph )?node", "lymph node benign", ben, False),
        (r"\b(?:angio)?lipoma\b", "lipoma", ben, False),
        (
            r"\b(?:surgical |post-?operative |dense |fibrous |"
            r"hypertrophic )?scar(?: tissue|ring)?\b|cicatri[xz]",
         "scar", ben, False),
        (r"\bcysts?\b|\bcystic changes?\b", "cyst", ben, False),
        (
            r"normal (?:\w+ ){0,2}?(?:breast|mammary|tissue|parenchyma|duct\w*|lobul\w*|"
            r"fibro\w*|skin|histology)\b|"
         r"(?:breast|mammary) (?:tissue|parenchyma) within normal limits|"
         r"unremarkable (?:\w+ ){0,2}?(?:breast|tissue|parenchyma|mammary)|"
         r"no (?:significant |specific )?(?:histo\w+ |patho\w+ |"
         r"diagnostic )?abnormalit\w+|no significant (?:pathology|abnormality)|"
         r"involutional|no (?:histo\w+ |patho\w+ )changes?\b|"
         r"without (?:\w+ )?abnormalit\w+|"
         r"fibro-?(?:fatty|adipose) (?:breast )?tissue|histologically normal|"
         r"normal\b(?= ?[.,;]|$)", "normal", ben, False),
        # Words for a diagnosis that is named elsewhere.
        (
            r"\b(?:carcinoma|adenocarcinoma|malignan(?:cy|t|cies)|cancer)s?\b(?: cells|"
            r" tumour| process)?|\bneoplastic cells\b",
         "", Outcome.MALIGNANT, True),
        (r"\btumour(?: cells)?\b", "", None, True),
        (
            r"\b(?:cells?|features?|areas?|changes?|foc(?:us|i)|appearances?) (?:\w+ ){0,2}?(?:is|are|"
            r"looks?|appears?) (?:\w+ )?(?:worr\w+|suspicious|concerning|atypical)\b|"
            r"\b(?:suspicious|worrying|worrisome) (?:cells?|features?|areas?|foc(?:us|i))\b",
         "", None, False),
        (r"\batypi(?:a|cal)\b(?: cells| proliferation| epitheli\w+)?", "", None, False),
        (r"\bbenign\b|\bnon-?neoplastic\b|\bnon-?malignant\b", "", ben, True),
    )  # fmt: skip
    return tuple(Concept(re.compile(p), name, out, gen) for p, name, out, gen in rows)


CONCEPTS: Final = _concepts()
