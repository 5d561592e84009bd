"""Measure the geometry that links a biopsy to a finding, on lesions that are marked in two views.

No public set has clock positions with marks. So two things are measured. (1) How far behind the
nipple a lesion lies in CC and in MLO: the rule by which a finding of one view is looked for in the
other. (2) A simulated report: the clock position and the distance are computed from the two marks,
rounded to an hour and to a tenth of the breast's depth (about 1 cm), and only they are used to
find the lesion again. The second figure shows what rounding and the unknown depth cost. It does
not show how well surgeons measure.

Unit: breast with one marked lesion in both views; 95 % intervals over patients. CESM pictures have
no pixel spacing, so distances are shares of the breast's depth.

Run: python benchmarks/bench_linking.py SHARED_DATA [--json FILE]
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mammolens.core import Laterality, ViewPosition
from mammolens.metrics import clustered_shares
from mammolens.outcomes.report_links import (
    TOLERANCE,
    BreastInView,
    Place,
    findings_in,
    region_of,
)
from mammolens.preprocess import find_breast

UNITS = 100.0
"""A breast's depth in the simulated report: 100 units stand for about 100 mm."""
DRAWS = 2000


def lesions(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Give the middles (x, y) of the marked lesions of each image."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    boxes = folder / "lesion_boxes.csv"
    with (boxes if boxes.exists() else folder / "manifest.csv").open() as stream:
        for row in csv.DictReader(stream):
            if boxes.exists() and row["roi_type"] == "Mass":
                x, y, w, h = (float(row[name]) for name in "xywh")
                found[row["image_id"]].append((x + w / 2, y + h / 2))
            elif not boxes.exists() and row["lesion_x"]:
                found[row["image_id"]].append((float(row["lesion_x"]), float(row["lesion_y"])))
    return found


def views(folder: Path) -> Iterator[tuple[str, BreastInView, tuple[float, float]]]:
    """Give each image with one marked lesion: patient, breast and lesion."""
    marks = lesions(folder)
    with (folder / "manifest.csv").open() as stream:
        for row in csv.DictReader(stream):
            if len(marks.get(row["image_id"], ())) != 1 or row["view"] not in ("CC", "MLO"):
                continue
            picture = cv2.imread(str(folder / row["path"]), cv2.IMREAD_GRAYSCALE)
            scale = 512 / max(picture.shape)
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            region = find_breast(small.astype(np.float32) / 255.0)
            if region is None:
                continue
            box = tuple(value / scale for value in region.box)
            view, side = ViewPosition(row["view"]), Laterality(row["laterality"])
            breast = BreastInView(view, side, box, region.chest_wall_right)
            yield row["patient_id"], breast, marks[row["image_id"]][0]


def pairs(folder: Path):
    """Give breasts with exactly one lesion marked in CC and in MLO."""
    found = defaultdict(dict)
    for patient, breast, mark in views(folder):
        found[patient, breast.laterality][breast.view] = (breast, mark)
    for (patient, _), both in sorted(found.items(), key=lambda one: one[0][0]):
        if len(both) == 2:
            yield patient, both[ViewPosition.CC], both[ViewPosition.MLO]


def point_box(mark):
    """Give a box of no size."""
    return mark[1], mark[0], mark[1], mark[0]


def measure(folder: Path) -> dict:
    """Measure one data set."""
    patients, depth_gap, arc_gap, in_strip, strip_share = [], [], [], [], []
    report = {"CC": ([], []), "MLO": ([], [])}
    for patient, (cc, cc_mark), (mlo, mlo_mark) in pairs(folder):
        patients.append(patient)
        seen, other = point_box(cc_mark), point_box(mlo_mark)
        (across_cc, behind_cc), (across_mlo, behind_mlo) = cc.point(seen), mlo.point(other)
        depth_gap.append(behind_mlo / mlo.depth_px - behind_cc / cc.depth_px)
        arcs = [math.hypot(across_cc, behind_cc), math.hypot(across_mlo, behind_mlo)]
        arc_gap.append(arcs[1] / mlo.depth_px - arcs[0] / cc.depth_px)
        strip = same_depth(seen, cc, mlo)
        in_strip.append(bool(findings_in(strip, [other])))
        strip_share.append(share(strip, mlo))
        outward = across_cc / cc.depth_px
        up = math.sqrt(2) * across_mlo / mlo.depth_px - outward
        behind = (behind_cc / cc.depth_px + behind_mlo / mlo.depth_px) / 2
        angle = math.atan2(outward * (1 if cc.laterality is Laterality.LEFT else -1), up)
        clock = round(math.degrees(angle) / 30) % 12 or 12
        distance = round(math.hypot(up, outward, behind), 1) * UNITS
        place = Place(float(clock), distance)
        for breast, mark in ((cc, seen), (mlo, other)):
            scaled = BreastInView(
                breast.view, breast.laterality, breast.box_source_px, breast.chest_wall_right,
                UNITS / breast.depth_px,
            )  # fmt: skip
            region = region_of(place, scaled)
            report[breast.view.value][0].append(bool(findings_in(region, [mark])))
            report[breast.view.value][1].append(share(region, breast))
    return {
        "data": folder.name,
        "breasts": len(patients),
        "patients": len(set(patients)),
        "depth: absolute difference of MLO and CC, % of depth": spread(depth_gap, patients),
        "distance from nipple: absolute difference, % of depth": spread(arc_gap, patients),
        "strip of the other view": coverage(in_strip, strip_share, patients),
        "simulated report": {k: coverage(*v, patients) for k, v in report.items()},
    }


def same_depth(box_source_px, seen, other):
    """Give the strip of the other view in which a finding of one view is expected.

    A lesion lies about as far behind the nipple in CC as in MLO; depth is scaled by the depths of
    the two pictures, which need no spacing.
    """
    behind = seen.point(box_source_px)[1] / seen.depth_px * other.depth_px
    tolerance = TOLERANCE * other.depth_px
    height = other.box_source_px[2] - other.box_source_px[0]
    return other.box((-height, height), (behind - tolerance, behind + tolerance))


def share(box, breast) -> float:
    """Give the share of the breast's box that a region covers."""
    row0, col0, row1, col1 = breast.box_source_px
    return (box[2] - box[0]) * (box[3] - box[1]) / ((row1 - row0) * (col1 - col0))


def spread(gaps, patients) -> dict:
    """Give mean, median and 90th percentile of absolute differences, with a bootstrap interval."""
    values, owners = np.abs(np.array(gaps)) * 100, np.array(patients)
    rng, names = np.random.default_rng(3), sorted(set(patients))
    of = [np.flatnonzero(owners == name) for name in names]
    drawn = [
        values[np.concatenate([of[i] for i in rng.integers(len(of), size=len(of))])].mean()
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    middle, ninetieth = np.percentile(values, [50, 90])
    return {
        "mean": round(float(values.mean()), 1),
        "low": round(float(low), 1),
        "high": round(float(high), 1),
        "median": round(float(middle), 1),
        "90th percentile": round(float(ninetieth), 1),
    }


def coverage(hits, sizes, patients) -> dict:
    """Give how many lesions lie in their region, and how large the regions are."""
    numbers = {name: n for n, name in enumerate(sorted(set(patients)))}
    groups = np.array([numbers[one] for one in patients])
    (found,) = clustered_shares([hits], [[True] * len(hits)], groups)
    return {
        "lesions inside": f"{sum(hits)} of {len(hits)}",
        "share": round(found.value, 3),
        "low": round(found.low, 3),
        "high": round(found.high, 3),
        "median share of the breast's box": round(float(np.median(sizes)), 2),
    }


def main() -> None:
    """Measure the sets with marks in both views."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = [measure(options.data / name) for name in ("cesm", "inbreast")]
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
