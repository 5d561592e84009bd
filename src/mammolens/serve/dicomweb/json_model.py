"""Data sets in the DICOM JSON Model, one attribute at a time.

An attribute that cannot be put into JSON stands there without a value: the rest of the header is
still of use, and a value is never guessed.

Source: PS3.18 annex F.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from mammolens.images.dicom import WholeHeader, quiet_pydicom

__all__ = ["CHARSET", "UTF_8", "Attributes", "header_json"]

Attributes = dict[str, Any]
"""Attributes of the DICOM JSON Model by their tags, eight hexadecimal digits."""
CHARSET: Final = "00080005"
UTF_8: Final[Attributes] = {"vr": "CS", "Value": ["ISO_IR 192"]}
_DEFAULT_VRS: Final = {0x7FE00010: "OW", 0x7FE00008: "OF", 0x7FE00009: "OD"}


def header_json(header: WholeHeader, address: Callable[[int], str] | None) -> Attributes:
    """Give the attributes of a header.

    Parameters
    ----------
    address
        Where a large value (tag) can be read; ``None`` leaves large values out.
    """
    found: Attributes = {}
    dataset = header.dataset
    with quiet_pydicom():
        for tag in list(dataset.keys()):
            if tag.group == 2 or tag.element == 0:
                continue  # of the file, not of the object (PS3.18 F.2.1)
            found[f"{tag:08X}"] = _attribute(dataset, tag)
    if CHARSET in found or not str(found).isascii():
        found[CHARSET] = UTF_8
    if address is not None:
        places = [*header.large.values(), *([header.pixels] if header.pixels else [])]
        for place in places:
            vr = place.vr or _vr_of(place.tag)
            found[f"{place.tag:08X}"] = {"vr": vr, "BulkDataURI": address(place.tag)}
    return dict(sorted(found.items()))


def _attribute(dataset: Any, tag: Any) -> Attributes:
    try:
        element = dataset[tag]
    except Exception:
        return {"vr": _raw_vr(dataset, tag)}
    try:
        made = element.to_json_dict(None, 1 << 31)
        return _finite(made)  # type: ignore[no-any-return]
    except Exception:
        return {"vr": str(element.VR)}


def _raw_vr(dataset: Any, tag: Any) -> str:
    raw = dataset.get_item(tag)
    return str(getattr(raw, "VR", None) or _vr_of(tag))


def _vr_of(tag: int) -> str:
    from pydicom.datadict import dictionary_VR

    if tag in _DEFAULT_VRS:
        return _DEFAULT_VRS[tag]
    try:
        return dictionary_VR(tag).partition(" ")[0]
    except KeyError:
        return "UN"


def _finite(value: Any) -> Any:
    """Give a value without numbers that JSON does not have (PS3.18 F.2.3)."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        # What could not be decoded may have left halves of characters.
        return value.encode("utf-8", "replace").decode()
    return value
