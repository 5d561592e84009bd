"""Drawn radiographs and slices of other parts of the body, for the measurement of the input gate.

Rough, but with what tells such pictures from a mammogram: bones, lungs, fingers, fans, two sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from gate_inputs import Picture, Rng, mark, slow, soft, to_picture, unit_grid

__all__ = ["BODIES"]

Field = npt.NDArray[np.float64]


def _ellipse(
    row: Field, col: Field, centre: tuple[float, float], size: tuple[float, float]
) -> Field:
    """1 − r² within an ellipse, 0 outside: how thick an ellipsoid is, squared."""
    return np.clip(
        1 - ((row - centre[0]) / size[0]) ** 2 - ((col - centre[1]) / size[1]) ** 2, 0, None
    )


def _bone(
    field: Field, start: tuple[float, float], end: tuple[float, float], width: float, depth: float
) -> None:
    """Add a long bone: a cylinder with a dense cortex and knobs at its ends."""
    rows, cols = field.shape
    row, col = np.mgrid[:rows, :cols].astype(np.float64)
    a, b = np.array(start) * (rows, cols), np.array(end) * (rows, cols)
    length = float(np.hypot(*(b - a))) + 1e-9
    unit = (b - a) / length
    along = (row - a[0]) * unit[0] + (col - a[1]) * unit[1]
    across = np.abs((row - a[0]) * unit[1] - (col - a[1]) * unit[0])
    ends = np.clip(along, 0, length)
    distance = np.where(along == ends, across, np.hypot(across, along - ends))
    flare = 1 + 0.5 * np.abs(ends / length - 0.5) ** 2 * 4
    r = distance / (width * min(rows, cols) * flare)
    field += depth * np.where(r < 1, 0.45 + 0.55 * np.exp(-(((r - 0.82) / 0.14) ** 2)), 0)


def _film(field: Field, rng: Rng) -> Picture:
    """Expose: contrast curve, noise, collimation, marker; at times turned or in negative."""
    field = np.clip(field, 0, None) / (field.max() + 1e-9)
    field = field ** rng.uniform(0.6, 1.3)
    if rng.random() < 0.4:
        low, high = np.quantile(field[field > 0.05], (0.02, 0.98))
        field = (field - low) / (high - low + 1e-9)
    picture = to_picture(soft(field, 1) + rng.uniform(0.002, 0.02) * rng.normal(size=field.shape))
    if rng.random() < 0.4:
        edge = (rng.uniform(0, 0.12, 4) * picture.shape[0]).astype(int)
        kept = np.zeros_like(picture)
        inner = np.s_[edge[0] : -edge[1] - 1, edge[2] : -edge[3] - 1]
        kept[inner] = picture[inner]
        picture = kept
    if rng.random() < 0.7:
        picture = mark(picture, rng)
    return picture


def draw_chest(rng: Rng) -> Picture:
    """Chest films, frontal and from the side: two lungs, ribs, spine, heart, diaphragm."""
    shape = int(rng.integers(500, 1000)), int(rng.integers(450, 950))
    row, col = unit_grid(shape)
    middle = rng.uniform(0.45, 0.55)
    wide = rng.uniform(0.38, 0.62)
    field = 0.85 * np.sqrt(_ellipse(row, col, (0.6, middle), (rng.uniform(0.7, 1.2), wide)))
    field += 0.3 * np.sqrt(_ellipse(row, col, (0.05, middle), (0.3, 0.2)))
    side = rng.random() < 0.25
    for sign in (0,) if side else (-1, 1):
        at = (rng.uniform(0.4, 0.48), middle + sign * rng.uniform(0.19, 0.24))
        size = (rng.uniform(0.28, 0.38), rng.uniform(0.13, 0.19) * (2 if side else 1))
        field -= rng.uniform(0.35, 0.55) * np.sqrt(_ellipse(row, col, at, size))
    field += 0.35 * np.sqrt(_ellipse(row, col, (0.58, middle + 0.06), (0.17, 0.15)))
    field += 0.25 / (1 + np.exp(-(row - rng.uniform(0.72, 0.82)) / 0.015))
    spine = middle + (0.25 if side else 0)
    field += 0.25 * np.exp(-(((col - spine) / 0.045) ** 2)) * (1 + 0.2 * np.sin(row * 90))
    ribs = np.zeros(shape)
    for n in range(10):
        for sign in (-1, 1):
            height = int((0.12 + 0.065 * n) * shape[0])
            centre = int((middle + sign * 0.2) * shape[1]), height + int(0.05 * shape[0])
            axes = int(0.2 * shape[1]), int(0.08 * shape[0])
            cv2.ellipse(ribs, centre, axes, float(sign * 12), 180, 360, 1.0, int(0.016 * shape[0]))
    field += 0.12 * soft(ribs, 2) + 0.02 * slow(rng, shape, 20)
    return _film(np.clip(field, 0, None), rng)


def draw_hand(rng: Rng) -> Picture:
    """Hands and feet: five rays of bones in soft tissue, one or two in the picture."""
    shape = int(rng.integers(320, 560)), int(rng.integers(260, 480))
    field, tissue = np.zeros(shape), np.zeros(shape, np.uint8)
    pair = rng.random() < 0.25
    for offset, scale in ((-0.23, 0.5), (0.23, 0.5)) if pair else ((0.0, 1.0),):
        root = (rng.uniform(0.72, 0.85), 0.5 + offset)
        spread = rng.uniform(0.5, 1.1)
        for n, reach in enumerate((0.42, 0.58, 0.63, 0.58, 0.45)):
            angle = (n - 2) * 0.25 * spread + (0.35 if n == 0 else 0)
            point = np.array(root) + scale * np.array([-0.08, 0.06 * (n - 2)])
            for part in (0.42, 0.26, 0.18, 0.12):
                step = scale * reach * part * np.array([-np.cos(angle), np.sin(angle)])
                start, end = tuple(point), tuple(point + 0.92 * step)
                _bone(field, start, end, 0.018 * scale, 1.0)
                ends = [(int(p[1] * shape[1]), int(p[0] * shape[0])) for p in (start, end)]
                cv2.line(tissue, *ends, 1, int(0.1 * scale * shape[1]))
                point = point + step
        palm = int(root[1] * shape[1]), int(root[0] * shape[0])
        cv2.ellipse(
            tissue,
            palm,
            (int(0.19 * scale * shape[1]), int(0.2 * shape[0] * scale)),
            0,
            0,
            360,
            1,
            -1,
        )
        cv2.line(tissue, palm, (palm[0], shape[0]), 1, int(0.24 * scale * shape[1]))
        for k in (-1, 1):
            _bone(
                field,
                (root[0] + 0.1, root[1] + k * 0.05 * scale),
                (1.2, root[1] + k * 0.05 * scale),
                0.03 * scale,
                1.0,
            )
    thick = cv2.distanceTransform(tissue, cv2.DIST_L2, 3).astype(np.float64)
    film = 0.5 * np.sqrt(thick / (thick.max() + 1e-9)) + 0.4 * np.clip(field, 0, 1.6)
    film[tissue == 0] = 0
    return _turned(_film(film, rng), rng)


def draw_limb(rng: Rng) -> Picture:
    """Knees, elbows, forearms, hips: one or two long bones in a band of soft tissue."""
    shape = int(rng.integers(500, 900)), int(rng.integers(300, 800))
    row, col = unit_grid(shape)
    wide = rng.uniform(0.2, 0.48)
    bend = 0.5 + rng.normal(0, 0.1) * (row - 0.5)
    outline = wide * (1 + 0.15 * np.sin(row * rng.uniform(2, 6) + rng.uniform(0, 6)))
    film = 0.6 * np.sqrt(np.clip(1 - ((col - bend) / outline) ** 2, 0, None))
    field = np.zeros(shape)
    joint = rng.uniform(0.35, 0.65)
    width = rng.uniform(0.09, 0.2) * wide * 2
    _bone(field, (-0.2, 0.5), (joint - 0.03, 0.5), width, 1)
    for k in (-0.35, 0.35) if rng.random() < 0.6 else (0.0,):
        _bone(field, (joint + 0.03, 0.5 + k * wide), (1.2, 0.5 + k * wide), width * 0.7, 1)
    return _turned(_film(film + 0.35 * field + 0.02 * slow(rng, shape, 30), rng), rng)


def draw_skull(rng: Rng) -> Picture:
    """Skulls from the front and the side, teeth, and a neck that leaves the picture."""
    shape = int(rng.integers(500, 900)), int(rng.integers(450, 900))
    row, col = unit_grid(shape)
    at, size = (rng.uniform(0.35, 0.5), rng.uniform(0.4, 0.6)), (0.33, rng.uniform(0.25, 0.38))
    r = np.sqrt(((row - at[0]) / size[0]) ** 2 + ((col - at[1]) / size[1]) ** 2)
    film = np.where(r < 1, 0.45 + 0.5 * np.exp(-(((r - 0.95) / 0.05) ** 2)), 0)
    film += 0.4 * np.sqrt(_ellipse(row, col, (at[0] + 0.33, at[1]), (0.2, 0.18)))
    film += 0.45 * np.sqrt(_ellipse(row, col, (1.0, at[1]), (0.4, 0.14)))
    for k in (-1, 1):
        film -= 0.2 * np.sqrt(_ellipse(row, col, (at[0] + 0.1, at[1] + k * 0.11), (0.06, 0.07)))
    for k in range(8):
        tooth = (at[0] + 0.35, at[1] - 0.08 + 0.023 * k)
        film += 0.3 * (_ellipse(row, col, tooth, (0.03, 0.009)) > 0)
    return _turned(_film(np.clip(film, 0, None) * (1 + 0.05 * slow(rng, shape, 25)), rng), rng)


def draw_trunk(rng: Rng) -> Picture:
    """Abdomen, pelvis and spine films: a body from edge to edge, spine and hip bones, gas."""
    shape = int(rng.integers(500, 900)), int(rng.integers(450, 850))
    row, col = unit_grid(shape)
    film = 0.7 * np.sqrt(np.clip(1 - ((col - 0.5) / rng.uniform(0.42, 0.8)) ** 2, 0, None))
    film += 0.3 * np.exp(-(((col - 0.5) / 0.06) ** 2)) * (1 + 0.25 * np.sign(np.sin(row * 60)))
    for k in (-1, 1):
        film += 0.3 * np.sqrt(_ellipse(row, col, (0.75, 0.5 + k * 0.25), (0.17, 0.14)))
        film -= 0.2 * np.sqrt(_ellipse(row, col, (0.85, 0.5 + k * 0.12), (0.05, 0.045)))
    gas = np.clip(slow(rng, shape, 60) - 0.8, 0, 1)
    return _film(np.clip(film - 0.25 * gas + 0.03 * slow(rng, shape, 25), 0, None), rng)


def draw_slice(rng: Rng) -> Picture:
    """CT and MR slices of head, trunk and both breasts: islands with organs."""
    shape = (512, 512) if rng.random() < 0.6 else (int(rng.integers(256, 512)), 512)
    row, col = unit_grid(shape)
    size = rng.uniform(0.25, 0.45), rng.uniform(0.3, 0.48)
    angle = np.arctan2(row - 0.5, col - 0.5)
    bumps = 0.05 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.03 * np.sin(5 * angle)
    r = np.hypot((row - 0.5) / size[0], (col - 0.5) / size[1]) - bumps
    field = np.where(r < 1, rng.uniform(0.25, 0.55), 0.0)
    shell = rng.uniform(0.03, 0.15)
    field[(r < 1) & (r > 1 - shell)] = rng.uniform(0.1, 1.0)
    for _ in range(int(rng.integers(2, 12))):
        at = rng.uniform(0.3, 0.7, 2)
        organ = _ellipse(row, col, (at[0], at[1]), tuple(rng.uniform(0.02, 0.16, 2)))
        field[(organ > 0) & (r < 1 - shell)] = rng.uniform(0, 1)
    if rng.random() < 0.25:
        for k in (-1, 1):
            breast = _ellipse(row, col, (0.28, 0.5 + k * 0.2), (0.22, 0.15))
            field = np.maximum(field, np.where(breast > 0, 0.3 + 0.2 * slow(rng, shape, 12), 0))
    if rng.random() < 0.4:
        field[np.hypot(row - 0.5, col - 0.5) > 0.5] = 0
        field[(row > 0.93) & (row < 0.95)] += 0.3
    if rng.random() < 0.15:
        field = 1 - field
    noise = rng.uniform(0.005, 0.05) * soft(rng.normal(size=shape), rng.uniform(0.3, 1.2))
    return to_picture(soft(field * (1 + 0.06 * slow(rng, shape, 12)), 1) + noise)


def draw_ultrasound(rng: Rng) -> Picture:
    """Ultrasound stills: a fan or a box of speckle in layers, with the scanner's words about it."""
    shape = int(rng.integers(480, 800)), int(rng.integers(600, 1000))
    row, col = unit_grid(shape)
    layers = 0.35 + 0.2 * np.sin(row * rng.uniform(10, 40) + slow(rng, shape, 120))
    for _ in range(int(rng.integers(1, 5))):
        at = rng.uniform(0.25, 0.75, 2)
        cyst = _ellipse(row, col, (at[0], at[1]), tuple(rng.uniform(0.03, 0.12, 2))) > 0
        layers[cyst] *= rng.uniform(0.05, 0.5)
    speckle = np.abs(soft(rng.normal(size=shape), 1.5))
    field = layers * speckle / speckle.mean() * (1.1 - 0.7 * row)
    if rng.random() < 0.5:
        angle = np.arctan2(col - 0.5, row + 0.05)
        reach = np.hypot(col - 0.5, row + 0.05)
        seen = (np.abs(angle) < rng.uniform(0.4, 0.75)) & (reach > 0.12) & (reach < 0.95)
    else:
        edge = rng.uniform(0.05, 0.25)
        seen = (col > edge) & (col < 1 - edge) & (row > 0.1) & (row < 0.92)
    picture = to_picture(np.where(seen, field, 0))
    for n in range(int(rng.integers(2, 9))):
        word = rng.choice(["Gain", "MI", "TIs", "FR", "L12-5", "DR", "Depth"])
        text = f"{word} {rng.integers(1, 99)}"
        cv2.putText(picture, text, (8, 40 + 26 * n), 0, 0.5, 200, 1)
    return picture


def _turned(picture: Picture, rng: Rng) -> Picture:
    return np.ascontiguousarray(np.rot90(picture, int(rng.choice([0, 0, 0, 1, 2, 3]))))


BODIES: Final[Mapping[str, Callable[[Rng], Picture]]] = {
    "chest": draw_chest,
    "hand": draw_hand,
    "limb": draw_limb,
    "skull": draw_skull,
    "slice": draw_slice,
    "trunk": draw_trunk,
    "ultrasound": draw_ultrasound,
}
"""Kind → how one is drawn."""
