"""Wordings of diagnoses by other writers: history, doubts, other tissue, unsatisfactory samples."""

from __future__ import annotations

import pytest

from mammolens.pathology import Outcome, read_text

OUTCOMES: dict[Outcome | None, list[str]] = {
    Outcome.BENIGN: [
        "Left WLE (B5b on core). No residual carcinoma. Fibrosis and fat necrosis.",
        (
            "Previous core: DCIS, B5a.\n\nLeft breast wire-guided excision: no residual DCIS. "
            "Fat necrosis."
        ),
        (
            "Left breast excision for DCIS diagnosed on core biopsy. Histology: biopsy site "
            "changes only, no residual in situ or invasive carcinoma."
        ),
        (
            "K/c/o carcinoma left breast post NACT.\nSpecimen: left mastectomy\nDiagnosis: No "
            "residual tumour. Complete pathological response. ypT0 ypN0."
        ),
        (
            "Indication: BI-RADS 5 mass, suspicious for malignancy.\nDiagnosis: Left breast "
            "core: fat necrosis."
        ),
        (
            "Clinical diagnosis: carcinoma left breast\nHistological diagnosis: granulomatous "
            "mastitis"
        ),
        "?carcinoma left breast\n\nLeft breast core biopsy: fibroadenoma, B2",
        "Query malignancy.\n\nDIAGNOSIS\nLeft breast core biopsy: fibroadenoma",
        (
            "Family history: mother breast cancer at 40, sister DCIS.\nRight breast core: "
            "usual ductal hyperplasia."
        ),
        (
            "S/P lumpectomy for invasive carcinoma, now with a scar.\nLeft breast excision: "
            "scar tissue and foreign body reaction. Negative for recurrence."
        ),
        (
            "Right breast, core: Radiology: highly suspicious (M5). Histology: fat necrosis "
            "with calcification."
        ),
        "Left breast core: Calcium phosphate (Ca++) in fibrocystic change. Ca2+ seen.",
        (
            "Left breast core: chronic inflammation with granulomas, tuberculosis is likely. "
            "No malignancy."
        ),
        "Left breast core: reactive lymphoid tissue, no lymphoma. Mastitis.",
        "Left breast core: gynaecomastia. No malignancy.",
        "Left breast core: lactational change / lactating adenoma",
        "Left breast core: tubular adenoma. No malignancy.",
        "Left breast core: myofibroblastoma",
        "Left breast core: benign breast lobules and stroma.",
        "Left breast core: stromal fibrosis and duct ectasia",
        "Left breast, capsulectomy: fibrous capsule with silicone granuloma. No malignancy.",
    ],
    Outcome.INVASIVE: [
        (
            "K/c/o carcinoma left breast post NACT.\nSpecimen: left mastectomy\nDiagnosis: "
            "Residual invasive ductal carcinoma, 12 mm."
        ),
        (
            "Right breast core. Patient with previous left DCIS.\nInvasive lobular carcinoma, "
            "grade 2."
        ),
        "Left breast core: invasive carcinoma, probably ductal NST, provisional grade 2.",
        "Left breast core: invasive carcinoma; lymphovascular invasion is suspected.",
        "Left breast core: invasive ductal carcinoma, at least 8 mm, with possible DCIS.",
        "Left breast core: INVASIVE CARCINOMA, favor lobular type.",
        "Left breast core: Infiltrating mammary carcinoma.",
        "Left breast core: adenocarcinoma of breast, infiltrative.",
        "Left breast core: ductal carcinoma NST grade II.",
        (
            "Left breast, mastectomy: Type: NST. Invasive component: yes, 22 mm. DCIS "
            "component: yes."
        ),
        (
            "Tumour type: Invasive carcinoma\nLaterality: Left\nSize: 22 mm\nGrade: "
            "3\nProcedure: wide local excision"
        ),
        "Breast, left, core: carcinoma with ductal and lobular features, infiltrating, G2",
        ("Left breast core: malignant tumour with infiltrating cords of cells, lobular carcinoma."),
        "Left breast core: angiosarcoma",
        "Left breast core: diffuse large B cell lymphoma",
        "Left breast core: metastatic melanoma",
    ],
    Outcome.IN_SITU: [
        (
            "Pre-chemotherapy biopsy: invasive ductal carcinoma grade 3, ER negative.\nLeft "
            "WLE: residual high grade DCIS 9 mm. No residual invasive carcinoma."
        ),
        "Left breast core: DCIS, at least intermediate grade, no invasion.",
        "Left breast core: DCIS. I looked for invasion and found none.",
        (
            "Histologic type: Ductal carcinoma in situ\nInvasive carcinoma: Not "
            "identified\nLaterality: Right\nProcedure: excision"
        ),
        "[x] DCIS  [ ] invasive carcinoma  [ ] LCIS\nSide: left, core biopsy",
        "Left breast: intraductal carcinoma, cribriform. Stroma free.",
    ],
    Outcome.HIGH_RISK: [
        (
            "Outside diagnosis: DCIS, right breast.\nReview diagnosis: Right breast core: "
            "atypical ductal hyperplasia, short of DCIS."
        ),
        "Left breast core: B3 - lesion of uncertain malignant potential. Radial scar.",
        "Left breast core: flat epithelial atypia, amounting to B3b.",
        (
            "Left breast core: intraductal papilloma without atypia. The possibility of "
            "upgrade should be discussed. B3."
        ),
        "Left breast core: lobular carcinoma in situ, classic type.",
        "Left breast core: CSL with UDH, B3a",
        "Left breast core: phyllodes tumour, benign",
    ],
    None: [
        (
            "Left breast core: Atypical epithelial proliferation, in keeping with at least "
            "ADH, DCIS is favoured. B4."
        ),
        "Left breast core: Highly atypical cells, B4, suspicious of invasive carcinoma.",
        "Left breast core: Spindle cell lesion; metaplastic carcinoma needs to be excluded.",
        "Left breast core: scant material, a few atypical cells. Malignancy is a concern.",
        "Left breast core: DCIS with an area where early invasion is suspected.",
        "Left breast core: DCIS. Microinvasion cannot be entirely excluded.",
        (
            "Left breast core: Fibroepithelial lesion with increased mitoses; malignant "
            "phyllodes tumour is not excluded."
        ),
        "Left breast FNA: C4, suspicious for malignancy.",
        "Left breast FNA: C3, atypia probably benign.",
        "Left breast core: differential diagnosis includes ADH and low-grade DCIS.",
        "Left breast core: borderline between ADH and DCIS.",
        "Left breast core: No definite malignancy, but a few cells are worrying.",
    ],
    Outcome.MALIGNANT: [
        "Left breast FNA: malignant cells present, C5.",
    ],
    Outcome.NOT_BREAST: [
        "Right axillary lymph node, core biopsy: metastatic carcinoma.",
        "FNA right axillary node: reactive.",
        "Skin of left chest wall, punch: recurrent carcinoma in dermis.",
        "Liver, core biopsy: metastatic carcinoma consistent with breast primary.",
        "Left axilla, skin tag: benign fibroepithelial polyp.",
        "Left supraclavicular node FNA: metastatic adenocarcinoma.",
        "Bone marrow trephine: metastatic carcinoma.",
        "Endometrium, curettage: proliferative.",
    ],
    Outcome.UNSATISFACTORY: [
        "Left breast FNA: C1, blood only.",
        "Right breast core: fat only; no epithelium. Not representative of the lesion.",
        "Right breast core biopsy: the tissue is crushed and cannot be assessed.",
        "Left breast core: Insufficient material.",
        "Left breast aspirate: scant blood, no epithelial cells, non-diagnostic.",
    ],
}
"""Reports of one specimen by their outcome; ``None`` is unsure."""


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_an_outcome_has_many_wordings(outcome: Outcome | None) -> None:
    for text in OUTCOMES[outcome]:
        assert [one.outcome for one in read_text(text).specimens] == [outcome], text


SAFE = [
    "Clinical: known left breast cancer 2015. Right breast core biopsy: fibroadenoma.",
    "Right breast core 2 o'clock. Hx of left breast IDC 2018.\nFibrocystic change. No atypia.",
    "Left breast core: fibroadenoma. Malignancy was suspected clinically.",
    "Left breast core: Fibroadenoma. The radiological suspicion of malignancy is not confirmed.",
    "Left breast excision (core: papilloma, DCIS could not be excluded): papilloma. No DCIS.",
]


@pytest.mark.parametrize("text", SAFE)
def test_a_difficult_history_is_never_a_malignancy(text: str) -> None:
    allowed = (None, Outcome.BENIGN, Outcome.HIGH_RISK)
    assert all(one.outcome in allowed for one in read_text(text).specimens)
