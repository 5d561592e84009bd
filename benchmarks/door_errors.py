"""How often the verdict at the door errs: on sound images of each source, and on simulated faults.

The limits were chosen on the training side of a fixed split by patient, that of
`configs/mammolens-2.toml`; the tables show the held-out side. Faults are made of sound held-out
images, see `door_faults`. An image that a source itself delivers cut off, squeezed or blurred
counts as sound here: look at the drawings (``--draw``) before calling a doubt wrong. ``--limits``
prints the quantiles of the training side, from which limits are chosen.

Run: python benchmarks/door_errors.py --data ../shared/data [--faults 40] [--limits] [--draw FOLDER]
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from bench_gate import wilson
from door_faults import FAULTS

from mammolens.core import ImageQuality, Mammogram, PreparedView, Standing
from mammolens.data.cache import read_record
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import split_patients
from mammolens.errors import InputError
from mammolens.preprocess import prepare
from mammolens.quality import DOOR_CONFIG, assess

SETS: Final = ("rsna", "ddsm", "inbreast", "mias", "cesm")
DOUBTS: Final = ("sharpness", "motion", "exposure", "cut_off", "clipping")


def side(data: Path, name: str, split: Split) -> list[Record]:
    """The images of one side of the split; of cesm, whose labels are all alike, every fifth patient
    is held out."""
    table = Manifest.read(data / name / "manifest.csv")
    if name == "cesm":
        patients = sorted({record.patient_id for record in table.records})
        held = set(patients[::5])
        wanted = split is Split.VALIDATION
        return [record for record in table.records if (record.patient_id in held) == wanted]
    return list(split_patients(table, validation=0.2, seed=1).select(split=split).records)


def judged(mammogram: Mammogram) -> tuple[PreparedView, ImageQuality] | None:
    """The view and the verdict; ``None`` if the picture is refused before."""
    try:
        view = prepare(mammogram, DOOR_CONFIG)
    except InputError:
        return None
    return view, assess(mammogram, view, DOOR_CONFIG)


def sound(records: list[Record]) -> Iterator[tuple[Record, ImageQuality | None]]:
    for record in records:
        found = judged(read_record(record))
        yield record, found[1] if found else None


def quantiles(data: Path) -> None:
    """Print what limits are chosen from."""
    for name in SETS:
        values: dict[str, list[float]] = defaultdict(list)
        for _, quality in sound(side(data, name, Split.TRAIN)):
            for one in quality.criteria if quality else ():
                if one.value is not None:
                    values[one.name].append(one.value)
        for criterion, numbers in values.items():
            spread = np.quantile(numbers, (0, 0.005, 0.01, 0.05, 0.5, 0.95, 0.99, 0.995, 1))
            print(f"{name:9}{criterion:12}{len(numbers):6}", np.round(spread, 3))


def share(hits: int, n: int) -> str:
    low, high = wilson(hits, n)
    return f"{hits}/{n} {hits / n:.1%} ({low:.1%} to {high:.1%})"


def table_of_sound(data: Path, draw: Path | None) -> None:
    print("| source | criterion | poor, of those assessed: n, share (95 %) | not assessable |")
    print("| --- | --- | --- | --- |")
    for name in SETS:
        poor, known, unknown = defaultdict(int), defaultdict(int), defaultdict(int)
        any_doubt, n = 0, 0
        sheet = []
        for record, quality in sound(side(data, name, Split.VALIDATION)):
            if quality is None:
                continue
            n += 1
            doubted = False
            for one in quality.criteria:
                known[one.name] += one.standing is not Standing.NOT_ASSESSABLE
                unknown[one.name] += one.standing is Standing.NOT_ASSESSABLE
                poor[one.name] += one.standing is Standing.POOR
                doubted |= one.standing is Standing.POOR and one.name in DOUBTS
            any_doubt += doubted
            if doubted and draw:
                sheet.append(drawing(record, quality))
        for criterion in known:
            if known[criterion]:
                text = share(poor[criterion], known[criterion])
                print(f"| {name} | {criterion} | {text} | {unknown[criterion]} |")
            else:
                print(f"| {name} | {criterion} | – | {unknown[criterion]} |")
        print(f"| {name} | **any doubt** | {share(any_doubt, n)} | |", flush=True)
        if sheet and draw:
            draw.mkdir(parents=True, exist_ok=True)
            while len(sheet) % 8:
                sheet.append(np.zeros_like(sheet[0]))
            rows = [np.hstack(sheet[k : k + 8]) for k in range(0, len(sheet), 8)]
            cv2.imwrite(str(draw / f"doubts-{name}.png"), np.vstack(rows))


def drawing(record: Record, quality: ImageQuality) -> np.ndarray:
    """The picture with the marks of what is doubted; 240 × 320."""
    pixels = read_record(record).pixels.astype(np.float32)
    grey = (255 * (pixels - pixels.min()) / max(float(np.ptp(pixels)), 1e-6)).astype(np.uint8)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    names = []
    for one in quality.poor:
        if one.name not in DOUBTS:
            continue
        names.append(f"{one.name} {one.value:.2f}")
        for mark in one.marks:
            points = np.array([(x, y) for y, x in mark.points]).round().astype(np.int32)
            if mark.kind.value == "box":
                cv2.rectangle(picture, points[0], points[1], (0, 255, 255), 3)
            else:
                cv2.polylines(picture, [points], False, (0, 0, 255), 4)
    picture = cv2.resize(picture, (240, 320))
    for row, text in enumerate(names):
        cv2.putText(picture, text, (4, 300 - 16 * row), 0, 0.45, (0, 255, 0), 1)
    return picture


def table_of_faults(data: Path, count: int) -> None:
    print("\n| criterion | fault | source | noticed: n, share (95 %) | any doubt or refused |")
    print("| --- | --- | --- | --- | --- |")
    for name in SETS:
        rng = np.random.default_rng(1)
        records = side(data, name, Split.VALIDATION)
        order = rng.permutation(len(records))
        hits: dict[tuple[str, str], list[tuple[bool, bool, bool]]] = defaultdict(list)
        made = 0
        for number in order:
            mammogram = read_record(records[number])
            found = judged(mammogram)
            if found is None or any(one.name in DOUBTS for one in found[1].poor):
                continue
            for criterion, faults in FAULTS.items():
                for fault, make in faults.items():
                    after = judged(make(mammogram, found[0], rng))
                    hits[criterion, fault].append(noticed(after, criterion))
            made += 1
            if made == count:
                break
        for (criterion, fault), outcomes in hits.items():
            assessed = [one for one in outcomes if one[2]]
            seen = sum(one[0] for one in assessed)
            text = share(seen, len(assessed)) if assessed else "not assessable"
            stopped = share(sum(one[1] for one in outcomes), len(outcomes))
            print(f"| {criterion} | {fault} | {name} | {text} | {stopped} |", flush=True)


def noticed(
    after: tuple[PreparedView, ImageQuality] | None, criterion: str
) -> tuple[bool, bool, bool]:
    """Whether the criterion is poor, whether the image is doubted or refused, and whether it was
    assessed; a refused picture counts as noticed."""
    if after is None:
        return True, True, True
    view, quality = after
    by_name = {one.name: one.standing for one in quality.criteria}
    doubted = any(one.doubt for one in (*view.cautions, *quality.cautions()))
    standing = by_name.get(criterion, Standing.NOT_ASSESSABLE)
    return standing is Standing.POOR, doubted, standing is not Standing.NOT_ASSESSABLE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--faults", type=int, default=40, help="sound images a source that get them"
    )
    parser.add_argument("--limits", action="store_true", help="print the training side instead")
    parser.add_argument("--draw", type=Path, help="folder for pictures of what is doubted")
    asked = parser.parse_args()
    if asked.limits:
        quantiles(asked.data)
        return
    table_of_sound(asked.data, asked.draw)
    table_of_faults(asked.data, asked.faults)


if __name__ == "__main__":
    main()
