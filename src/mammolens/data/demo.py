"""A synthetic table for trying the commands: 60 synthetic patients with four drawn views each.

No picture shows a real person. A picture has a breast-like shape with cloudy tissue, and in oblique
views a muscle. Some have a smooth round spot (labelled benign) or a bright star-shaped spot
(labelled malignant). What a model learns from them says nothing about mammograms. Every page that
uses them has a warning (`mammolens.data.summary`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from mammolens.core import Box, Laterality, ViewPosition
from mammolens.data.lesions import Lesion, LesionKind
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.manifest_writer import SIDE_TABLE, write_manifest
from mammolens.data.summary import DEMO_DATASET
from mammolens.errors import ConfigError, InvalidManifest
from mammolens.files import storage, write_whole

__all__ = ["write_demo"]

_VIEWS: Final = tuple(product(Laterality, (ViewPosition.CC, ViewPosition.MLO)))
_PATIENTS: Final = {"malignant": 20, "benign": 16, "normal": 24}
_SIDES: Final = (Split.TRAIN, Split.TRAIN, Split.TRAIN, Split.VALIDATION, Split.TEST)
"""Sides of the split, assigned in this order within each class; so every side has every class."""
_ROWS: Final = 448
_COLUMNS: Final = 336
_ROUGHNESS: Final = 1.6
"""The amplitude of the tissue's texture falls with frequency to this power, about as in mammograms
(Burgess 1999, doi 10.1364/JOSAA.16.000633: their power spectrum falls with twice this power)."""
_FINE: Final = 1.1
"""The same power for the finer texture of every breast. Without it, two breasts with little tissue
are so similar that `datasets check` reports them as copies."""
_TABLE: Final = "manifest.csv"
_NOTE: Final = "SYNTHETIC.txt"
_NOTE_TEXT: Final = (
    "These pictures were drawn by `mammolens datasets demo`. They show no patient, and figures\n"
    "from them mean nothing clinically. They are there to try the commands with.\n"
)

_Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Spot:
    """A drawn lesion of one breast. `depth` and `height` are shares of the breast's size."""

    malignant: bool
    depth: float
    height: float
    radius_px: float
    contrast: float


def write_demo(
    folder: Path, *, seed: int = 1, on_progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[Manifest, tuple[Path, ...]]:
    """Draw the pictures and write their table, with the lesions beside it.

    Parameters
    ----------
    folder
        A new or empty folder, or one that this function has written before.
    seed
        Seed of all random draws: the same seed gives the same pictures and labels.

    Returns
    -------
    Manifest, tuple of Path
        The table, read back from the disk, and the written files except the pictures.

    Raises
    ------
    ConfigError
        The folder holds other files.
    StorageError
        The folder cannot be written.
    """
    _refuse_other(folder)
    total = sum(_PATIENTS.values()) * len(_VIEWS)
    records = []
    with storage(folder, "the pictures", keyword="--out"):
        write_whole(folder / _NOTE, _NOTE_TEXT)
        for record, picture in _patients(folder, seed):
            done, encoded = cv2.imencode(".png", picture)
            assert done
            write_whole(record.path, encoded.tobytes())
            records.append(record)
            on_progress(len(records), total)
    written = write_manifest(Manifest.of(records), folder / _TABLE)
    return Manifest.read(folder / _TABLE), (*written, folder / _NOTE)


def _refuse_other(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    known = {_TABLE, SIDE_TABLE, _NOTE, "images"}
    try:
        ours = folder.is_dir() and {path.name for path in folder.iterdir()} <= known
        table = folder / _TABLE
        if ours and table.is_file():
            ours = {r.dataset for r in Manifest.read(table).records} == {DEMO_DATASET}
    except InvalidManifest:
        ours = False
    if not ours:
        raise ConfigError(
            "this folder holds other files than a demonstration; they would be lost",
            source=str(folder),
            keyword="--out",
            remedy="Give a new folder",
        )


def _patients(folder: Path, seed: int) -> Iterator[tuple[Record, npt.NDArray[np.uint8]]]:
    """Yield every record with its picture; the seed decides which patient has which label."""
    rng = np.random.default_rng(seed)
    plan = [(k, _SIDES[i % len(_SIDES)]) for k, n in _PATIENTS.items() for i in range(n)]
    order = rng.permutation(len(plan))
    for number, place in enumerate(order, start=1):
        label, split = plan[place]
        patient = f"synthetic-{number:03d}"
        age, density = int(rng.integers(42, 78)), int(rng.integers(0, 4))
        affected = list(Laterality)[int(rng.integers(2))]
        spot = None if label == "normal" else _draw_spot(rng, malignant=label == "malignant")
        build = float(rng.uniform(0.72, 0.95)), float(rng.uniform(0.72, 0.95))
        for side, view in _VIEWS:
            own = spot if side is affected else None
            picture, box = _draw(rng, view, own, density, build)
            if side is Laterality.RIGHT:
                picture, box = picture[:, ::-1], box and _mirrored(box)
            image = f"{patient}_{side.value}_{view.value}"
            yield (
                Record(
                    dataset=DEMO_DATASET,
                    image_id=image,
                    patient_id=patient,
                    path=folder / "images" / f"{image}.png",
                    laterality=side,
                    view_position=view,
                    tumour=own is not None,
                    malignant=own is not None and own.malignant,
                    density="ABCD"[density],
                    age_years=age,
                    machine="synthetic",
                    study_id=patient,
                    lesions=(
                        (Lesion(LesionKind.MASS, own.malignant, box_source_px=box),)
                        if own and box
                        else ()
                    ),
                    split=split,
                ),
                np.ascontiguousarray(picture),
            )


def _draw_spot(rng: np.random.Generator, *, malignant: bool) -> _Spot:
    return _Spot(
        malignant,
        depth=float(rng.uniform(0.3, 0.7)),
        height=float(rng.uniform(-0.45, 0.45)),
        radius_px=float(rng.uniform(11, 20)),
        contrast=float(rng.uniform(0.15, 0.42)),
    )


def _mirrored(box: Box) -> Box:
    row0, col0, row1, col1 = box
    return row0, _COLUMNS - col1, row1, _COLUMNS - col0


def _draw(
    rng: np.random.Generator,
    view: ViewPosition,
    spot: _Spot | None,
    density: int,
    build: tuple[float, float],
) -> tuple[npt.NDArray[np.uint8], Box | None]:
    """Draw one view of a left breast, chest wall at the left edge; give it and its spot's box.

    `density` (0 to 3) sets the amount of tissue. `build` is the breast's depth and height as shares
    of the picture. The numbers below only make a plausible picture; they were chosen by hand.
    """
    oblique = view is ViewPosition.MLO
    deep, high = build[0] * _COLUMNS, build[1] * _ROWS / 2
    middle = _ROWS * (0.54 if oblique else 0.5)
    y = np.arange(_ROWS, dtype=np.float32)[:, None]
    x = np.arange(_COLUMNS, dtype=np.float32)[None, :]
    v = (y - middle) / high
    u = x / deep - (0.12 * v if oblique else 0.0)  # the lower half hangs forward
    thick = np.sqrt(np.clip(1.0 - np.clip(u, 0, None) ** 2 - np.abs(v) ** 2.4, 0.0, None))
    clouds = _clouds(rng)
    tissue = np.clip(clouds + (0.35 * density - 0.5), 0.0, 2.2)
    central = np.exp(-((u - 0.45) ** 2) / 0.16) * np.exp(-(v**2) / 0.3)
    grey = thick * (0.32 + 0.04 * _clouds(rng, _FINE) + 0.16 * tissue * central)
    if oblique:
        wide, long = rng.uniform(0.24, 0.4), rng.uniform(0.5, 0.72)
        depth = wide * _COLUMNS * (1.0 - y / (long * _ROWS)) + 6.0 * clouds
        grey += 0.26 * np.clip((depth - x) / 24.0, 0.0, 1.0) * (thick > 0)
    box = None
    if spot is not None:
        centre = middle + spot.height * high * 0.8, spot.depth * deep
        shape = _spot(rng, spot, y - np.float32(centre[0]), x - np.float32(centre[1]))
        grey += spot.contrast * shape * (thick > 0)
        half = spot.radius_px * 1.3
        row0, col0, row1, col1 = (float(round(c + way * half)) for way in (-1, 1) for c in centre)
        box = row0, col0, row1, col1
    grain = 0.006 * rng.standard_normal(grey.shape, np.float32) * (thick > 0)
    grey = cv2.GaussianBlur(grey + grain, (0, 0), 0.8)
    return (255.0 * np.clip(grey, 0.0, 1.0)).astype(np.uint8), box


def _clouds(rng: np.random.Generator, roughness: float = _ROUGHNESS) -> _Grey:
    """Draw noise whose amplitude falls with frequency to a power; mean 0, standard deviation 1."""
    half = (2, _ROWS, _COLUMNS // 2 + 1)
    real, imaginary = rng.standard_normal(half, np.float32) / _fall(roughness)
    field = np.fft.irfft2(real + 1j * imaginary, s=(_ROWS, _COLUMNS))
    return np.asarray(field / field.std(), np.float32)


@lru_cache(maxsize=2)
def _fall(roughness: float) -> _Grey:
    fy, fx = np.fft.fftfreq(_ROWS)[:, None], np.fft.rfftfreq(_COLUMNS)[None, :]
    radius = np.hypot(fy, fx)
    radius[0, 0] = np.inf
    return np.asarray(radius**roughness, np.float32)


def _spot(rng: np.random.Generator, spot: _Spot, down: _Grey, across: _Grey) -> _Grey:
    """Draw a round spot with a sharp edge, or a bright core with rays; values 0–1."""
    away = np.hypot(down, across)
    if not spot.malignant:
        edge = np.clip((spot.radius_px - away) / 3.0 + 0.5, 0.0, 1.0)
        return np.asarray(0.8 * edge, np.float32)
    core = np.exp(-((away / (0.75 * spot.radius_px)) ** 2))
    rays = 0.5 + 0.5 * np.cos(
        int(rng.integers(7, 12)) * np.arctan2(down, across) + rng.uniform(0, 6.28)
    )
    return np.asarray(
        np.minimum(1.0, core + 0.45 * rays**4 * np.exp(-((away / (1.7 * spot.radius_px)) ** 2))),
        np.float32,
    )
