"""Layouts and wordings of other writers: which specimens a report has, and what each one is."""

from __future__ import annotations

import pytest

from mammolens.pathology import Outcome, Property, read_text

PARTS = [
    (
        "Clinical: lump left breast. WLE + SNB\nMacroscopy\n1. 84 g, 80 x 70 mm.\n2. Two nodes.\n"
        "Microscopy\n1. Invasive ductal carcinoma, grade 2.\n2. No metastasis in two nodes (0/2).",
        ["invasive", "not breast"],
    ),
    (
        "Right breast\nGross: (a) 40 g fatty tissue (b) shaving 30x20 mm\n"
        "Micro: (a) DCIS, high grade, 12 mm (b) No DCIS, fibrocystic change.",
        ["in situ", "benign"],
    ),
    (
        "Specimen: right WLE and right SLNB\nMacro:\n1) WLE 60 g.\n2) SLNB: two nodes.\nDATASET\n"
        "Invasive carcinoma: present, NST, grade 3, 22 mm\nNodes: 1/2 positive",
        ["invasive", "not breast"],
    ),
    (
        "BREAST, LEFT, 3:00, CORE BIOPSY:\n- FIBROADENOMA.\nBREAST, LEFT, 9:00, CORE BIOPSY:\n"
        "- INVASIVE DUCTAL CARCINOMA.\nLYMPH NODE, LEFT AXILLA, CORE BIOPSY:\n- NEGATIVE.",
        ["benign", "invasive", "not breast"],
    ),
    (
        "1. LEFT BREAST CORE BIOPSY\nMACRO: 3 cores\nMICRO: invasive carcinoma\nB5b\n"
        "2. RIGHT BREAST CORE BIOPSY\nMACRO: 2 cores\nMICRO: usual hyperplasia\nB2",
        ["invasive", "benign"],
    ),
    (
        "Biopsy from left breast lump: IDC grade 2.\nBiopsy from left axillary node: metastatic "
        "carcinoma.",
        ["invasive", "not breast"],
    ),
    (
        "Lumpectomy Rt breast with axillary dissection\nImp: IDC gr 3, pT2N1. Nodes 2/12.",
        ["invasive", "not breast"],
    ),
    ("Site 1 (left, 2:00): fibroadenoma. Site 2 (left, 6:00): IDC.", ["benign", "invasive"]),
    (
        "Left breast excision\n1. High grade DCIS, 40 mm\n2. No invasion\n3. Margins: clear\n"
        "4. Sentinel nodes not sampled",
        ["in situ"],
    ),
    (
        "26/12 R breast core 14G. 45F, lump 20 mm, ?FA ?carcinoma.\nFibroadenoma. B2.",
        ["benign"],
    ),
    ("FNA left breast: C5, consistent with ductal carcinoma", ["malignant"]),
    ("FNA left breast: infiltrating duct carcinoma", ["invasive"]),
    ("Left core: it is impossible to say whether this is in situ or invasive. B5c", ["malignant"]),
    ("Left breast core: diffuse large B cell lymphoma, B5c", ["invasive"]),
    ("Left breast core: invasive ductal carcinoma. B5c", [None]),
    ("Left breast core: lymphoid infiltrate, lymphoma should be excluded", [None]),
    ("Left breast core: near complete pathological response", [None]),
    ("Left mastectomy: complete pathological response", ["benign"]),
    ("Left breast core: proliferative changes without atypia", ["benign"]),
    ("Left breast core: atypical apocrine adenosis, B3", ["high-risk"]),
    ("Left breast core: quantity not sufficient", ["unsatisfactory"]),
]


@pytest.mark.parametrize(("text", "outcomes"), PARTS)
def test_each_layout_gives_its_specimens(text: str, outcomes: list[str | None]) -> None:
    read = read_text(text).specimens
    assert [one.outcome.value if one.outcome else None for one in read] == outcomes


FIELDS = [
    ("Left WLE: IDC. ER - positive, PR - negative", Property.ER, "positive"),
    ("Left core: IDC grade 2. ER -, PR +", Property.ER, "negative"),
    ("Receptors on prior core: ER positive.\nLeft WLE: IDC grade 2", Property.ER, None),
    ("Left breast core: insufficient for diagnosis (B1)", Property.B_CODE, "B1"),
    ("Left breast core: fibroadenoma, no atypia, B2", Property.B_CODE, "B2"),
    ("Left core: lymphoma. B5b is not applicable; B5c", Property.B_CODE, "B5c"),
    ("Left axilla: Twenty-one nodes; metastases in three.", Property.NODES_EXAMINED, 21),
    ("Left axilla: Twenty-one nodes; metastases in three.", Property.NODES_POSITIVE, 3),
    ("Left sentinel node: CK AE1/3 negative, one node, benign.", Property.NODES_EXAMINED, 1),
    (
        "Method: FNA, 23G\nRight breast: C2. Advice: core",
        Property.PROCEDURE,
        "fine needle aspiration",
    ),
    ("Left breast core of nodule at the lumpectomy scar: scar.", Property.PROCEDURE, "core biopsy"),
    ("R|GHT BREAST CORE: Atypical ductal hyperp|asia. B3", Property.LATERALITY, "R"),
    ("FNA Ieft breast: fibroadenorna", Property.LATERALITY, "L"),
    ("Left core: fibroadenoma. Its edge can mimic carcinoma.", Property.OUTCOME, Outcome.BENIGN),
    ("Right core: radial scar, which may simulate carcinoma", Property.OUTCOME, Outcome.HIGH_RISK),
    (
        "Right mastectomy after NACT (AC-T) for grade 2 ductal carcinoma.\n"
        "Tumour bed: fibrosis. No residual carcinoma.",
        Property.OUTCOME,
        Outcome.BENIGN,
    ),
]


@pytest.mark.parametrize(("text", "kind", "value"), FIELDS)
def test_each_wording_gives_its_value(text: str, kind: Property, value: object) -> None:
    assert read_text(text).specimens[0].value(kind) == value


@pytest.mark.parametrize("word", ["9", "09", "\N{ARABIC-INDIC DIGIT NINE}"])
def test_nodes_are_counted_in_digits_of_any_form(word: str) -> None:
    text = f"Right axilla, clearance\nLymph nodes examined: {word}. No metastasis."
    (specimen,) = read_text(text).specimens
    assert specimen.value(Property.NODES_EXAMINED) == 9
