"""Specimens in every numbering style: each has its own outcome, or is unsure."""

from __future__ import annotations

import pytest

from mammolens.pathology import Outcome, Property, read_text

LABELS = [
    ("A.", "B.", "C."),
    ("A)", "B)", "C)"),
    ("(A)", "(B)", "(C)"),
    ("[A]", "[B]", "[C]"),
    ("A:", "B:", "C:"),
    ("A -", "B -", "C -"),
    ("A –", "B –", "C –"),
    ("A/", "B/", "C/"),
    ("A.)", "B.)", "C.)"),
    ("A  ", "B  ", "C  "),
    ("a.", "b.", "c."),
    ("a)", "b)", "c)"),
    ("1.", "2.", "3."),
    ("1)", "2)", "3)"),
    ("(1)", "(2)", "(3)"),
    ("1:", "2:", "3:"),
    ("1 -", "2 -", "3 -"),
    ("1.)", "2.)", "3.)"),
    ("#1", "#2", "#3"),
    ("#1:", "#2:", "#3:"),
    ("No. 1:", "No. 2:", "No. 3:"),
    ("Nr 1:", "Nr 2:", "Nr 3:"),
    ("I.", "II.", "III."),
    ("I:", "II:", "III:"),
    ("(i)", "(ii)", "(iii)"),
    ("i)", "ii)", "iii)"),
    ("①", "②", "③"),
    ("Specimen A:", "Specimen B:", "Specimen C:"),
    ("SPECIMEN 1 -", "SPECIMEN 2 -", "SPECIMEN 3 -"),
    ("Specimen #1:", "Specimen #2:", "Specimen #3:"),
    ("Specimen No 1.", "Specimen No 2.", "Specimen No 3."),
    ("Specimen (A):", "Specimen (B):", "Specimen (C):"),
    ("Part 1:", "Part 2:", "Part 3:"),
    ("PART A.", "PART B.", "PART C."),
    ("Pot 1:", "Pot 2:", "Pot 3:"),
    ("Jar A,", "Jar B,", "Jar C,"),
    ("Container 1:", "Container 2:", "Container 3:"),
    ("Vial I:", "Vial II:", "Vial III:"),
    ("Site 1:", "Site 2:", "Site 3:"),
    ("Sample 1 -", "Sample 2 -", "Sample 3 -"),
    ("First specimen:", "Second specimen:", "Third specimen:"),
    ("Specimen one:", "Specimen two:", "Specimen three:"),
    ("**A.**", "**B.**", "**C.**"),
    ("- A:", "- B:", "- C:"),
]
NOT_IN_A_LINE = ("#1", "First specimen:", "Specimen one:", "**A.**")
"""Labels that are not found within a line; the specimens are then unsure."""
LAYOUTS = {
    "in one line": (
        "{0} Right breast, core biopsy: fibroadenoma.\n"
        "{1} Left breast, core biopsy: invasive ductal carcinoma, grade 2.\n"
        "{2} Left axillary sentinel node: no metastasis (0/2)."
    ),
    "under a title": (
        "FINAL DIAGNOSIS\n\n{0} RIGHT BREAST, CORE BIOPSY:\n   - FIBROADENOMA.\n\n"
        "{1} LEFT BREAST, CORE BIOPSY:\n   - INVASIVE DUCTAL CARCINOMA, GRADE 2.\n\n"
        "{2} LEFT AXILLARY SENTINEL NODE:\n   - NO METASTASIS (0/2)."
    ),
    "listed before": (
        "Specimens:\n{0} Right breast core\n{1} Left breast core\n{2} Left sentinel node\n\n"
        "Diagnosis:\n{0} Fibroadenoma.\n{1} Invasive ductal carcinoma, grade 2.\n"
        "{2} No metastasis in two nodes (0/2)."
    ),
    "listed in a line": (
        "Specimens: {0} right breast core; {1} left breast core; {2} left sentinel node\n\n"
        "Report\n{0} Fibroadenoma.\n{1} Invasive ductal carcinoma, grade 2.\n"
        "{2} No metastasis (0/2)."
    ),
    "with macroscopy": (
        "Clinical: bilateral lumps\nNature of specimen\n{0} Right breast core biopsy\n"
        "{1} Left breast core biopsy\n{2} Left sentinel node\nMacroscopy\n{0} Three cores.\n"
        "{1} Four cores.\n{2} Two nodes.\nMicroscopy\n{0} Fibroadenoma. No malignancy.\n"
        "{1} Invasive ductal carcinoma, grade 2.\n{2} Two nodes without metastasis (0/2).\n"
    ),
    "label alone": (
        "{0}\nRight breast core biopsy\nFibroadenoma.\n{1}\nLeft breast core biopsy\n"
        "Invasive ductal carcinoma, grade 2.\n{2}\nLeft sentinel node\nNo metastasis (0/2)."
    ),
}
CASES = [
    (labels, layout)
    for labels in LABELS
    for layout in LAYOUTS
    if not (layout == "listed in a line" and labels[0] in NOT_IN_A_LINE)
]
"""All labels in all layouts: more than 250 reports with three specimens."""


@pytest.mark.parametrize(("labels", "layout"), CASES, ids=lambda one: str(one)[:20])
def test_each_specimen_has_its_outcome(labels: tuple[str, ...], layout: str) -> None:
    read = read_text(LAYOUTS[layout].format(*labels))
    assert [one.outcome for one in read.specimens] == [
        Outcome.BENIGN,
        Outcome.INVASIVE,
        Outcome.NOT_BREAST,
    ]
    assert [one.value(Property.LATERALITY) for one in read.specimens] == ["R", "L", "L"]
    assert read.specimens[1].value(Property.GRADE) == 2
    assert read.specimens[2].value(Property.NODES_EXAMINED) == 2


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels[0])
def test_announced_pots_need_no_place(labels: tuple[str, ...]) -> None:
    first, second, third = labels
    read = read_text(
        f"Left breast cores, three pots.\n{first} Fibroadenoma.\n"
        f"{second} Invasive ductal carcinoma.\n{third} Fat necrosis."
    )
    outcomes = [one.outcome for one in read.specimens]
    assert outcomes == [Outcome.BENIGN, Outcome.INVASIVE, Outcome.BENIGN]
    assert {one.value(Property.LATERALITY) for one in read.specimens} == {"L"}


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels[0])
def test_a_missing_label_makes_all_outcomes_unsure(labels: tuple[str, ...]) -> None:
    first, _, third = labels
    text = (
        f"{first} Right breast core: fibroadenoma.\nRight breast core: invasive carcinoma.\n"
        f"{third} Right breast core: fat necrosis."
    )
    assert not any(one.outcome for one in read_text(text).specimens)


PLAIN = [labels for labels in LABELS if len(labels[0].strip(".):([/- –]")) == 1]
"""Labels without a word; a label with a word always names a specimen."""


@pytest.mark.parametrize("labels", PLAIN, ids=lambda labels: labels[0])
def test_a_numbered_list_of_one_specimen_stays_together(labels: tuple[str, ...]) -> None:
    first, second, third = labels
    read = read_text(
        f"Left breast core:\n{first} Fibrocystic change.\n{second} Adenosis.\n{third} Cysts."
    )
    assert [one.outcome for one in read.specimens] == [Outcome.BENIGN]


PLACES = [
    ("Lesion at 2 o'clock right breast: {}.\nLesion at 9 o'clock right breast: {}.", "Cores.\n"),
    ("Right breast 9 o'clock core: {}. Right breast 3 o'clock core: {}.", ""),
    ("Mass 1, left breast UOQ, core: {}.\nMass 2, left breast LIQ, core: {}.", ""),
    ("Lesion A: {}. Lesion B: {}.", "Left breast cores. "),
    ("UOQ left breast core: {}.\nLIQ left breast core: {}.", ""),
    ("Medial lesion left breast core: {}.\nLateral lesion left breast core: {}.", ""),
    ("A) Rt breast\nB) Lt breast\nA: {}; B: {}.", ""),
    ("A - right breast core. B - left breast core.\nA shows {}. B shows {}.", ""),
    ("Specimens A & B: right and left breast cores. A: {}. B: {}.", ""),
    ("On the right side {}. On the left side {}.", "Core biopsies from both breasts. "),
]
DIAGNOSES = [
    ("invasive ductal carcinoma", Outcome.INVASIVE),
    ("fibroadenoma", Outcome.BENIGN),
    ("high grade DCIS", Outcome.IN_SITU),
    ("radial scar", Outcome.HIGH_RISK),
]


@pytest.mark.parametrize(("layout", "before"), PLACES)
def test_places_and_short_labels_divide_a_report(layout: str, before: str) -> None:
    for first, one in DIAGNOSES:
        for second, other in DIAGNOSES:
            read = read_text(before + layout.format(first, second))
            assert [found.outcome for found in read.specimens] == [one, other]


UNDIVIDED = [
    "Cores, pots 'L breast 3 o'clock' and 'L breast 9 o'clock'. The first is {}, the second {}.",
    "Left breast, 10 o'clock: {}\nLeft breast, 2 o'clock: {}",
    "Left breast cores. Two sites were sampled. Findings: {} and {}.",
    "Cores from both breasts. {} is seen, and {}.",
    "Left breast core, superficial: {}.\nLeft breast core, deep: {}.",
]


@pytest.mark.parametrize("text", UNDIVIDED)
def test_what_may_be_two_specimens_is_unsure(text: str) -> None:
    read = read_text(text.format("fibroadenoma", "invasive carcinoma"))
    assert [found.outcome for found in read.specimens] == [None]


NODES = [
    "Left WLE and SLNB.\nWLE: invasive ductal carcinoma.\nSLNB: {}",
    "Specimen: left lumpectomy + sentinel LN\nLumpectomy: IDC\nSentinel LN: {}",
    "LEFT BREAST, LUMPECTOMY:\nIDC\n\nSENTINEL LYMPH NODE #1, LEFT AXILLA, EXCISION:\n{}",
    "Left breast WLE\nDiagnosis\nInvasive ductal carcinoma.\nSentinel lymph nodes (n=2): {}",
    "1 Left breast WLE: IDC\n2 Left axillary LN excision: {}",
]


@pytest.mark.parametrize("layout", NODES)
@pytest.mark.parametrize("result", ["negative (0/2)", "no metastasis in 2 nodes (0/2)", "0/2"])
def test_nodes_are_a_specimen_of_their_own(layout: str, result: str) -> None:
    breast, nodes = read_text(layout.format(result)).specimens
    assert (breast.outcome, nodes.outcome) == (Outcome.INVASIVE, Outcome.NOT_BREAST)
    assert nodes.value(Property.NODES_EXAMINED) == 2
    assert nodes.value(Property.NODES_POSITIVE) == 0


FOLDED = [
    "Clinical details: lump in the left breast, ?carcinoma, mother had breast cancer. Specimens: "
    "A. Right breast core. B. Left breast core. Macroscopy: A. Three cores. B. Four cores. "
    "Diagnosis: A. {}. B. {}.",
    "CLINICAL HISTORY: Screening recall, BI-RADS 5, suspicious for carcinoma. DIAGNOSIS 1. Right "
    "breast, core biopsy: {}. 2. Left breast, core biopsy: {}.",
]


@pytest.mark.parametrize("text", FOLDED)
def test_a_text_without_line_breaks_is_divided(text: str) -> None:
    for first, one in DIAGNOSES:
        for second, other in DIAGNOSES:
            first, second = first[0].upper() + first[1:], second[0].upper() + second[1:]
            read = read_text(text.format(first, second))
            assert [found.outcome for found in read.specimens] == [one, other]
            assert [found.value(Property.LATERALITY) for found in read.specimens] == ["R", "L"]


BROKEN = [
    "- SCLEROSING ADENOSIS; NO IN SITU\nOR INVASIVE CARCINOMA SEEN.",
    "- FAT NECROSIS, NO RESIDUAL OR RECURRENT\nCARCINOMA.",
    "- FIBROADENOMA WITHOUT EVIDENCE OF\nMALIGNANCY.",
    "- FIBROADENOMA. NEGATIVE FOR ATYPIA\nAND MALIGNANCY.",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_line_keeps_its_denial(text: str) -> None:
    read = read_text(f"DIAGNOSIS:\nA. RIGHT BREAST, CORE BIOPSY:\n  {text}")
    assert [found.outcome for found in read.specimens] == [Outcome.BENIGN]


def test_the_side_of_an_earlier_operation_is_not_taken() -> None:
    read = read_text(
        "Clinical: Left mastectomy for lobular carcinoma 2009. Ultrasound guided biopsy.\n"
        "Diagnosis: Radial scar."
    )
    assert [found.value(Property.LATERALITY) for found in read.specimens] == [None]
