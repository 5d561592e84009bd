"""Coded concepts of structured reports (PS3.16 Annexes B and D)."""

from __future__ import annotations

from typing import Final, NamedTuple

from mammolens.core import Laterality, ViewPosition


class Code(NamedTuple):
    """A coded concept: its value, its coding scheme and its meaning."""

    value: str
    scheme: str
    meaning: str


def _dcm(value: str, meaning: str) -> Code:
    return Code(value, "DCM", meaning)


CAD_REPORT: Final = _dcm("111036", "Mammography CAD Report")
LANGUAGE: Final = _dcm("121049", "Language of Content Item and Descendants")
ENGLISH: Final = Code("en", "RFC5646", "English")

LIBRARY: Final = _dcm("111028", "Image Library")
IMAGE_LATERALITY: Final = _dcm("111027", "Image Laterality")
IMAGE_VIEW: Final = _dcm("111031", "Image View")
IMAGE_VIEW_MODIFIER: Final = _dcm("111032", "Image View Modifier")
ORIENTATION_ROW: Final = _dcm("111044", "Patient Orientation Row")
ORIENTATION_COLUMN: Final = _dcm("111043", "Patient Orientation Column")
STUDY_DATE: Final = _dcm("111060", "Study Date")
STUDY_TIME: Final = _dcm("111061", "Study Time")
CONTENT_DATE: Final = _dcm("111018", "Content Date")
CONTENT_TIME: Final = _dcm("111019", "Content Time")
SPACING_ACROSS: Final = _dcm("111026", "Horizontal Pixel Spacing")
SPACING_DOWN: Final = _dcm("111066", "Vertical Pixel Spacing")

SUMMARY: Final = _dcm("111017", "CAD Processing and Findings Summary")
ALL_WITHOUT: Final = _dcm("111241", "All algorithms succeeded; without findings")
ALL_WITH: Final = _dcm("111242", "All algorithms succeeded; with findings")
PART_WITHOUT: Final = _dcm("111243", "Not all algorithms succeeded; without findings")
PART_WITH: Final = _dcm("111244", "Not all algorithms succeeded; with findings")
NONE_SUCCEEDED: Final = _dcm("111245", "No algorithms succeeded; without findings")

IMPRESSION: Final = _dcm("111034", "Individual Impression/Recommendation")
DESCRIPTION: Final = _dcm("111033", "Impression Description")
IMPRESSION_CERTAINTY: Final = _dcm("111013", "Certainty of Impression")
ALGORITHM_NAME: Final = _dcm("111001", "Algorithm Name")
ALGORITHM_VERSION: Final = _dcm("111003", "Algorithm Version")
ALGORITHM_PARAMETERS: Final = _dcm("111002", "Algorithm Parameters")

INTENT: Final = _dcm("111056", "Rendering Intent")
REQUIRED: Final = _dcm("111150", "Presentation Required: Rendering device is expected to present")
OPTIONAL: Final = _dcm("111151", "Presentation Optional: Rendering device may present")
NOT_SHOWN: Final = _dcm("111152", "Not for Presentation: Rendering device expected not to present")

FINDING: Final = _dcm("111059", "Single Image Finding")
DENSITY: Final = Code("129793001", "SCT", "Mammography breast density")
COMPOSITION: Final = _dcm("111006", "Breast composition")
COMPOSITIONS: Final = {
    "a": Code("129716005", "SCT", "Almost entirely fat"),
    "b": Code("129717001", "SCT", "Scattered fibroglandular densities"),
    "c": Code("129718006", "SCT", "Heterogeneously dense"),
    "d": Code("129719003", "SCT", "Extremely dense"),
}
"""PS3.16 CID 6000."""
FINDING_CERTAINTY: Final = _dcm("111012", "Certainty of Finding")
PROBABILITY: Final = _dcm("111047", "Probability of cancer")
CENTRE: Final = _dcm("111010", "Center")
OUTLINE: Final = _dcm("111041", "Outline")

DETECTIONS: Final = _dcm("111064", "Summary of Detections")
ANALYSES: Final = _dcm("111065", "Summary of Analyses")
SUCCEEDED: Final = _dcm("111222", "Succeeded")
PARTLY: Final = _dcm("111223", "Partially Succeeded")
FAILED: Final = _dcm("111224", "Failed")
NOT_ATTEMPTED: Final = _dcm("111225", "Not Attempted")
SUCCESSFUL_DETECTIONS: Final = _dcm("111063", "Successful Detections")
FAILED_DETECTIONS: Final = _dcm("111025", "Failed Detections")
DETECTION: Final = _dcm("111022", "Detection Performed")

PERCENT: Final = Code("%", "UCUM", "Percent")
MICROMETRE: Final = Code("um", "UCUM", "micrometer")

MEASUREMENT_REPORT: Final = _dcm("126000", "Imaging Measurement Report")
MAMMOGRAPHY: Final = Code("71651007", "SCT", "Mammography")
BREAST: Final = Code("76752008", "SCT", "Breast")
LESION: Final = Code("52988006", "SCT", "Lesion")

BREASTS: Final = {
    Laterality.RIGHT: Code("73056007", "SCT", "Right breast"),
    Laterality.LEFT: Code("80248007", "SCT", "Left breast"),
}
"""CID 6022."""
SIDES: Final = {
    Laterality.RIGHT: Code("24028007", "SCT", "Right"),
    Laterality.LEFT: Code("7771000", "SCT", "Left"),
}
"""CID 244."""
VIEWS: Final = {
    ViewPosition.CC: Code("399162004", "SCT", "cranio-caudal"),
    ViewPosition.MLO: Code("399368009", "SCT", "medio-lateral oblique"),
    ViewPosition.ML: Code("399260004", "SCT", "medial-lateral"),
    ViewPosition.LM: Code("399352003", "SCT", "latero-medial"),
    ViewPosition.LMO: Code("399099002", "SCT", "latero-medial oblique"),
    ViewPosition.XCCL: Code("399192008", "SCT", "cranio-caudal exaggerated laterally"),
    ViewPosition.XCCM: Code("399101009", "SCT", "cranio-caudal exaggerated medially"),
    ViewPosition.FB: Code("399196006", "SCT", "caudo-cranial"),
    ViewPosition.SIO: Code("399188001", "SCT", "superolateral to inferomedial oblique"),
    ViewPosition.ISO: Code("441555000", "SCT", "inferomedial to superolateral oblique"),
}
"""CID 4014; CV and AT are modifiers there, so those views have no code of their own."""
