"""Refuse pictures that do not show the breast tissue of a patient.

Specimens, phantoms and test patterns: a code proves the subject, so an exam with such a picture can
still be ``low``. Free text is enough to refuse the picture but proves nothing. The name of a
patient can only give a doubt: a patient may be called Test.

Contrast mammography: each exposure gives two images. The low-energy image is read like a mammogram.
The other image is recombined from two energies, or subtracted, and shows only the contrast agent.
Devices describe them in different values of Image Type (GE ``DERIVED\\PRIMARY\\\\RECOMBINED``; the
standard ``SUBTRACTION`` in value 4 and ``LOW_ENERGY`` in value 5), in the processing code (GE
``GEMS_CESM_1``), or only in free text.

Source: PS3.3 C.8.11.7.1.4 (Image Type of mammography).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from mammolens.errors import NotAMammogram
from mammolens.images.descriptions import read_description, read_view_position
from mammolens.images.dicom.partial_views import PROCESSING_TEXT, SERIES_TEXTS, STUDY_TEXTS
from mammolens.images.dicom.tags import Tags
from mammolens.images.vocabulary import Topic

__all__ = ["contrast_refusal", "proven_subject", "subject_refusal"]

_SPECIMENS: Final = frozenset(
    (
        *("127457009", "G-8310", "119376003", "G-8300", "123038009", "G-8000", "430861001"),
        *("G-843A", "80865008", "P5-40030", "397199005", "G-8430", "122595009", "G-8311"),
        *("309547008", "G-833F", "309058007", "G-832D", "373102004", "R-003AC", "309546004"),
        *("G-833D", "309548003", "G-8346", "122738006", "G-8319", "122737001", "G-8318"),
        *("309059004", "G-8339", "122739003", "G-831B"),
    )
)
"""Tissue specimens, breast specimens and specimen radiography, in SNOMED CT and in SNOMED RT, which
it replaced: CID 4014, CID 8104, CID 6050."""
_PHANTOMS: Final = frozenset(("706342009", "R-FE0C7", "113681", "113684", "113685"))
"""Phantoms, in SNOMED CT, SNOMED RT and DCM: CID 4031, CID 4052."""
_CODED: Final = (
    *("ViewCodeSequence", "AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"),
)
"""Codes about one image; the codes of a procedure are about all of its images."""
_SUBJECTS: Final = frozenset((Topic.SPECIMEN, Topic.PHANTOM, Topic.QUALITY))
_LONG_NUMBER: Final = re.compile(r"\d{4}")
"""A patient ID with such a number is not a quality control image, even if it begins with QC or QA.
"""
_PLACEHOLDERS: Final = re.compile(
    r"z*(?:test|dummy|demo|muster)(?:pat|patient|person|frau|mann)?\d*",
    re.IGNORECASE,
)


def proven_subject(tags: Tags) -> str | None:
    """Describe a proven subject that is not a breast of a patient, and what proves it.

    Returns
    -------
    For example ``"a phantom, by BodyPartExamined"``; ``None`` if nothing is proven.
    """
    if tags.code("QualityControlImage") == "YES":
        return f"{Topic.QUALITY.value}, by QualityControlImage"
    part = read_description(tags.text("BodyPartExamined") or "").topics
    for topic in (Topic.PHANTOM, Topic.SPECIMEN):
        if topic in part:
            return f"{topic.value}, by BodyPartExamined"
    for keyword in _CODED:
        for value, _, _ in tags.codes(keyword):
            if value.upper() in _SPECIMENS:
                return f"{Topic.SPECIMEN.value}, by {keyword}"
            if value.upper() in _PHANTOMS:
                return f"{Topic.PHANTOM.value}, by {keyword}"
    if tags.items("SpecimenDescriptionSequence"):
        return f"{Topic.SPECIMEN.value}, by SpecimenDescriptionSequence"
    if tags.text("ContainerIdentifier"):
        return f"{Topic.SPECIMEN.value}, by ContainerIdentifier"
    return None


def subject_refusal(tags: Tags) -> NotAMammogram | None:
    """Refuse a picture that does not show a patient's breast; doubt an unclear one."""
    proven = proven_subject(tags)
    if proven is not None:
        what, _, keyword = proven.rpartition(", by ")
        return _refusal(tags, what, keyword)
    for keyword in _CODED:
        for _, _, meaning in tags.codes(keyword):
            if topics := read_description(meaning).topics & _SUBJECTS:
                return _refusal(tags, min(topics).value, keyword)
    for value in tags.texts("ViewPosition"):
        if topics := read_view_position(value).topics & _SUBJECTS:
            return _refusal(tags, min(topics).value, "ViewPosition")
    for keyword in (*SERIES_TEXTS, "ManufacturerModelName", "PaddleDescription"):
        if topics := read_description(tags.text(keyword) or "").topics & _SUBJECTS:
            return _refusal(tags, min(topics).value, keyword)
    return _by_patient(tags)


def _by_patient(tags: Tags) -> NotAMammogram | None:
    """Refuse a patient with the name of a phantom; doubt test names and texts about the study."""
    for keyword in ("PatientName", "PatientID"):
        text = "\\".join(tags.texts(keyword))
        topics = read_description(text).topics
        if Topic.PHANTOM in topics:
            return _refusal(tags, Topic.PHANTOM.value, keyword)
        if _is_placeholder(text) or (Topic.QUALITY in topics and not _LONG_NUMBER.search(text)):
            tags.doubt("test_patient", f"{keyword} may belong to a test, not to a patient")
    for keyword in SERIES_TEXTS:
        if _is_placeholder(tags.text(keyword) or ""):
            tags.doubt("subject_unclear", f"{keyword} says that this is a test")
    if tags.code("QualityControlImage") == "BOTH":
        tags.doubt("subject_unclear", "QualityControlImage says that a phantom is also shown")
    for keyword in STUDY_TEXTS:
        for topic in sorted(read_description(tags.text(keyword) or "").topics & _SUBJECTS):
            tags.doubt("subject_unclear", f"{keyword} says that this is {topic.value}")
    return None


def _is_placeholder(text: str) -> bool:
    """Return whether a part of a name, or a whole identifier, is a word for tests."""
    return any(_PLACEHOLDERS.fullmatch(part) for part in re.split(r"[\^=\s,\\]+", text))


def _refusal(tags: Tags, what: str, keyword: str) -> NotAMammogram:
    return NotAMammogram(
        f"this is {what}, not a breast of a patient",
        source=tags.source,
        keyword=keyword,
        remedy="Send images of patients",
    )


_RECOMBINED: Final = ("RECOMB", "SUBTR", "HIGH_EN", "HIGHEN", "ADDITION", "IODIN")
_LOW: Final = ("LOW_EN", "LOWEN")
"""First letters of values of Image Type that devices write, some of them shortened."""
HIGH_KVP: Final = 44.0
"""Mammograms are exposed with 22 to 42 kV, high-energy images with 45 to 49 kV."""
_NO_AGENT: Final = frozenset(("NO", "NONE", "N", "NEIN", "NON", "NA", "0", "WITHOUT", "OHNE"))
_HARD_FILTERS: Final = ("COPPER", "TITANIUM", "TIN", "CU", "TI", "SN")
"""Filters of high-energy exposures. Mammograms have filters of molybdenum, rhodium, aluminium or
silver."""
_PROCESSING: Final = (PROCESSING_TEXT, "DerivationDescription")
_TEXTS: Final = (*SERIES_TEXTS, *_PROCESSING)


def contrast_refusal(tags: Tags) -> NotAMammogram | None:
    """Refuse an image of contrast agent only; doubt an unclear image; note a low-energy image."""
    values = [value.upper().replace(" ", "_") for value in tags.texts("ImageType")]
    types = {topic for value in values for topic in read_description(value).topics}
    topics = {word: read_description(tags.text(word) or "").topics for word in _TEXTS}
    is_low = Topic.LOW_ENERGY in types or any(value.startswith(_LOW) for value in values)
    if Topic.RECOMBINED in types or any(value.startswith(_RECOMBINED) for value in values):
        return _recombined(tags, "ImageType")
    code = tags.code("AcquisitionDeviceProcessingCode") or ""
    if code.startswith("GEMS_CESM") and not is_low:
        return _recombined(tags, "AcquisitionDeviceProcessingCode")
    low_energy = [keyword for keyword, found in topics.items() if Topic.LOW_ENERGY in found]
    recombined = [keyword for keyword, found in topics.items() if Topic.RECOMBINED in found]
    if recombined and not is_low and not low_energy:
        return _recombined(tags, recombined[0])
    if recombined:
        text = f"{recombined[0]} mentions a recombined image, other attributes low energy"
        tags.doubt("contrast_unclear", text)
    elif is_low or low_energy:
        tags.caution("low_energy", "this is the low-energy image of a contrast mammogram")
    elif _filtered_hard(tags):
        return _recombined(tags, "FilterMaterial")
    elif max(tags.numbers("KVP"), default=0.0) >= HIGH_KVP:
        tags.doubt("contrast_unclear", "KVP is as high as for a high-energy exposure")
    elif (keyword := _contrast_sign(tags, {"ImageType": frozenset(types), **topics})) is not None:
        text = f"{keyword} mentions contrast, but the header does not say which image this is"
        tags.doubt("contrast_unclear", text)
    return None


def _filtered_hard(tags: Tags) -> bool:
    return any(material.upper() in _HARD_FILTERS for material in tags.texts("FilterMaterial"))


def _contrast_sign(tags: Tags, topics: Mapping[str, frozenset[Topic]]) -> str | None:
    """Keyword of the first attribute that mentions a contrast agent, or ``None``."""
    for keyword in ("ContrastBolusAgent", "ContrastBolusIngredient", "ContrastBolusRoute"):
        agent = tags.code(keyword)
        if agent is not None and agent.split()[0].strip("/.-") not in _NO_AGENT:
            return keyword
    if tags.holds("ContrastBolusAgentSequence"):
        return "ContrastBolusAgentSequence"
    for keyword, found in topics.items():
        # In texts about processing, "contrast" can mean the contrast of any image.
        if Topic.CEM in found or (Topic.CONTRAST in found and keyword not in _PROCESSING):
            return keyword
    for keyword in STUDY_TEXTS:
        if read_description(tags.text(keyword) or "").topics & {Topic.CEM, Topic.CONTRAST}:
            return keyword
    return None


def _recombined(tags: Tags, keyword: str) -> NotAMammogram:
    return NotAMammogram(
        f"this is {Topic.RECOMBINED.value}: it shows the contrast agent, not the breast tissue",
        source=tags.source,
        keyword=keyword,
        remedy="Send the low-energy images",
    )
