"""Check the installation: what is installed and what works, with a fix for each fault.

Each DICOM transfer syntax is tested: a small mammogram is written in it and read with `read_image`,
as every exam is.
"""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mammolens import __version__
from mammolens.errors import MammolensError
from mammolens.extras import EXTRAS, install_words, missing_modules

__all__ = ["SYNTAXES", "Check", "Health", "examine", "examine_syntax"]

OLDEST_PYTHON: Final = (3, 11)
_DICOM: Final = "1.2.840.10008.1.2"

SYNTAXES: Final = {
    _DICOM: "Implicit VR Little Endian",
    f"{_DICOM}.1": "Explicit VR Little Endian",
    f"{_DICOM}.1.99": "Deflated Explicit VR Little Endian",
    f"{_DICOM}.2": "Explicit VR Big Endian",
    f"{_DICOM}.5": "RLE Lossless",
    f"{_DICOM}.4.50": "JPEG Baseline, 8 bit",
    f"{_DICOM}.4.51": "JPEG Extended, 12 bit",
    f"{_DICOM}.4.57": "JPEG Lossless",
    f"{_DICOM}.4.70": "JPEG Lossless, first-order prediction",
    f"{_DICOM}.4.80": "JPEG-LS Lossless",
    f"{_DICOM}.4.81": "JPEG-LS Near-lossless",
    f"{_DICOM}.4.90": "JPEG 2000 Lossless",
    f"{_DICOM}.4.91": "JPEG 2000",
    f"{_DICOM}.4.201": "High-Throughput JPEG 2000 Lossless",
    f"{_DICOM}.4.202": "High-Throughput JPEG 2000 Lossless RPCL",
    f"{_DICOM}.4.203": "High-Throughput JPEG 2000",
}
"""Transfer syntax UID (PS3.6 table A-1) → name; all of them must work."""

_LOSSY_ERROR: Final = 48
"""Largest allowed difference of a lossy frame of 12 bits (4,096 grey values). Chosen by hand."""


class Health(str, Enum):
    """Whether something works; a missing optional part is not a fault."""

    OK = "ok"
    OPTIONAL = "optional"
    LACKING = "lacking"


@dataclass(frozen=True)
class Check:
    """The result of one check: its name, health and details, and the fix if one is needed."""

    name: str
    health: Health
    detail: str
    fix: str = ""


def examine() -> Iterator[Check]:
    """Run all checks, in the order in which the parts are needed."""
    yield _python()
    yield Check("mammolens", Health.OK, __version__)
    for uid in SYNTAXES:
        yield examine_syntax(uid)
    yield _providers()
    yield from _models()
    yield from map(_extra, EXTRAS)


def examine_syntax(uid: str) -> Check:
    """Write a small mammogram in a transfer syntax, and read it back."""
    name = f"{SYNTAXES[uid]} ({uid})"
    fix = "Run: pip install --force-reinstall imagecodecs"
    try:
        from mammolens.images import read_image

        wanted = _picture(uid)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "frame.dcm")
            _write(wanted, uid, path)
            found = read_image(path).pixels
        error = int(np.abs(found.astype(np.int64) - wanted).max())
    except (MammolensError, ImportError, OSError, RuntimeError, ValueError) as failure:
        return Check(name, Health.LACKING, f"a test frame failed: {failure}", fix)
    if error > (_LOSSY_ERROR if uid in _LOSSY else 0):
        return Check(name, Health.LACKING, f"a test frame came back wrong by {error}", fix)
    return Check(name, Health.OK, "a test frame was read back")


_LOSSY: Final = {f"{_DICOM}.4.{n}" for n in (50, 51, 81, 91, 203)}


def _picture(uid: str) -> npt.NDArray[np.unsignedinteger]:
    """Make a smooth picture (96, 80): 8 bits for baseline JPEG, otherwise 12."""
    picture = np.add.outer(np.arange(96) * 31, np.arange(80) * 13).astype(np.uint16)
    return (picture >> 4).astype(np.uint8) if uid.endswith(".4.50") else picture


def _write(picture: npt.NDArray[np.unsignedinteger], uid: str, path: Path) -> None:
    from pydicom.dataset import Dataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import (
        UID,
        DigitalMammographyXRayImageStorageForPresentation,
        ExplicitVRLittleEndian,
        generate_uid,
    )

    dataset = Dataset()
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, keyword, generate_uid())
    dataset.Modality, dataset.PatientID = "MG", "test"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageLaterality, dataset.ViewPosition = "L", "CC"
    dataset.BodyPartExamined = "BREAST"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    bits = 8 if picture.dtype.itemsize == 1 else 12
    dataset.set_pixel_data(picture, "MONOCHROME2", bits, generate_instance_uid=False)
    if uid == f"{_DICOM}.5":
        dataset.compress(uid, encoding_plugin="pydicom", generate_instance_uid=False)
    elif uid in _ENCODERS:
        dataset.PixelData = encapsulate([_ENCODERS[uid](picture)])
        dataset["PixelData"].VR = "OB"
    elif uid == f"{_DICOM}.2":
        dataset.PixelData = picture.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = UID(uid)
    dataset.save_as(path, enforce_file_format=True)


def _encode(codec: str, **options: object) -> Callable[[npt.NDArray[np.unsignedinteger]], bytes]:
    def encode(picture: npt.NDArray[np.unsignedinteger]) -> bytes:
        import imagecodecs

        data: bytes = getattr(imagecodecs, f"{codec}_encode")(picture, **options)
        return data

    return encode


_ENCODERS: Final = {
    f"{_DICOM}.4.50": _encode("jpeg", level=100),
    f"{_DICOM}.4.51": _encode("jpeg", level=100, bitspersample=12),
    f"{_DICOM}.4.57": _encode("jpeg", lossless=True, bitspersample=12),
    f"{_DICOM}.4.70": _encode("jpeg", lossless=True, bitspersample=12),
    f"{_DICOM}.4.80": _encode("jpegls"),
    f"{_DICOM}.4.81": _encode("jpegls", level=2),
    f"{_DICOM}.4.90": _encode("jpeg2k", codecformat="J2K", reversible=True, level=0),
    f"{_DICOM}.4.91": _encode("jpeg2k", codecformat="J2K", level=90),
    f"{_DICOM}.4.201": _encode("htj2k"),
    f"{_DICOM}.4.202": _encode("htj2k"),
    f"{_DICOM}.4.203": _encode("htj2k"),
}


def _python() -> Check:
    health = Health.OK if sys.version_info >= OLDEST_PYTHON else Health.LACKING
    fix = "" if health is Health.OK else "Install Python 3.11 or newer"
    return Check("Python", health, f"{platform.python_version()} on {platform.platform()}", fix)


def _providers() -> Check:
    fix = "Run: pip install --force-reinstall onnxruntime"
    try:
        import onnxruntime
    except ImportError as error:
        return Check("ONNX Runtime", Health.LACKING, str(error), fix)
    providers = onnxruntime.get_available_providers()
    detail = f"{onnxruntime.__version__} with {', '.join(providers)}"
    return Check("ONNX Runtime", Health.OK, detail)


def _models() -> Iterator[Check]:
    from mammolens.model import ModelPackage, list_models

    names = list_models()
    if not names:
        yield Check("models", Health.LACKING, "none is built in", "Install mammolens again")
    for name in names:
        try:
            card = ModelPackage.load(name, threads=1).card
        except MammolensError as error:
            yield Check(f"model {name}", Health.LACKING, str(error), "Install mammolens again")
        else:
            yield Check(f"model {name}", Health.OK, f"version {card.version}, loads and runs")


def _extra(extra: str) -> Check:
    missing = missing_modules(extra)
    if not missing:
        return Check(f"extra {extra}", Health.OK, "installed")
    detail = f"not installed: {', '.join(missing)}"
    return Check(f"extra {extra}", Health.OPTIONAL, detail, install_words(extra))
