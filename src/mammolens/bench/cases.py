"""Pictures of example cases: cancers found, cancers missed, and false alarms.

Each is drawn as the model received it: cropped to the breast, chest wall at the left, with the map
as a tint, a box around every finding and a dotted line around every marked lesion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens._outlines import tinted
from mammolens.analysis import locate, score_prepared
from mammolens.bench.units import ImageResult
from mammolens.core import Box, Finding, InputKind, PreparedView
from mammolens.data.cache import prepare_record
from mammolens.data.lesions import Lesion, draw_lesion
from mammolens.data.manifest import Record
from mammolens.errors import InputError, InvalidManifest, ModelError
from mammolens.files import storage, write_whole
from mammolens.model import ModelPackage
from mammolens.render import frame
from mammolens.wording import view_name

__all__ = ["KINDS", "MOST_BYTES", "CaseKeeper", "Seen", "draw_case", "pick_cases", "write_cases"]

KINDS: Final = {
    "found": "highest-scored cancers",
    "missed": "lowest-scored cancers",
    "alarm": "highest-scored images without cancer",
}
MOST_BYTES: Final = 150_000
"""No picture is larger; it is drawn smaller until it fits."""

_TALLEST: Final = 640
_SMALLER: Final = 0.85
_EFFORT: Final = 6  # 9 saves a tenth of the bytes and takes six times as long
_OUTLINE: Final = (230, 159, 0)
_HALO: Final = (0, 0, 0)
_DOT_GAP_PX: Final = 7.0
_INSIDE: Final = 128

Rgb = npt.NDArray[np.uint8]
Seen = tuple[PreparedView, npt.NDArray[np.float32]]
"""A prepared picture and its malignancy map (h, w)."""


@dataclass(frozen=True)
class Pick:
    """A picked image, and the kind of case: one of `KINDS`."""

    kind: str
    result: ImageResult


class CaseKeeper:
    """Keeps the pictures that `pick_cases` will pick, while images are scored.

    It keeps at most `each` pictures of each data set and kind. An image that is picked in the end
    is also picked at every moment after it was scored, so no image is decoded twice.
    """

    def __init__(self, records: Iterable[Record], each: int) -> None:
        """Consider only these records, and keep at most `each` of each data set and kind."""
        self._wanted = {record.key for record in records}
        self._each = each
        self._kept: dict[tuple[str, str], tuple[ImageResult, Seen]] = {}

    def add(self, result: ImageResult, view: PreparedView, heat: npt.NDArray[np.float32]) -> None:
        """Consider one scored image with its picture and map."""
        key = result.record.key
        if key not in self._wanted:
            return
        self._kept[key] = result, (view, heat)
        picks = pick_cases([one for one, _ in self._kept.values()], self._each)
        self._kept = {p.result.record.key: self._kept[p.result.record.key] for p in picks}

    @property
    def seen(self) -> dict[tuple[str, str], Seen]:
        """The kept pictures and maps, by data set and image identifier."""
        return {key: seen for key, (_, seen) in self._kept.items()}


def write_cases(
    model: ModelPackage,
    results: Sequence[ImageResult],
    out: Path,
    *,
    each: int = 2,
    seen: Mapping[tuple[str, str], Seen] | None = None,
) -> list[dict[str, Any]]:
    """Draw the images that `pick_cases` picks into ``cases/`` of a folder.

    Parameters
    ----------
    out
        The evaluation's folder; pictures that an earlier call left in ``cases/`` are removed.
    each
        Largest number of pictures of each data set and kind.
    seen
        Pictures and maps that a `CaseKeeper` kept; other images are read and scored again.

    Returns
    -------
    One dict for each picture, ready for JSON: its content, and its file relative to `out`.

    Raises
    ------
    StorageError
        If the folder cannot be written.
    """
    folder = out / "cases"
    level = model.card.finding_level.level
    whole = model.card.input_kind is not InputKind.LESION
    written: list[dict[str, Any]] = []
    with storage(folder, "the cases", keyword="--out"):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_earlier(folder)
        for pick in pick_cases(results, each):
            record = pick.result.record
            kept = (seen or {}).get(record.key) or _score_again(model, record)
            if kept is None:
                continue
            view, heat = kept
            findings = locate(view, heat, level) if whole else ()
            outlines = list(_outlines(record, view)) if whole else []
            file = folder / f"{len(written) + 1:02d}-{pick.kind}.png"
            picture = draw_case(view, heat / np.float32(level), findings, outlines)
            write_whole(file, _encoded(picture))
            written.append(_described(pick, f"cases/{file.name}", findings, outlines))
    return written


def pick_cases(results: Sequence[ImageResult], each: int) -> tuple[Pick, ...]:
    """Pick the images of each data set whose scores agree most and least with their labels.

    No patient is picked twice for one kind, and no image twice. Images without a score or a label
    are not picked.
    """
    picks: list[Pick] = []
    for dataset in sorted({one.record.dataset for one in results}):
        here = [one for one in results if one.record.dataset == dataset and one.scores]
        ranked = sorted(here, key=lambda one: (-_score(one), one.record.image_id))
        ill = [one for one in ranked if one.record.malignant]
        well = [one for one in ranked if one.record.malignant is False]
        found = _of_different_patients(ill, each)
        missed = _of_different_patients([one for one in ill[::-1] if one not in found], each)
        alarms = _of_different_patients(well, each)
        for kind, chosen in (("found", found), ("missed", missed), ("alarm", alarms)):
            picks += [Pick(kind, one) for one in chosen]
    return tuple(picks)


def draw_case(
    view: PreparedView,
    strength: npt.NDArray[np.float32],
    findings: Sequence[Finding],
    outlines: Sequence[npt.NDArray[np.uint8]],
) -> Rgb:
    """Draw a prepared picture with its map, its findings and its marked lesions.

    Parameters
    ----------
    strength
        (h, w) over the prepared frame; 1 is the level from which a finding counts.
    outlines
        The marked lesions as `data.lesions.draw_lesion` draws them, uint8.

    Returns
    -------
    Uint8 RGB (rows, columns, 3), at most 640 rows.
    """
    rows, cols = view.pixels.shape
    scale = min(1.0, _TALLEST / rows)
    size = max(1, round(cols * scale)), max(1, round(rows * scale))
    grey = np.asarray(cv2.resize(view.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    heat = np.asarray(cv2.resize(strength, size, interpolation=cv2.INTER_LINEAR), np.float32)
    picture = np.ascontiguousarray(tinted(grey, heat))
    for outline in outlines:
        _dot_around(picture, cv2.resize(outline, size, interpolation=cv2.INTER_LINEAR))
    letters = float(np.clip(size[0] / 22, 12, 20))
    for finding in findings:
        box = view.geometry.box_to_prepared(finding.box_source_px)
        at: Box = (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale)
        frame(picture, at, f"{finding.score:.1f}x", letters)
    return picture


def _score(result: ImageResult) -> float:
    assert result.scores is not None
    return result.scores.malignant


def _of_different_patients(ranked: Sequence[ImageResult], most: int) -> list[ImageResult]:
    first: dict[tuple[str, str], ImageResult] = {}
    for one in ranked:
        first.setdefault(one.record.patient, one)
    return list(first.values())[:most]


def _score_again(model: ModelPackage, record: Record) -> Seen | None:
    """Give the picture and its map; ``None`` if the image can no longer be read or scored."""
    try:
        view = prepare_record(record, model.card.preprocess)
        return view, score_prepared(model, [view]).malignancy_map[0]
    except (InputError, ModelError):
        return None


def _outlines(record: Record, view: PreparedView) -> Iterator[npt.NDArray[np.uint8]]:
    """Draw the marked lesions in the prepared frame; leave out those with an unusable mask."""
    lesions = record.lesions
    if not lesions and record.lesion_centre_px is not None:
        row, col = record.lesion_centre_px
        radius = min(view.geometry.source_shape) / 100
        lesions = (Lesion(circle_source_px=(row, col, radius)),)
    for lesion in lesions:
        try:
            yield draw_lesion(lesion, view.geometry)
        except (InputError, InvalidManifest):
            continue


def _dot_around(picture: Rgb, mask: npt.NDArray[Any]) -> None:
    inside = (mask >= _INSIDE).astype(np.uint8)
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour[:, 0, :].astype(np.float64)
        steps = np.linalg.norm(np.diff(points, axis=0, append=points[:1]), axis=1)
        along = np.cumsum(steps)
        number = max(4, round(float(along[-1]) / _DOT_GAP_PX))
        at = np.searchsorted(along, np.linspace(0, along[-1], number, endpoint=False))
        for colour, radius in ((_HALO, 3), (_OUTLINE, 2)):
            for x, y in points[np.minimum(at, len(points) - 1)].astype(int):
                cv2.circle(picture, (int(x), int(y)), radius, colour, cv2.FILLED, cv2.LINE_AA)


def _encoded(picture: Rgb) -> bytes:
    """PNG of at most `MOST_BYTES`."""
    while True:
        done, data = cv2.imencode(
            ".png", np.ascontiguousarray(picture[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, _EFFORT]
        )
        assert done
        if data.size <= MOST_BYTES:
            return bytes(data.tobytes())
        rows, cols = (max(1, round(side * _SMALLER)) for side in picture.shape[:2])
        smaller = cv2.resize(picture, (cols, rows), interpolation=cv2.INTER_AREA)
        picture = np.asarray(smaller, np.uint8)


def _described(
    pick: Pick,
    file: str,
    findings: Sequence[Finding],
    outlines: Sequence[npt.NDArray[np.uint8]],
) -> dict[str, Any]:
    record, scores = pick.result.record, pick.result.scores
    assert scores is not None
    return {
        "kind": pick.kind,
        "file": file,
        "dataset": record.dataset,
        "image_id": record.image_id,
        "patient_id": record.patient_id,
        "view": view_name((record.laterality, record.view_position)),
        "malignancy": scores.malignant,
        "tumour": scores.tumour,
        "label_malignant": record.malignant,
        "label_tumour": record.tumour,
        "findings": [finding.score for finding in findings],
        "lesions_drawn": sum(bool((outline >= _INSIDE).any()) for outline in outlines),
    }


def _remove_earlier(folder: Path) -> None:
    pattern = re.compile(rf"\d+-({'|'.join(KINDS)})\.png")
    for path in folder.iterdir():
        if pattern.fullmatch(path.name):
            path.unlink()
