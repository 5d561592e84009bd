"""Pictures made out of mammograms that are not one whole breast, to measure the input gate with.

Every function takes a random generator and upright mammograms, uint8 (rows, columns), breast
brighter than air, and gives one picture. `MONTAGES` names them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from gate_inputs import Picture, Rng, mark, put_words, slow, soft, to_picture

__all__ = ["MONTAGES"]


def chest_wall_left(picture: Picture) -> Picture:
    """The mammogram with its chest wall at the left (the side of more breast)."""
    lit = picture > _air(picture)
    half = lit.shape[1] // 2
    return picture if lit[:, :half].sum() >= lit[:, -half:].sum() else picture[:, ::-1]


def breast_box(picture: Picture) -> tuple[int, int, int, int]:
    """Rows and columns of the largest bright part."""
    lit = (cv2.medianBlur(picture, 5) > _air(picture)).astype(np.uint8)
    _, _labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    col, row, wide, tall, _ = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    return int(row), int(col), int(row + tall), int(col + wide)


def _air(picture: Picture) -> int:
    low = int(np.argmax(np.bincount(picture[picture < 120].ravel(), minlength=1)))
    return low + 14


def _fit(picture: Picture, tall: int) -> Picture:
    wide = max(1, round(picture.shape[1] * tall / picture.shape[0]))
    return np.asarray(cv2.resize(picture, (wide, tall), interpolation=cv2.INTER_AREA), np.uint8)


def make_sheet(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """The four (or six, or eight) views of an exam as one picture."""
    rows, cols = [(2, 2), (2, 2), (1, 4), (4, 1), (2, 3), (2, 4)][int(rng.integers(0, 6))]
    tall, gap = int(rng.integers(260, 480)), int(rng.choice([0, 0, 4, 16]))
    hung = rng.random() < 0.6
    lines = []
    for _ in range(rows):
        tiles = []
        for n in range(cols):
            tile = _fit(chest_wall_left(pool[int(rng.integers(0, len(pool)))]), tall)
            tiles.append(np.pad(tile[:, ::-1] if (n % 2 == 0) == hung else tile, gap))
        lines.append(np.hstack(tiles))
    widest = max(line.shape[1] for line in lines)
    sheet = np.vstack([np.pad(line, ((0, 0), (0, widest - line.shape[1]))) for line in lines])
    if rng.random() < 0.3:
        put_words(sheet, rng, (0, 0, 40, 300), 220)
    return sheet


def make_pair(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """Right and left breast beside each other: back to back, face to face, or in a row."""
    tall = int(rng.integers(400, 700))
    one, two = (
        _fit(chest_wall_left(pool[int(rng.integers(0, len(pool)))]), tall) for _ in range(2)
    )
    how = int(rng.integers(0, 4))
    first = one[:, ::-1] if how in (0, 3) else one
    second = two[:, ::-1] if how in (1, 3) else two
    gap = np.zeros((tall, int(rng.choice([0, 0, 2, 20]))), np.uint8)
    return np.hstack([first, gap, second])


def make_patch(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """A piece of a breast without air: no outline."""
    picture = pool[int(rng.integers(0, len(pool)))]
    row0, col0, row1, col1 = breast_box(picture)
    lit = picture > _air(picture)
    lit = picture > max(_air(picture), 0.6 * float(np.median(picture[lit])))
    best, share = picture, 0.0
    for attempt in range(80):
        scale = rng.uniform(0.2, 0.6) if attempt < 40 else rng.uniform(0.12, 0.3)
        if share > 0.98:
            break
        tall, wide = int(scale * (row1 - row0)), int(scale * (col1 - col0) * rng.uniform(0.8, 1.3))
        wide = min(wide, col1 - col0)
        top = int(rng.integers(row0, max(row0 + 1, row1 - tall)))
        left = int(rng.integers(col0, max(col0 + 1, col1 - wide + 1)))
        window = np.s_[top : top + tall, left : left + wide]
        if min(tall, wide) > 24 and lit[window].mean() > share:
            best, share = picture[window], float(lit[window].mean())
    if rng.random() < 0.5:
        factor = 512 / max(best.shape)
        best = np.asarray(cv2.resize(best, None, fx=factor, fy=factor), np.uint8)
    return np.ascontiguousarray(best)


def make_viewer(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """A screenshot: one to four viewports among bars of buttons, with words on the pictures."""
    shape = int(rng.integers(600, 900)), int(rng.integers(900, 1300))
    ground = int(rng.choice([0, 25, 60, 200, 240]))
    screen = np.full(shape, ground, np.uint8)
    ink = 230 if ground < 128 else 20
    bar, side = int(rng.integers(30, 90)), int(rng.choice([0, 60, 220]))
    cv2.rectangle(screen, (0, 0), (shape[1], bar), int(rng.integers(40, 220)), -1)
    for n in range(int(rng.integers(4, 16))):
        at = 10 + n * 52
        cv2.rectangle(screen, (at, 8), (at + 36, bar - 8), int(rng.integers(0, 255)), 2)
    if side:
        put_words(screen, rng, (bar, 0, shape[0], side), ink)
    rows, cols = [(1, 1), (1, 2), (2, 2), (1, 4)][int(rng.integers(0, 4))]
    tall, wide = (shape[0] - bar) // rows, (shape[1] - side) // cols
    for n in range(rows * cols):
        top, left = bar + (n // cols) * tall, side + (n % cols) * wide
        view = screen[top : top + tall - 4, left : left + wide - 4]
        view[:] = 0
        picture = pool[int(rng.integers(0, len(pool)))]
        factor = min(view.shape[0] / picture.shape[0], view.shape[1] / picture.shape[1])
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        small = small[: view.shape[0], : view.shape[1]]
        at = (view.shape[1] - small.shape[1]) // 2
        view[: small.shape[0], at : at + small.shape[1]] = small
        put_words(view, rng, (0, 0, min(120, tall), wide // 2), 220)
        put_words(view, rng, (max(0, tall - 110), wide // 2, tall, wide), 220)
        cv2.rectangle(screen, (left, top), (left + wide - 4, top + tall - 4), 120, 1)
    return screen


def make_recombined(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """A contrast exam's recombined picture: flat grey, only slow texture and enhancement."""
    picture = pool[int(rng.integers(0, len(pool)))]
    inside = cv2.morphologyEx(
        (cv2.medianBlur(picture, 5) > _air(picture)).astype(np.uint8),
        cv2.MORPH_CLOSE,
        np.ones((9, 9), np.uint8),
    )
    shape = picture.shape
    flat = 0.5 + rng.uniform(0.0, 0.09) * slow(rng, shape, max(shape) / rng.uniform(8, 45))
    for _ in range(int(rng.integers(0, 4))):
        at = rng.uniform(0.2, 0.8, 2) * shape
        row, col = np.mgrid[: shape[0], : shape[1]]
        near = np.hypot(row - at[0], col - at[1]) / (max(shape) * rng.uniform(0.01, 0.05))
        flat += rng.uniform(0.05, 0.3) * np.exp(-(near**2))
    grain = rng.choice([0.0, 0.004, 0.015]) * soft(rng.normal(size=shape), 0.7)
    return to_picture(np.where(inside > 0, flat + grain, 0.0))


def make_quarter_turn(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """A mammogram that lies on its side: the chest wall at the top or the bottom."""
    picture = pool[int(rng.integers(0, len(pool)))]
    return np.ascontiguousarray(np.rot90(picture, int(rng.choice([1, 3]))))


def make_collimated(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """A spot or magnified view: a square or round field within the breast, black about it."""
    patch = make_patch(rng, pool)
    edge = rng.uniform(0.08, 0.5, 4)
    tall, wide = patch.shape
    if rng.random() < 0.4:
        row, col = np.mgrid[:tall, :wide]
        away = np.hypot((row - tall / 2) / tall, (col - wide / 2) / wide)
        patch = np.where(away < 0.48, patch, 0).astype(np.uint8)
    margins = (
        (int(edge[0] * tall), int(edge[1] * tall)),
        (int(edge[2] * wide), int(edge[3] * wide)),
    )
    framed = np.pad(patch, margins)
    return mark(framed, rng) if rng.random() < 0.4 else framed


def make_photographed(rng: Rng, pool: Sequence[Picture]) -> Picture:
    """A film on a light box or a screen, photographed: askew, with the room about it."""
    picture = _fit(pool[int(rng.integers(0, len(pool)))], 520)
    tall, wide = picture.shape
    shape = tall + 240, wide + 240
    room = to_picture(rng.choice([0.2, 0.5, 0.9]) + 0.12 * slow(rng, shape, 200))
    corners = np.array([[0, 0], [wide, 0], [wide, tall], [0, tall]], np.float32)
    there = corners + 120 + rng.normal(0, 22, (4, 2)).astype(np.float32)
    turn = cv2.getPerspectiveTransform(corners, there.astype(np.float32))
    placed = cv2.warpPerspective(
        picture, turn, shape[::-1], dst=room, borderMode=cv2.BORDER_TRANSPARENT
    )
    field = soft(np.asarray(placed) / 255.0, rng.uniform(0.5, 1.5))
    return to_picture(field * rng.uniform(0.7, 1) + 0.02 * rng.normal(size=shape))


Make = Callable[[Rng, Sequence[npt.NDArray[np.uint8]]], Picture]
MONTAGES: Final[Mapping[str, Make]] = {
    "collimated": make_collimated,
    "pair": make_pair,
    "patch": make_patch,
    "photographed": make_photographed,
    "quarter_turn": make_quarter_turn,
    "recombined": make_recombined,
    "sheet": make_sheet,
    "viewer": make_viewer,
}
"""Kind → how one is made."""
