"""Contrast mammography: low-energy images are accepted, recombined images are refused.

Each exposure gives two images. The low-energy image is read like a mammogram. The other image is
recombined from two energies, or subtracted, and shows only the contrast agent. Devices describe
them in different values of Image Type (GE ``DERIVED\\PRIMARY\\\\RECOMBINED``; the standard
``SUBTRACTION`` in value 4 and ``LOW_ENERGY`` in value 5), in the processing code (GE
``GEMS_CESM_1``), or only in free text.

Source: PS3.3 C.8.11.7.1.4 (Image Type of mammography).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mammolens.errors import NotAMammogram
from mammolens.images.descriptions import read_description
from mammolens.images.dicom.partial_views import PROCESSING_TEXT, SERIES_TEXTS, STUDY_TEXTS
from mammolens.images.dicom.tags import Tags
from mammolens.images.vocabulary import Topic

__all__ = ["contrast_refusal"]

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
        return _refusal(tags, "ImageType")
    code = tags.code("AcquisitionDeviceProcessingCode") or ""
    if code.startswith("GEMS_CESM") and not is_low:
        return _refusal(tags, "AcquisitionDeviceProcessingCode")
    low_energy = [keyword for keyword, found in topics.items() if Topic.LOW_ENERGY in found]
    recombined = [keyword for keyword, found in topics.items() if Topic.RECOMBINED in found]
    if recombined and not is_low and not low_energy:
        return _refusal(tags, recombined[0])
    if recombined:
        text = f"{recombined[0]} mentions a recombined image, other attributes low energy"
        tags.doubt("contrast_unclear", text)
    elif is_low or low_energy:
        tags.caution("low_energy", "this is the low-energy image of a contrast mammogram")
    elif _filtered_hard(tags):
        return _refusal(tags, "FilterMaterial")
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


def _refusal(tags: Tags, keyword: str) -> NotAMammogram:
    return NotAMammogram(
        f"this is {Topic.RECOMBINED.value}: it shows the contrast agent, not the breast tissue",
        source=tags.source,
        keyword=keyword,
        remedy="Send the low-energy images",
    )
