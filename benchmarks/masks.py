"""Masks of breast and muscle against outlines drawn by hand, for both versions of the preparation.

The films of ``ddsm_tissue`` are split in halves by patient: version 2 was chosen on the first
(development) and is reported on both. ``mias`` and ``inbreast`` were looked at for one thing only,
that version 2 is not worse there.

Run: python benchmarks/masks.py --data ../shared/data [--draw FOLDER]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from gate_pictures import half_of

from mammolens.core import Overview
from mammolens.errors import InputError
from mammolens.images import read_image
from mammolens.preprocess import find_muscle, normalise
from mammolens.preprocess.breast import BreastRegion, pectoral_mask
from mammolens.preprocess.picture_trust import trusted_picture
from mammolens.quality.frame import measure_frame
from mammolens.quality.positioning import measure_positioning

_Mask = npt.NDArray[np.bool_]
OUTLINES: Final = {"ddsm_tissue": 90, "mias": 60, "inbreast": 60}
"""Set → value of its label pictures above which they mean breast."""
MUSCLE: Final = 230
HALVES: Final = ("development", "held out")


def pairs(data: Path, name: str) -> Iterator[tuple[dict[str, str], Path, Path]]:
    """Rows of a set with their picture and label, where a label was drawn."""
    with (data / name / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            picture = data / name / row["path"]
            label = data / name / "breast_masks" / f"{picture.stem}.png"
            if row.get("label_path"):
                label = data / name / row["label_path"]
            if label.is_file():
                yield row, picture, label


def muscle_of(version: int, grey: npt.NDArray[np.float32], region: BreastRegion) -> _Mask:
    """The muscle by one version; `grey` as the breast lies, the result too."""
    flip = region.chest_wall_right

    def turn(values: npt.NDArray) -> npt.NDArray:
        return np.ascontiguousarray(values[:, ::-1] if flip else values)

    left, mask = turn(grey), turn(region.mask)
    if version == 1:
        return turn(pectoral_mask(normalise(left, mask, 1.0, 99.5), mask))
    edge = find_muscle(left, mask)
    return turn(edge.mask(mask)) if edge else np.zeros_like(mask)


def agreement(found: _Mask, drawn: _Mask) -> tuple[float, float]:
    """Intersection over union, and Dice."""
    both, either = np.count_nonzero(found & drawn), np.count_nonzero(found | drawn)
    return both / max(either, 1), 2 * both / max(both + either, 1)


def interval(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of a median, from 2,000 resamples; every patient has one image here, or
    two of MIAS, whose interval is a little too narrow."""
    rng = np.random.default_rng(1)
    drawn = np.median(rng.choice(values, (2000, len(values))), axis=1)
    return tuple(np.quantile(drawn, (0.025, 0.975)))


def row(name: str, values: list[float], worse: float) -> None:
    numbers = np.array(values)
    low, high = interval(numbers)
    print(
        f"| {name} | {len(numbers)} | {np.median(numbers):.3f} ({low:.3f} to {high:.3f}) "
        f"| {numbers.mean():.3f} | {np.quantile(numbers, 0.05):.3f} "
        f"| {np.count_nonzero(numbers < worse)} | {np.count_nonzero(numbers == 0)} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draw", type=Path, help="folder for pictures of the ten worst")
    asked = parser.parse_args()
    breasts: dict[str, list[float]] = {}
    muscles: dict[str, list[float]] = {}
    reaches: list[tuple[float, float]] = []
    sheet: list[tuple[float, npt.NDArray[np.uint8]]] = []
    for name, above in OUTLINES.items():
        for entry, picture, label in pairs(asked.data, name):
            mammogram = read_image(picture)
            drawn = cv2.imread(str(label), cv2.IMREAD_GRAYSCALE)
            half = f", {HALVES[half_of(entry['patient_id'])]}" if name == "ddsm_tissue" else ""
            for version in (1, 2):
                try:
                    found = trusted_picture(mammogram, version)
                except InputError:
                    found = None
                key = f"{name}{half}, version {version}"
                if found is None or found.region is None:
                    breasts.setdefault(key, []).append(0.0)
                    continue
                shape = found.thumbnail.shape[::-1]
                small = cv2.resize(drawn, shape, interpolation=cv2.INTER_NEAREST)
                breasts.setdefault(key, []).append(agreement(found.region.mask, small > above)[0])
                if name != "ddsm_tissue":
                    continue
                muscle = muscle_of(version, found.thumbnail, found.region)
                dice = agreement(muscle, small > MUSCLE)[1]
                muscles.setdefault(key, []).append(dice)
                if version == 2:
                    reaches.append(reach_by_both(found.thumbnail, small))
                    sheet.append((dice, drawing(found.thumbnail, found.region.mask, muscle, small)))
    heads = "median (95 % interval) | mean | 5 % below | under {} | empty"
    for title, table, worse in (("breast, IoU", breasts, 0.9), ("muscle, Dice", muscles, 0.8)):
        print(f"\n| {title} | n | {heads.format(worse)} |")
        print("| --- " * 7 + "|")
        for key, values in sorted(table.items()):
            row(key, values, worse)
    ours, drawn = np.array(reaches).T
    alike = np.count_nonzero((ours < 0) == (drawn < 0))
    print(
        f"\nmuscle above the level of the nipple: ours {np.count_nonzero(ours < 0)}, by the drawn"
    )
    print(
        f"muscle {np.count_nonzero(drawn < 0)}, the same on {alike} of {len(ours)}; difference of"
    )
    print(f"its lower end: median {np.median(np.abs(ours - drawn)):.1%} of the breast's height")
    if asked.draw:
        asked.draw.mkdir(parents=True, exist_ok=True)
        worst = [picture for _, picture in sorted(sheet, key=lambda one: one[0])[:10]]
        cv2.imwrite(str(asked.draw / "muscles.png"), np.hstack(worst))


def reach_by_both(
    grey: npt.NDArray[np.float32], label: npt.NDArray[np.uint8]
) -> tuple[float, float]:
    """How far the muscle lies below the nipple's level: by our edge, and by that of the drawing."""
    frame = measure_frame(Overview((grey * 255).astype(np.uint8), grey > 0, False))
    found = measure_positioning(frame, oblique=True)
    muscle = (label[:, ::-1] if frame.mirrored else label) > MUSCLE
    rows, across = np.flatnonzero(muscle.any(1)), muscle.sum(1)
    row0, col0, row1, _ = frame.box
    # The foot of the nipple's perpendicular on the line from the muscle's top to its lower end.
    top = np.array([rows[0], col0 + across[rows[0]]], float)
    way = np.array([rows[-1], col0], float) - top
    along = float(np.dot(np.array(found.nipple) - top, way) / np.dot(way, way))
    drawn = (1.0 - along) * (rows[-1] - rows[0]) / (row1 - row0)
    return (-1.0 if found.reach is None else found.reach), float(drawn)


def drawing(
    grey: npt.NDArray[np.float32], breast: _Mask, muscle: _Mask, label: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Outlines by hand in green and blue, ours in yellow and magenta; 240 × 480 pixels."""
    picture = cv2.cvtColor((grey**0.6 * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)
    lines = ((label > 90, (0, 200, 0)), (label > MUSCLE, (255, 80, 0)))
    for mask, colour in (*lines, (breast, (0, 255, 255)), (muscle, (255, 0, 255))):
        outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, 2)
        cv2.drawContours(picture, outline, -1, colour, 1)
    return cv2.resize(picture, (240, 480))


if __name__ == "__main__":
    main()
