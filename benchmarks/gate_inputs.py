"""Drawn pictures that are no mammogram: what the input gate must not let through.

Every function draws one picture, uint8 (rows, columns), from a random generator: the same
generator gives the same picture. `DRAWN` names them all; `gate_bodies.py` draws other parts of
the body, and `gate_montages.py` has the kinds that are made out of mammograms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = [
    "DRAWN",
    "Picture",
    "Rng",
    "mark",
    "put_words",
    "slow",
    "soft",
    "to_picture",
    "unit_grid",
]

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float64]
Rng = np.random.Generator

WORDS = (
    *("PATIENT", "NAME", "DATE", "OF", "BIRTH", "REPORT", "FINDINGS", "IMPRESSION", "BREAST"),
    *("RIGHT", "LEFT", "DENSITY", "BIRADS", "RADIOLOGY", "HOSPITAL", "STUDY", "ACCESSION", "NO"),
    *("EVIDENCE", "OF", "COMPARISON", "TECHNIQUE", "the", "is", "of", "and", "in", "a", "with"),
)


def to_picture(field: npt.ArrayLike) -> Picture:
    """Clip 0–1 to uint8."""
    return np.rint(np.clip(np.asarray(field, np.float64), 0, 1) * 255).astype(np.uint8)


def slow(rng: Rng, shape: tuple[int, int], scale: float) -> Field:
    """Smooth noise of unit deviation whose blobs are about `scale` pixels wide."""
    small = max(2, round(shape[0] / scale)), max(2, round(shape[1] / scale))
    field = cv2.resize(rng.normal(size=small), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray((field - field.mean()) / (field.std() + 1e-9))


def put_words(picture: Picture, rng: Rng, box: tuple[int, int, int, int], grey: int) -> None:
    """Write lines of words into a box (row0, col0, row1, col1) of a picture."""
    size = float(rng.uniform(0.35, 0.9))
    line = int(26 * size) + 4
    for row in range(box[0] + line, box[2], line):
        if rng.random() < 0.12:
            continue
        words = " ".join(rng.choice(WORDS, int(rng.integers(1, 14))))
        width = int(17 * size)
        words = words[: max(1, (box[3] - box[1]) // max(1, width))]
        cv2.putText(picture, words, (box[1] + 4, row), cv2.FONT_HERSHEY_SIMPLEX, size, grey, 1)


def _shape(rng: Rng, low: int = 360, high: int = 900) -> tuple[int, int]:
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def unit_grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    row, col = np.mgrid[: shape[0], : shape[1]]
    return row / shape[0], col / shape[1]


def soft(field: Field, width: float) -> Field:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), max(width, 0.3)))


def mark(picture: Picture, rng: Rng) -> Picture:
    """A lead marker: a letter, with or without its plate."""
    rows, cols = picture.shape
    row, col = int(rng.uniform(0.06, 0.9) * rows), int(rng.uniform(0.04, 0.85) * cols)
    if rng.random() < 0.4:
        cv2.rectangle(picture, (col - 5, row - 24), (col + 40, row + 8), 250, -1)
        cv2.putText(picture, str(rng.choice(["R", "L", "CC"])), (col, row), 0, 0.9, 10, 2)
    else:
        text = str(rng.choice(["R", "L", "RCC", "LMLO", "PA"]))
        cv2.putText(picture, text, (col, row), 0, 0.9, 245, 2)
    return picture


def draw_blank(rng: Rng) -> Picture:
    """An exposure without a breast: detector noise, a slow slope, at times a marker."""
    shape = _shape(rng)
    noise = rng.normal(size=shape) if rng.random() < 0.7 else rng.uniform(-1.7, 1.7, shape)
    if rng.random() < 0.4:
        noise = soft(noise, rng.uniform(0.4, 2.5))
        noise /= noise.std()
    row, col = unit_grid(shape)
    slope = rng.uniform(-1, 1) * row + rng.uniform(-1, 1) * col
    level = rng.uniform(0.0, 0.9)
    field = level + rng.choice([0.002, 0.01, 0.04, 0.15]) * noise
    if rng.random() < 0.5:
        field = field + rng.choice([0.02, 0.1, 0.3]) * slope
    picture = to_picture(field)
    if rng.random() < 0.6:
        plate = int(min(shape) * rng.uniform(0.02, 0.09))
        at = int(rng.integers(0, shape[0] - plate)), int(rng.integers(0, shape[1] - plate))
        picture[at[0] : at[0] + plate, at[1] : at[1] + plate] = 255
    return mark(picture, rng) if rng.random() < 0.4 else picture


def draw_ramp(rng: Rng) -> Picture:
    """Grey ramps, steps, chequers and test patterns."""
    row, col = unit_grid(_shape(rng))
    kind = int(rng.integers(0, 6))
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.5 else rng.integers(0, 4) * np.pi / 2
    along = row * np.sin(angle) + col * np.cos(angle)
    along = (along - along.min()) / np.ptp(along)
    if kind == 0:
        field = along ** rng.uniform(0.4, 2.5)
    elif kind == 1:
        steps = int(rng.integers(3, 18))
        field = np.floor(along * steps) / (steps - 1)
    elif kind == 2:
        field = np.hypot(row - rng.uniform(0, 1), col - rng.uniform(0, 1))
        field = field / field.max() if rng.random() < 0.5 else 1 - field / field.max()
    elif kind == 3:
        count = int(rng.integers(3, 20))
        field = (np.floor(row * count) + np.floor(col * count)) % 2 * rng.uniform(0.4, 1)
    elif kind == 4:
        field = 0.5 + 0.5 * np.sin(along * rng.uniform(6, 120))
    else:
        field = np.full(row.shape, 0.5)
        field[(row > 0.1) & (row < 0.9) & (col > 0.1) & (col < 0.9)] = 0.3
        for n in range(11):
            r, c = 0.2 + 0.3 * (n // 4), 0.15 + 0.19 * (n % 4)
            field[(row > r) & (row < r + 0.2) & (col > c) & (col < c + 0.15)] = n / 10
    return to_picture(field + rng.choice([0, 0.01, 0.03]) * rng.normal(size=field.shape))


def draw_scene(rng: Rng) -> Picture:
    """What photographs have in common: objects before each other, edges at every scale."""
    shape = _shape(rng)
    field = 0.5 + 0.2 * slow(rng, shape, max(shape) / rng.uniform(1, 4))
    picture = to_picture(field)
    for _ in range(int(rng.integers(8, 220))):
        size = float(min(shape) * 0.35 * rng.random() ** 3 + 4)
        at = int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0]))
        grey = int(rng.integers(0, 256))
        if rng.random() < 0.5:
            axes = (int(size * rng.uniform(0.3, 1)) + 1, int(size) + 1)
            cv2.ellipse(picture, at, axes, float(rng.uniform(0, 180)), 0, 360, grey, -1)
        else:
            corners = rng.normal(0, size, (int(rng.integers(3, 7)), 2)) + at
            cv2.fillPoly(picture, [corners.astype(np.int32)], grey)
    grain = rng.uniform(0, 0.06) * rng.normal(size=shape) + rng.uniform(0, 0.1) * slow(
        rng, shape, 6
    )
    return to_picture(soft(picture / 255.0, rng.uniform(0.4, 2)) + grain)


def draw_texture(rng: Rng) -> Picture:
    """Cloth, grass, clouds, sand: one texture from edge to edge."""
    shape = _shape(rng)
    decay = rng.uniform(0.3, 1.6)
    field = sum(slow(rng, shape, s) * s**decay for s in (2, 4, 8, 16, 32, 64, 128))
    field = np.asarray(field) / np.std(field)
    if rng.random() < 0.3:
        field = np.abs(field) - 1
    return to_picture(rng.uniform(0.3, 0.7) + rng.uniform(0.08, 0.3) * field)


def draw_document(rng: Rng) -> Picture:
    """Printed pages, forms with frames, reports in white on black, bar codes, curves."""
    shape = int(rng.integers(500, 1000)), int(rng.integers(400, 900))
    dark = rng.random() < 0.35
    paper, ink = (int(rng.integers(0, 40)), 235) if dark else (int(rng.integers(200, 256)), 20)
    picture = np.full(shape, paper, np.uint8)
    edge = int(rng.uniform(0, 0.1) * shape[1])
    put_words(picture, rng, (edge, edge, int(shape[0] * rng.uniform(0.4, 1)), shape[1] - edge), ink)
    if rng.random() < 0.5:
        for row in np.linspace(edge, shape[0] - edge - 1, int(rng.integers(3, 25))).astype(int):
            cv2.line(picture, (edge, int(row)), (shape[1] - edge, int(row)), ink, 1)
        for col in np.linspace(edge, shape[1] - edge - 1, int(rng.integers(2, 8))).astype(int):
            cv2.line(picture, (int(col), edge), (int(col), shape[0] - edge), ink, 1)
    if rng.random() < 0.4:
        at = int(rng.uniform(0.4, 0.8) * shape[0])
        wave = at + 40 * np.sin(np.linspace(0, 60, shape[1])) * slow(rng, (2, shape[1]), 9)[0]
        line = np.stack([np.arange(shape[1]), wave], 1).astype(np.int32)
        cv2.polylines(picture, [line], False, ink, 1)
    if rng.random() < 0.3:
        bars = np.repeat(rng.random(60) < 0.5, 3)
        picture[10:60, 10 : 10 + bars.size] = np.where(bars, ink, paper)
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((shape[1] / 2, shape[0] / 2), rng.normal(0, 3), 1)
        picture = np.asarray(cv2.warpAffine(picture, turn, shape[::-1], borderValue=paper))
    shade = 1 + 0.1 * rng.random() * slow(rng, shape, 300)
    return to_picture(picture / 255.0 * shade + 0.01 * rng.normal(size=shape))


def draw_phantom(rng: Rng) -> Picture:
    """Quality control: a uniform block with discs, fibres and specks, a step wedge, line pairs."""
    shape = int(rng.integers(600, 1000)), int(rng.integers(450, 800))
    row, col = unit_grid(shape)
    tall, wide = rng.uniform(0.25, 0.95), rng.uniform(0.35, 0.95)
    top = rng.uniform(0, 1 - tall)
    left = 0.0 if rng.random() < 0.6 else rng.uniform(0, 1 - wide)
    if rng.random() < 0.3:
        bent = ((row - top - tall / 2) / (tall / 2)) ** 2 + ((col - left) / wide) ** 2
        block = (bent < 1) & (col >= left)
    else:
        block = (row >= top) & (row < top + tall) & (col >= left) & (col < left + wide)
    level = rng.uniform(0.3, 0.85)
    detail = np.zeros(shape)
    for _ in range(int(rng.integers(5, 30))):
        at = (
            int(shape[1] * (left + rng.uniform(0.1, 0.9) * wide)),
            int(shape[0] * (top + rng.uniform(0.1, 0.9) * tall)),
        )
        kind, depth = rng.integers(0, 4), float(rng.uniform(0.02, 0.35))
        if kind == 0:
            cv2.circle(detail, at, int(rng.integers(4, 40)), depth, -1)
        elif kind == 1:
            end = at[0] + int(rng.integers(-60, 60)), at[1] + int(rng.integers(-60, 60))
            cv2.line(detail, at, end, depth, int(rng.integers(1, 5)))
        elif kind == 2:
            for _ in range(6):
                speck = (rng.normal(0, 14, 2) + at).astype(int)
                cv2.circle(
                    detail, (int(speck[0]), int(speck[1])), int(rng.integers(1, 4)), depth, -1
                )
        else:
            side = int(rng.integers(10, 60))
            cv2.rectangle(detail, at, (at[0] + side, at[1] + side), depth, -1)
    inside = level + soft(detail, rng.uniform(0.4, 3)) + rng.uniform(0, 0.08) * (1 - col)
    noise = rng.uniform(0.003, 0.03) * soft(rng.normal(size=shape), rng.uniform(0.3, 1))
    field = np.where(block, inside, rng.uniform(0, 0.04))
    picture = to_picture(soft(field, rng.uniform(0.3, 2)) + noise)
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    return mark(picture, rng) if rng.random() < 0.5 else picture


def draw_specimen(rng: Rng) -> Picture:
    """Excised tissue or biopsy cores: islands that touch no edge, with wires, clips and grids."""
    shape = _shape(rng, 500, 1000)
    row, col = unit_grid(shape)
    field = np.full(shape, rng.uniform(0, 0.06))
    cores = rng.random() < 0.3
    for _ in range(int(rng.integers(3, 10)) if cores else int(rng.choice([1, 1, 1, 2]))):
        centre = rng.uniform(0.35, 0.65, 2) if not cores else rng.uniform(0.2, 0.8, 2)
        turn = rng.uniform(0, np.pi)
        size = (0.02, 0.18) if cores else tuple(rng.uniform(0.12, 0.33, 2))
        y, x = row - centre[0], col - centre[1]
        u, v = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
        bumps = sum(
            rng.normal(0, 0.1) * np.sin(k * np.arctan2(v, u) + rng.uniform(0, 6))
            for k in (2, 3, 5, 7)
        )
        depth = 1 - np.hypot(u / size[0], v / size[1]) + bumps
        tissue = (
            0.35 + 0.3 * np.clip(depth, 0, 1) + 0.08 * sum(slow(rng, shape, s) for s in (12, 40))
        )
        field = np.where(depth > 0, tissue, field)
    picture = to_picture(soft(field, 1.2) + 0.01 * rng.normal(size=shape))
    rows, cols = shape
    for _ in range(int(rng.integers(0, 30))):
        at = int(cols * rng.uniform(0.35, 0.65)), int(rows * rng.uniform(0.35, 0.65))
        cv2.circle(picture, at, int(rng.integers(1, 4)), 230, -1)
    if rng.random() < 0.4:
        points = (rng.uniform(0.2, 0.8, (4, 2)) * (cols, rows)).astype(np.int32)
        cv2.polylines(picture, [points], False, 255, 2)
    if rng.random() < 0.3:
        for k in range(1, 8):
            cv2.putText(picture, "ABCDEFGH"[k], (8, k * rows // 8), 0, 0.6, 200, 1)
            cv2.line(picture, (0, k * rows // 8), (cols, k * rows // 8), 60, 1)
    return mark(picture, rng) if rng.random() < 0.5 else picture


def draw_segmentation(rng: Rng) -> Picture:
    """Masks, outlines and label maps: few flat grey levels."""
    shape = _shape(rng)
    field = slow(rng, shape, min(shape) / rng.uniform(1.5, 6))
    levels = int(rng.integers(2, 6))
    cut = np.digitize(field, np.quantile(field, np.linspace(0.3, 0.95, levels - 1)))
    picture = to_picture(cut / (levels - 1))
    if rng.random() < 0.3:
        picture = np.asarray(cv2.Canny(picture, 50, 100))
    return picture


DRAWN: Final[Mapping[str, Callable[[Rng], Picture]]] = {
    "blank": draw_blank,
    "document": draw_document,
    "phantom": draw_phantom,
    "ramp": draw_ramp,
    "scene": draw_scene,
    "segmentation": draw_segmentation,
    "specimen": draw_specimen,
    "texture": draw_texture,
}
"""Kind → how one is drawn."""
