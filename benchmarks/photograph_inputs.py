"""Photographs of films on a light box, simulated from digitised films; and deliberately bad ones.

The order is that of nature: optical density of the film, light of the box behind it, reflections
in front of it, perspective, lens (vignette, blur), pattern of the sensor against the light (moiré),
noise, sRGB in 8 bits, JPEG. What phones do beyond that (sharpening, local tone mapping, several
exposures in one) is not simulated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["BAD", "LEVELS", "Strength", "bad_photograph", "photograph_of"]

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Strength:
    """How much is wrong with a photograph.

    Lengths are shares of the film's longer side, lights shares of the box's light. `film_px` is
    that side in pixels, `corner` how far each corner is moved at most, `uneven` and `vignette` how
    much light is missing at the ends, `veil` stray light on the film, `moire` and `noise` standard
    deviations, `blur` that of the lens, `jpeg` the quality.
    """

    film_px: int
    corner: float
    uneven: float
    vignette: float
    veil: float
    moire: float
    noise: float
    blur: float
    jpeg: int


LEVELS: Final = {
    "light": Strength(1560, 0.01, 0.08, 0.08, 0.001, 0.003, 0.002, 0.0002, 95),
    "usual": Strength(1500, 0.03, 0.20, 0.20, 0.004, 0.010, 0.004, 0.0005, 90),
    "strong": Strength(1440, 0.05, 0.35, 0.30, 0.010, 0.025, 0.008, 0.0009, 80),
}
"""Three levels; their strengths were stated before anything was measured."""

BAD: Final = {
    "glare": "glare",
    "steep": "perspective",
    "out_of_focus": "blurred",
    "moved": "blurred",
    "far_away": "low_resolution",
    "cut_off": "edges_not_found",
    "box_off": "edges_not_found",
    "two_films": "several_films",
    "document": "not_a_film",
    "coloured": "not_a_film",
}
"""Kinds of bad photographs → the fault that should be named."""


def photograph_of(
    film: Floats, rng: np.random.Generator, strength: Strength
) -> npt.NDArray[np.uint8]:
    """Photograph a film.

    Parameters
    ----------
    film
        (rows, columns), 0 (black, dense film) to 1.

    Returns
    -------
    (rows, columns, 3) uint8.
    """
    return _developed(_scene([film], rng, strength)[0], rng, strength)


def bad_photograph(kind: str, film: Floats, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Make a bad photograph of one of the kinds of `BAD`; all else is as at the level usual."""
    usual = LEVELS["usual"]
    changed = {
        "steep": replace(usual, corner=0.0),
        "out_of_focus": replace(usual, blur=float(rng.uniform(0.004, 0.008))),
        "far_away": replace(usual, film_px=int(rng.integers(500, 1100))),
    }.get(kind, usual)
    films = [film]
    if kind == "two_films":
        films = [film, film[:, ::-1]]
    elif kind == "document":
        films = [_page(rng)]
    light, first = _scene(films, rng, changed, steep=kind == "steep")
    rows, columns = light.shape
    if kind == "glare":
        light = light + _reflection(rng, light.shape, first)
    elif kind == "moved":
        light = _moved(light, rng, changed)
    elif kind == "cut_off":
        top, left = int(first[:, 1].min()), int(first[:, 0].min())
        light = light[top + rows // 8 :] if rng.random() < 0.5 else light[:, left + columns // 8 :]
    elif kind == "box_off":
        light = 0.04 + 0.1 * light * float(rng.uniform(0.2, 0.6))
    photograph = _developed(light, rng, changed)
    return _tinted(photograph, rng) if kind == "coloured" else photograph


def _scene(
    films: list[Floats], rng: np.random.Generator, strength: Strength, steep: bool = False
) -> tuple[Floats, Floats]:
    """Light at each pixel before the lens, and the corners (x, y) of the first film."""
    rows, columns = films[0].shape[:2]
    tall, wide = _sides(rows, columns, strength.film_px)
    margin = round(0.13 * max(tall, wide))
    shape = tall + 2 * margin, wide * len(films) + margin * (1 + len(films))
    light = np.full(shape, 0.01, np.float32)
    moves = rng.uniform(-1, 1, (4, 2)) * strength.corner * max(tall, wide)
    if steep:
        moves = _steep(rng, tall, wide)
    inner = round(0.35 * margin)
    box = _corners(shape[0] - 2 * inner, shape[1] - 2 * inner, inner, inner)
    cv2.fillConvexPoly(light, np.round(box + 0.4 * moves).astype(np.int32), 1.0)
    first: Floats = np.empty(0)
    for number, film in enumerate(films):
        place = _corners(tall, wide, margin, margin + number * (wide + margin)) + moves
        first = place if number == 0 else first
        through = _through(film, rng, (tall, wide))
        matrix = cv2.getPerspectiveTransform(
            (_corners(tall, wide, 0, 0) - 0.5).astype(np.float32), place.astype(np.float32)
        )
        size = (shape[1], shape[0])
        laid = cv2.warpPerspective(through, matrix, size, flags=cv2.INTER_LINEAR)
        mask = cv2.warpPerspective(np.ones_like(through), matrix, size, flags=cv2.INTER_LINEAR)
        light = light * (1 - mask) + laid
    return light * _box_light(rng, shape, strength.uneven), first


def _through(film: Floats, rng: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Light that a film lets through: greys are linear in optical density, corners are rounded."""
    densest, base = rng.uniform(2.6, 3.2), rng.uniform(0.2, 0.3)
    grey = cv2.resize(film.astype(np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)
    density = base + (1 - np.clip(grey, 0, 1)) * np.float32(densest - base)
    through = np.exp(np.float32(-np.log(10)) * np.asarray(density, np.float32))
    radius = round(0.02 * max(size))
    keep = np.zeros(size, np.uint8)
    cv2.rectangle(keep, (radius, 0), (size[1] - radius, size[0]), 1, -1)
    cv2.rectangle(keep, (0, radius), (size[1], size[0] - radius), 1, -1)
    for x in (radius, size[1] - radius - 1):
        for y in (radius, size[0] - radius - 1):
            cv2.circle(keep, (x, y), radius, 1, -1)
    return np.where(keep > 0, through, 1.0).astype(np.float32)


def _box_light(rng: np.random.Generator, shape: tuple[int, int], uneven: float) -> Floats:
    """A box whose tubes are in two stripes, brighter at one end."""
    y, x = _places(*shape)
    slope = rng.uniform(-1, 1, 2)
    stripes = 0.5 - 0.5 * np.cos(2 * np.pi * (x * rng.uniform(0.6, 1.0) + rng.uniform(-0.1, 0.1)))
    return np.asarray(
        1 - uneven * (0.5 + 0.25 * (slope[0] * x + slope[1] * y)) * (0.5 + 0.5 * stripes),
        np.float32,
    )


def _developed(
    light: Floats, rng: np.random.Generator, strength: Strength
) -> npt.NDArray[np.uint8]:
    """What a phone makes of the light."""
    rows, columns = light.shape
    y, x = _places(rows, columns)
    seen = light * (1 - strength.vignette * (x * x + y * y) / 2)
    seen += strength.veil * (1 + 0.5 * np.sin(rng.uniform(1, 3) * x + rng.uniform(0, 6)))
    sigma = max(strength.blur * strength.film_px, 0.3)
    seen = cv2.GaussianBlur(np.asarray(seen, np.float32), (0, 0), sigma)
    fine = (rng.uniform(0.15, 0.45, 2) * np.array([rows, columns]) / 12).astype(np.float32)
    # sin(ay + bx) + sin(by - ax), from waves in one dimension
    waves = np.sin(fine[0] * y) * np.cos(fine[1] * x) + np.cos(fine[0] * y) * np.sin(fine[1] * x)
    waves += np.sin(fine[1] * y) * np.cos(fine[0] * x) - np.cos(fine[1] * y) * np.sin(fine[0] * x)
    seen *= 1 + strength.moire / 2 * waves
    brightest = float(np.percentile(seen[::7, ::7], 99))
    # Where nothing is bright, the phone does not make it bright.
    seen *= rng.uniform(0.85, 1.0) / brightest if brightest > 0.1 else 1.0
    colours = seen[..., None] * np.array([0.95, 1.0, 1.04], np.float32)
    spread = strength.noise * (np.sqrt(np.maximum(seen, 0)) + np.float32(0.25))
    noise = rng.standard_normal(seen.shape, np.float32) * spread
    colours += np.stack([np.roll(noise, shift, (0, 1)) for shift in (0, 37, 91)], axis=-1)
    coded = _CODES[np.clip(colours * (len(_CODES) - 1), 0, len(_CODES) - 1).astype(np.uint16)]
    _, stream = cv2.imencode(".jpg", coded[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, strength.jpeg])
    return np.asarray(cv2.imdecode(stream, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def _srgb_codes() -> npt.NDArray[np.uint8]:
    share = np.arange(1 << 15) / ((1 << 15) - 1)
    coded = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)


_CODES: Final = _srgb_codes()
"""Codes of light from 0 to 1 (IEC 61966-2-1)."""


def _places(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Row and column from -1 to 1, to be broadcast."""
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    return y, np.linspace(-1, 1, columns, dtype=np.float32)[None]


def _reflection(rng: np.random.Generator, shape: tuple[int, ...], sheet: Floats) -> Floats:
    """A lamp or a window that is seen in the film: brighter than the box."""
    at = sheet.mean(0) + rng.uniform(-0.25, 0.25, 2) * np.ptp(sheet, axis=0)
    extent = rng.uniform(0.04, 0.1, 2) * np.ptp(sheet, axis=0)
    y, x = np.ogrid[: shape[0], : shape[1]]
    spot = np.exp(-(((x - at[0]) / extent[0]) ** 2 + ((y - at[1]) / extent[1]) ** 2))
    return np.asarray(float(rng.uniform(1.2, 3.0)) * spot, np.float32)


def _moved(light: Floats, rng: np.random.Generator, strength: Strength) -> Floats:
    length = int(rng.uniform(0.012, 0.02) * strength.film_px)
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2
    ends = [
        (round(reach + s * reach * np.cos(angle)), round(reach + s * reach * np.sin(angle)))
        for s in (-1, 1)
    ]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(light.astype(np.float32), -1, kernel / kernel.sum())


def _steep(rng: np.random.Generator, tall: int, wide: int) -> Floats:
    """One side moves away from the camera."""
    share = rng.uniform(0.14, 0.2)
    shifts = {
        0: [[share * wide, 0], [-share * wide, 0], [0, 0], [0, 0]],
        1: [[0, 0], [0, share * tall], [0, -share * tall], [0, 0]],
    }[int(rng.integers(2))]
    return np.array(shifts, float)


def _page(rng: np.random.Generator) -> Floats:
    """A printed page on the box."""
    page = np.full((1400, 1000), 190, np.uint8)
    for row in range(80, 1320, 44):
        for column in range(80, 900, 26):
            if rng.random() < 0.8:
                cv2.putText(page, chr(int(rng.integers(97, 123))), (column, row), 0, 0.9, 10, 2)
    return page / np.float32(255)


def _tinted(photograph: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A picture in colour, as on a screen: parts of it have hues of their own."""
    rows, columns = photograph.shape[:2]
    hues = rng.uniform(0.2, 1.0, (4, 3, 3)).astype(np.float32)
    hues /= hues.max(axis=2, keepdims=True)
    tint = cv2.resize(hues, (columns, rows), interpolation=cv2.INTER_CUBIC)
    dark = photograph.max(axis=2, keepdims=True) < 200
    return np.where(dark, np.clip(photograph * tint + 20 * tint, 0, 255), photograph).astype(
        np.uint8
    )


def _sides(rows: int, columns: int, longest: int) -> tuple[int, int]:
    scale = longest / max(rows, columns)
    return round(rows * scale), round(columns * scale)


def _corners(tall: float, wide: float, top: float, left: float) -> Floats:
    return np.array(
        [[left, top], [left + wide, top], [left + wide, top + tall], [left, top + tall]], float
    )
