"""Golden files for the viewer's tests: small synthetic pictures and what mammolens makes of them.

    python web/dev/golden.py        # writes web/tests/golden/*.json

Nothing here shows a patient: a smooth dome, threads, noise and bright specks. Arrays are base64 of
little-endian bytes.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from mammolens._outlines import warp_map
from mammolens.core import (
    Geometry,
    ImageRef,
    Laterality,
    Mammogram,
    Photometric,
    SourceHeader,
    ViewPosition,
    VoiFunction,
    VoiLut,
    Window,
)
from mammolens.images.dicom.header import stated_orientation
from mammolens.images.dicom.tags import Tags
from mammolens.preprocess import make_display, to_grey
from mammolens.preprocess.grey import resize
from mammolens.serve.viewer import map_grid

sys.path.insert(0, str(Path(__file__).parent))

from samples import load_library

OUT = Path(__file__).parents[1] / "tests" / "golden"
ROWS, COLUMNS = 131, 89
FACTORS = (0.93, 0.5, 0.37, 0.23, 0.108, 1.0)
GROWTH = (1.6, 2.3)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    _write("greys.json", {"pictures": _pictures(), "cases": list(_grey_cases())})
    _write("display.json", {"cases": list(_display_cases())})
    _write("map.json", {"cases": list(_map_cases())})
    _write("exam.json", _exam_case())
    _write("orientation.json", {"cases": list(_orientation_cases())})
    _write("htj2k.json", {"cases": list(_htj2k_cases())})


def _picture(seed: int, bits: int) -> npt.NDArray[np.uint16]:
    """A dome of tissue with threads, noise and 25 specks of 3×3 pixels; the rest is air."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    thick = np.clip(1 - (x / (0.8 * COLUMNS)) ** 2 - ((y - ROWS / 2) / (0.45 * ROWS)) ** 2, 0, 1)
    threads = 0.1 * np.sin(x / 3.1 + 4 * np.sin(y / 17)) + 0.04 * rng.standard_normal(y.shape)
    grey = np.where(thick > 0, 0.15 + 0.5 * np.sqrt(thick) + threads * thick, 0.02)
    for _ in range(25):
        row, column = rng.integers(20, ROWS - 20), rng.integers(2, COLUMNS // 2)
        grey[row : row + 3, column : column + 3] = 1.0
    return (np.clip(grey, 0, 1) * ((1 << bits) - 1)).astype(np.uint16)


def _pictures() -> dict[str, Any]:
    return {"twelve": _packed(_picture(1, 12)), "sixteen": _packed(_picture(2, 16))}


def _mammogram(pixels: npt.NDArray[Any], **changes: Any) -> Mammogram:
    return replace(Mammogram(ImageRef("golden"), SourceHeader(), pixels), **changes)


def _grey_cases() -> Any:
    """Pixels → resized → greys, by the same functions as every picture of mammolens."""
    twelve, sixteen = _picture(1, 12), _picture(2, 16)
    table = np.rint(4095 * (np.arange(4096) / 4095) ** 0.6).astype(np.float32)
    ways: list[tuple[str, Mammogram, dict[str, Any]]] = [
        ("linear", _mammogram(twelve, voi=Window(2048, 4096)), {}),
        ("narrow", _mammogram(twelve, voi=Window(2300, 700)), {}),
        ("exact", _mammogram(twelve, voi=Window(1900, 2500, VoiFunction.LINEAR_EXACT)), {}),
        ("sigmoid", _mammogram(twelve, voi=Window(2000, 1500, VoiFunction.SIGMOID)), {}),
        ("table", _mammogram(twelve, voi=VoiLut(0, table)), {"table": table.tolist()}),
        ("wide", _mammogram(sixteen, voi=Window(30000, 50000)), {}),
        (
            "monochrome1",
            _mammogram(twelve, voi=Window(2048, 4096), photometric=Photometric.MONOCHROME1),
            {},
        ),
        ("padding", _mammogram(twelve, voi=Window(2048, 4096), padding=(0.0, 81.0)), {}),
        (
            "rescaled",
            _mammogram(
                twelve.astype(np.float32) * np.float32(0.5) - np.float32(100), voi=Window(800, 1500)
            ),
            {"slope": 0.5, "intercept": -100.0},
        ),
    ]
    for name, mammogram, more in ways:
        for factor in FACTORS if name in ("narrow", "linear") else (0.37, 1.0):
            yield _grey_case(name, mammogram, more, factor)
        if name == "narrow":
            yield from (_grey_case(name, mammogram, more, factor) for factor in GROWTH)


def _grey_case(name: str, mammogram: Mammogram, more: dict[str, Any], factor: float) -> Any:
    rows, columns = mammogram.pixels.shape
    shape = max(1, round(rows * factor)), max(1, round(columns * factor))
    small = resize(mammogram.pixels, shape) if factor != 1 else mammogram.pixels
    greys = np.rint(to_grey(small, mammogram) * 255.0).astype(np.uint8)
    return {
        "name": f"{name} at {factor}",
        "picture": "sixteen" if name == "wide" else "twelve",
        "voi": _voi(mammogram.voi),
        "photometric": mammogram.photometric.value,
        "padding": mammogram.padding,
        "slope": more.get("slope", 1),
        "intercept": more.get("intercept", 0),
        "greys": _packed(greys),
    }


def _voi(voi: Window | VoiLut | None) -> dict[str, Any]:
    if isinstance(voi, VoiLut):
        return {"kind": "table", "first": voi.first, "values": voi.values.tolist(), "name": None}
    assert voi is not None
    return {
        "kind": "window",
        "center": voi.center,
        "width": voi.width,
        "function": voi.function.value,
        "name": None,
    }


def _display_cases() -> Any:
    """A picture without a window: the curve that mammolens takes from the breast."""
    from mammolens.preprocess.display import tone_of

    pixels = (_picture(3, 16).astype(np.float32) ** 0.5 * 255).astype(np.uint16)
    for photometric in Photometric:
        shown = pixels if photometric is Photometric.MONOCHROME2 else np.uint16(65535) - pixels
        mammogram = _mammogram(shown, photometric=photometric)
        for side in (None, 80, 40):
            tone = tone_of(mammogram, photometric, side)
            yield {
                "name": f"{photometric.value} with a longest side of {side}",
                "pixels": _packed(shown),
                "photometric": photometric.value,
                "tone": {"black": tone.black, "white": tone.white, "power": tone.power},
                "greys": _packed(make_display(mammogram, photometric, side).pixels),
            }


def _map_cases() -> Any:
    """Maps of pictures that are stored mirrored or lying, laid over their sources."""
    strength = np.random.default_rng(4).random((6, 4)).astype(np.float32) * 3
    standing = Geometry((66, 45), (10, 5, 61, 45), (80, 63), (8, 0), (96, 64), True)
    for name, geometry in {
        "mirrored": standing,
        "not mirrored": replace(standing, flipped=False),
        "turned by 90 degrees": standing.stored_turned(1),
        "upside down": replace(standing, flipped=False).stored_turned(2),
        "turned by 270 degrees": standing.stored_turned(3),
    }.items():
        laid = warp_map(strength, geometry, geometry.source_shape)
        yield {"name": name, **map_grid(strength, geometry), "laid": _packed(laid)}


def _exam_case() -> Any:
    """What the development server says of an exam; its pictures are not in it."""
    exam = load_library().exams["with-prior"]
    kept = [image["sopInstanceUid"] for image in exam["images"][:1]]
    exam["images"] = exam["images"][:1]
    exam["ai"]["images"] = [i for i in exam["ai"]["images"] if i["sopInstanceUid"] in kept]
    return exam


def _orientation_cases() -> Any:
    """Patient Orientation of every kind, and how mammolens reads it (null: not at all)."""
    directions = ["A", "P", "L", "R", "H", "F", "FL", "FR", "HL", "HR", "AR", "PL", "RF", "X", ""]
    for row, column in product(directions, directions):
        for laterality, view in product(
            (None, *Laterality), (None, ViewPosition.CC, ViewPosition.MLO)
        ):
            header = Dataset()
            header.PatientOrientation = [row, column]
            found = stated_orientation(Tags(header, "golden"), laterality, view)
            if found is None and (laterality, view) != (Laterality.LEFT, ViewPosition.CC):
                continue
            yield [
                row,
                column,
                laterality and laterality.value,
                view and view.value,
                None if found is None else [found.quarter_turns, found.chest_wall_right],
            ]


def _htj2k_cases() -> Any:
    """Small pictures as lossless HTJ2K, as the server sends them."""
    from imagecodecs import htj2k_encode

    rng = np.random.default_rng(5)
    for name, dtype, bits in (
        ("of 8 bits", np.uint8, 8),
        ("of 12 bits", np.uint16, 12),
        ("of 16 bits", np.uint16, 16),
        ("of 16 signed bits", np.int16, 16),
    ):
        signed = np.issubdtype(dtype, np.signedinteger)
        low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
        pixels = rng.integers(low, high, (13, 17)).astype(dtype)
        yield {
            "name": name,
            "form": {
                "rows": 13,
                "columns": 17,
                "bitsAllocated": dtype(0).itemsize * 8,
                "bitsStored": bits,
                "highBit": bits - 1,
                "signed": bool(signed),
            },
            "base64": base64.b64encode(htj2k_encode(pixels, reversible=True)).decode(),
            "values": pixels.ravel().tolist(),
        }


def _packed(array: npt.NDArray[Any]) -> dict[str, Any]:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return {
        "rows": array.shape[0],
        "columns": array.shape[1],
        "dtype": array.dtype.name,
        "base64": base64.b64encode(little.tobytes()).decode(),
    }


def _write(name: str, content: Any) -> None:
    (OUT / name).write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
