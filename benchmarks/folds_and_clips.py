"""Can skin folds and clips be noticed at the door? Their error rates, before anything is offered.

Neither is labelled in a public set. Clips and folds are drawn on real images of held-out patients,
at the size that they have in a breast of 22 cm. A picture's measure is the strength of the
strongest candidate; its limit is the 98 % quantile of the training side (few enough false remarks
to be shown), and the tables show how often it is passed on the held-out side by images as they are,
and by drawn ones. ``--sheets`` writes pictures of real images for a person to look at, half of them
chosen at random and half by the highest measures.

Run: python benchmarks/folds_and_clips.py --data ../shared/data [--scale greys]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from bench_gate import wilson
from door_errors import side

from mammolens.core import Mammogram, PreparedView
from mammolens.data.cache import read_record
from mammolens.data.manifest import Record, Split
from mammolens.errors import InputError
from mammolens.preprocess import prepare
from mammolens.quality import DOOR_CONFIG

SETS: Final = ("rsna", "ddsm", "inbreast", "mias", "cesm")
QUANTILE: Final = 0.98
BREAST_MM: Final = 220.0
Floats = npt.NDArray[np.float32]
Place = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """In what a candidate's strength is measured: `unit` of all strengths in the breast, and the
    `levels` of it that are tried for clips, the strongest first."""

    unit: Callable[[Floats], float]
    levels: npt.NDArray[np.float64]


def _one_percent(values: Floats) -> float:
    return max(float(np.percentile(values, 99)), 0.1)


SCALES: Final = {
    "greys": Scale(lambda _: 1.0, np.arange(250.0, 20.0, -5.0)),
    "own": Scale(
        lambda values: max(float(np.percentile(values, 99)), 0.1), np.arange(15, 1, -0.25)
    ),
}
"""Greys of the prepared picture, or what 1 % of the breast exceeds: sources differ in contrast."""


def inside(view: PreparedView, rim: int) -> npt.NDArray[np.bool_]:
    """The breast without a rim of so many pixels, along the skin and along the picture's edges."""
    size = 2 * rim + 1
    kernel = np.ones((size, size), np.uint8)
    kept = cv2.erode(
        view.mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
    return np.asarray(kept > 0)


def clip_strength(view: PreparedView, scale: Scale) -> tuple[float, Place]:
    """How far the strongest small, thin, bright thing stands out, and where it lies."""
    core = inside(view, 14)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    stands = cv2.morphologyEx(view.pixels, cv2.MORPH_TOPHAT, disc)
    stands[~core] = 0
    if not core.any():
        return 0.0, (0.0, 0.0)
    unit = scale.unit(stands[core])
    for level in scale.levels:
        limit = level * unit
        count, _, stats, centres = cv2.connectedComponentsWithStats(
            (stands >= limit).astype(np.uint8), connectivity=8
        )
        for part in range(1, count):
            _, _, width, height, area = stats[part]
            length = float(np.hypot(width, height))
            if 6 <= length <= 40 and area / length <= 5 and length * length / area >= 2.5:
                return float(level), (float(centres[part][1]), float(centres[part][0]))
    return 0.0, (0.0, 0.0)


_ANGLES: Final = 16
_LINE_PX: Final = 61


def _line_filters() -> list[Floats]:
    """Filters of a long dark line with brighter sides, for 16 directions; each adds up to 0."""
    half = _LINE_PX // 2
    down, across = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    made = []
    for number in range(_ANGLES):
        angle = np.pi * number / _ANGLES
        away = down * np.cos(angle) - across * np.sin(angle)
        along = down * np.sin(angle) + across * np.cos(angle)
        near = np.abs(along) <= half
        middle, sides = near & (np.abs(away) <= 1.5), near & (np.abs(np.abs(away) - 5) <= 2)
        made.append((sides / sides.sum() - middle / middle.sum()).astype(np.float32))
    return made


_FILTERS: Final = _line_filters()


def fold_strength(view: PreparedView, scale: Scale) -> tuple[float, Place]:
    """How dark or bright the strongest straight line of 2 cm is, and where it lies."""
    core = inside(view, 14)
    core[: _LINE_PX // 2] = core[-(_LINE_PX // 2) :] = False
    core[:, : _LINE_PX // 2] = False
    if not core.any():
        return 0.0, (0.0, 0.0)
    values = view.pixels.astype(np.float32)
    strongest = np.max([np.abs(cv2.filter2D(values, cv2.CV_32F, one)) for one in _FILTERS], axis=0)
    unit = scale.unit(strongest[core])
    strongest[~core] = 0.0
    row, col = np.unravel_index(int(strongest.argmax()), strongest.shape)
    return float(strongest.max()) / unit, (float(row), float(col))


def _canvas(mammogram: Mammogram, view: PreparedView) -> tuple[Floats, float, float]:
    """The stored picture as numbers, its brightest grey, and source pixels of a millimetre."""
    pixels = np.asarray(mammogram.pixels, np.float32).copy()
    row0, _, row1, _ = view.geometry.upright.crop_source_px
    return pixels, float(pixels.max()), (row1 - row0) / BREAST_MM


def _inner(view: PreparedView, rng: np.random.Generator, upper: bool) -> Place:
    """A place in the breast, away from its outline, in source pixels; `upper`: its top third."""
    core = cv2.erode(view.mask.astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    rows, cols = np.nonzero(core if core.any() else view.mask)
    if upper:
        kept = rows <= np.quantile(rows, 0.33)
        rows, cols = rows[kept], cols[kept]
    at = rng.integers(len(rows))
    box = view.geometry.box_to_source((rows[at], cols[at], rows[at] + 1, cols[at] + 1))
    return box[0], box[1]


def _with(mammogram: Mammogram, pixels: Floats) -> Mammogram:
    kind = np.asarray(mammogram.pixels).dtype
    return replace(mammogram, pixels=np.round(pixels).astype(kind))


def with_clips(share: float) -> Callable[..., Mammogram]:
    """Draw three surgical clips, 6 × 1 mm; `share` of the way to white."""

    def make(mammogram: Mammogram, view: PreparedView, rng: np.random.Generator) -> Mammogram:
        pixels, white, mm = _canvas(mammogram, view)
        drawn = np.zeros(pixels.shape, np.uint8)
        row, col = _inner(view, rng, False)
        for _ in range(3):
            at = np.array([col, row]) + rng.normal(0, 8 * mm, 2)
            angle = rng.uniform(0, np.pi)
            step = 3 * mm * np.array([np.cos(angle), np.sin(angle)])
            ends = [tuple(int(v) for v in np.round(at + sign * step)) for sign in (-1, 1)]
            cv2.line(drawn, ends[0], ends[1], 255, max(1, round(mm)), cv2.LINE_AA)
        cover = share * cv2.GaussianBlur(drawn, (0, 0), 0.5).astype(np.float32) / 255
        return _with(mammogram, pixels + cover * (white - pixels))

    return make


def with_fold(depth: float) -> Callable[..., Mammogram]:
    """Draw a fold of the skin in the upper third: a dark line of 1.5 mm beside a bright strip."""

    def make(mammogram: Mammogram, view: PreparedView, rng: np.random.Generator) -> Mammogram:
        pixels, white, mm = _canvas(mammogram, view)
        row, col = _inner(view, rng, True)
        angle, bend = rng.uniform(0, np.pi), rng.uniform(-0.15, 0.15)
        places = np.linspace(-1, 1, 40) * rng.uniform(18, 30) * mm
        along, away = (
            np.array([np.cos(angle), np.sin(angle)]),
            np.array([-np.sin(angle), np.cos(angle)]),
        )
        curve = np.array([col, row]) + places[:, None] * along
        curve = curve + (bend * places**2 / (30 * mm))[:, None] * away
        dark, bright = np.zeros(pixels.shape, np.uint8), np.zeros(pixels.shape, np.uint8)
        cv2.polylines(dark, [np.int32(np.round(curve))], False, 255, max(1, round(1.5 * mm)))
        beside = np.int32(np.round(curve + 3 * mm * away))
        cv2.polylines(bright, [beside], False, 255, max(1, round(4 * mm)))
        soft = [cv2.GaussianBlur(one, (0, 0), 0.6 * mm + 0.3) for one in (dark, bright)]
        shade = 1 - depth * soft[0] / 255 + 0.6 * depth * soft[1] / 255
        return _with(mammogram, np.clip(pixels * shade, 0, white))

    return make


KINDS: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "clips": (
        clip_strength,
        {"white": with_clips(1.0), "two thirds of the way to white": with_clips(0.67)},
    ),
    "fold": (
        fold_strength,
        {"clear (a third darker)": with_fold(0.35), "faint (a sixth darker)": with_fold(0.17)},
    ),
}


def viewed(records: list[Record]) -> Iterator[tuple[Record, Mammogram, PreparedView]]:
    for record in records:
        mammogram = read_record(record)
        try:
            yield record, mammogram, prepare(mammogram, DOOR_CONFIG)
        except InputError:
            continue


def some(records: list[Record], most: int) -> list[Record]:
    order = np.random.default_rng(5).permutation(len(records))[:most]
    return [records[n] for n in order]


def share(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{hits} of {n}: {hits / n:.0%} ({low:.0%} to {high:.0%})"


def tables(data: Path, most: int, scale: Scale) -> None:
    learned: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for name in SETS:
        for _, _, view in viewed(some(side(data, name, Split.TRAIN), most)):
            for kind, (measure, _) in KINDS.items():
                learned[kind].append(measure(view, scale)[0])
    limits = {kind: float(np.quantile(values, QUANTILE)) for kind, values in learned.items()}
    print({kind: (len(learned[kind]), round(limit, 2)) for kind, limit in limits.items()})
    print("| kind | source | as it is | " + "drawn | " * 2 + "\n|---|---|---|---|---|")
    for name in SETS:
        held = list(viewed(some(side(data, name, Split.VALIDATION), most)))
        for kind, (measure, faults) in KINDS.items():
            rng = np.random.default_rng(6)
            cells = [
                share(sum(measure(view, scale)[0] > limits[kind] for *_, view in held), len(held))
            ]
            for fault, make in faults.items():
                made = [prepare(make(one, view, rng), DOOR_CONFIG) for _, one, view in held[:60]]
                seen = sum(measure(view, scale)[0] > limits[kind] for view in made)
                cells.append(f"{fault}: {share(seen, len(made))}")
            print(f"| {kind} | {name} | {' | '.join(cells)} |", flush=True)


def sheets(data: Path, folder: Path, scale: Scale, each: int = 20) -> None:
    """Write real images with the strongest candidates, a number on each."""
    folder.mkdir(parents=True, exist_ok=True)
    every = [
        (record, view)
        for name in ("rsna", "inbreast", "mias")
        for record, _, view in viewed(some(side(data, name, Split.VALIDATION), 120))
    ]
    rng = np.random.default_rng(8)
    chosen = {"random": [every[n] for n in rng.permutation(len(every))[:each]]}
    for kind, (measure, _) in KINDS.items():
        chosen[kind] = sorted(every, key=lambda one: -measure(one[1], scale)[0])[:each]
    for title, rows in chosen.items():
        pictures = []
        for number, (record, view) in enumerate(rows):
            picture = cv2.cvtColor(view.pixels, cv2.COLOR_GRAY2BGR)
            if title in KINDS:
                value, (row, col) = KINDS[title][0](view, scale)
                cv2.circle(picture, (round(col), round(row)), 24, (0, 255, 255), 1)
                cv2.putText(picture, f"{value:.1f}", (250, 630), 0, 0.7, (0, 255, 255), 1)
            text = f"{number} {record.dataset}"
            cv2.putText(picture, text, (200, 20), 0, 0.6, (0, 255, 0), 1)
            pictures.append(picture)
            print(title, number, record.dataset, record.image_id)
        for first in range(0, len(pictures), 10):
            ten = pictures[first : first + 10]
            sheet = np.vstack([np.hstack(ten[:5]), np.hstack(ten[5:])])
            cv2.imwrite(str(folder / f"{title}-{first // 10}.png"), sheet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--most", type=int, default=150, help="images of a source and side")
    parser.add_argument("--scale", choices=tuple(SCALES), default="own")
    parser.add_argument("--sheets", type=Path)
    asked = parser.parse_args()
    if asked.sheets:
        sheets(asked.data, asked.sheets, SCALES[asked.scale])
    else:
        tables(asked.data, asked.most, SCALES[asked.scale])


if __name__ == "__main__":
    main()
