"""The types that flow through mammolens: frozen, checked on construction, NumPy only.

files → `Mammogram` → `Exam` → `PreparedView` → scores and maps → `Prediction` → sinks.
Arrays inside are read-only. ``None`` means unknown, never a guess and never "negative".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, NotAnImage

__all__ = [
    "Box",
    "BreastPrediction",
    "Caution",
    "Display",
    "Exam",
    "Finding",
    "Geometry",
    "ImagePrediction",
    "ImageRef",
    "InputKind",
    "Laterality",
    "Mammogram",
    "ModelId",
    "Photometric",
    "PixelOrigin",
    "Prediction",
    "PreparedView",
    "PresentationIntent",
    "Scores",
    "Source",
    "SourceHeader",
    "TriageCategory",
    "Unreadable",
    "ViewPosition",
    "VoiFunction",
    "VoiLut",
    "Window",
]

Box = tuple[float, float, float, float]
"""``(row0, col0, row1, col1)``, half-open, in pixels of the frame that the name says."""


class Laterality(str, Enum):
    """Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"


class ViewPosition(str, Enum):
    """View Position (0018,5101) and the codes of CID 4014 that mammograms carry."""

    CC = "CC"
    MLO = "MLO"
    ML = "ML"
    LM = "LM"
    LMO = "LMO"
    XCCL = "XCCL"
    XCCM = "XCCM"
    FB = "FB"
    SIO = "SIO"
    ISO = "ISO"
    CV = "CV"
    AT = "AT"


class PresentationIntent(str, Enum):
    """Presentation Intent Type (0008,0068)."""

    FOR_PRESENTATION = "FOR PRESENTATION"
    FOR_PROCESSING = "FOR PROCESSING"


class Photometric(str, Enum):
    """Photometric Interpretation (0028,0004) of a single-channel image."""

    MONOCHROME1 = "MONOCHROME1"
    MONOCHROME2 = "MONOCHROME2"


class PixelOrigin(str, Enum):
    """Whether the pixels were exposed, or computed from a tomosynthesis stack."""

    ACQUIRED = "acquired"
    GENERATED_2D = "generated_2d"


class VoiFunction(str, Enum):
    """VOI LUT Function (0028,1056), PS3.3 C.11.2.1.2."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


class TriageCategory(str, Enum):
    """Place of an exam on the worklist. ``FAILED`` means unknown: read it like a high one."""

    HIGH = "high"
    INTERMEDIATE = "intermediate"
    LOW = "low"
    FAILED = "failed"


class InputKind(str, Enum):
    """What one input of a model shows."""

    BREAST = "breast"
    LESION = "lesion"


@dataclass(frozen=True)
class Caution:
    """A named tolerance or doubt that travels with the result, e.g. ``laterality_from_name``."""

    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


@dataclass(frozen=True)
class ImageRef:
    """Who and what an image is; everything here may be written into results.

    `path` names a file, or ``archive.zip!member`` within an archive; `digest` is the SHA-256 of
    the encoded bytes; `pixel_aspect` is the height of one pixel divided by its width (1 for
    square pixels; 0.8 for a 4:5 picture that was squeezed to a square).
    """

    path: str
    patient_id: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    presentation_intent: PresentationIntent | None = None
    origin: PixelOrigin = PixelOrigin.ACQUIRED
    spacing_mm: tuple[float, float] | None = None
    pixel_aspect: float = 1.0
    manufacturer: str | None = None
    age_years: float | None = None
    acquisition_date: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pixel_aspect) and 0.1 < self.pixel_aspect < 10):
            raise ConfigError(
                f"a pixel aspect of {self.pixel_aspect} is impossible",
                source=self.path,
                keyword="PixelAspectRatio",
            )


@dataclass(frozen=True)
class SourceHeader:
    """What DICOM sinks must carry back to the source study; other sinks never write it.

    `rescale` is the slope and intercept of the modality LUT, ``None`` where a table stands for it.
    """

    sop_class_uid: str | None = None
    transfer_syntax_uid: str | None = None
    patient_name: str | None = field(default=None, repr=False)
    patient_sex: str | None = None
    patient_birth_date: str | None = field(default=None, repr=False)
    accession_number: str | None = None
    study_id: str | None = None
    study_date: str | None = None
    study_time: str | None = None
    referring_physician_name: str | None = field(default=None, repr=False)
    patient_orientation: tuple[str, ...] | None = None
    rescale: tuple[float, float] | None = (1.0, 0.0)
    content_date: str | None = None
    content_time: str | None = None
    view_modifiers: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Source:
    """An image as its header tells of it, whether its pixels could be used or not."""

    ref: ImageRef
    header: SourceHeader


@dataclass(frozen=True)
class Window:
    """A VOI window in units of the modality LUT's output (PS3.3 C.11.2)."""

    center: float
    width: float
    function: VoiFunction = VoiFunction.LINEAR


@dataclass(frozen=True)
class VoiLut:
    """A VOI lookup table: `values[i]` for modality value ``first + i``, clipped at both ends."""

    first: int
    values: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        _freeze(self.values)


@dataclass(frozen=True)
class Mammogram:
    """One image as read: `pixels` (rows, columns) after the modality LUT, any real dtype.

    `voi` and `photometric` are still to be applied, in this order (`preprocess` does);
    `padding` is the closed range of modality values that mark pixels outside the image.
    """

    ref: ImageRef
    header: SourceHeader
    pixels: npt.NDArray[np.generic]
    photometric: Photometric = Photometric.MONOCHROME2
    voi: Window | VoiLut | None = None
    padding: tuple[float, float] | None = None
    cautions: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.size == 0:
            raise NotAnImage(
                f"a mammogram has two dimensions, not shape {self.pixels.shape}",
                source=self.ref.path,
            )
        _freeze(self.pixels)


@dataclass(frozen=True)
class Unreadable:
    """An input that was refused: its path, the name of the error, the reason in words, and
    what its header says where that could be read."""

    path: str
    error: str
    message: str
    source: Source | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Exam:
    """One study of one patient: every mammogram under its laterality and view position.

    Any number of views is an exam; a model's wish for four is not the type's.
    """

    patient_id: str | None
    study_instance_uid: str | None
    views: Mapping[tuple[Laterality | None, ViewPosition | None], tuple[Mammogram, ...]]
    cautions: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", MappingProxyType(dict(self.views)))

    @property
    def mammograms(self) -> tuple[Mammogram, ...]:
        """All images, in the order of their views."""
        return tuple(m for images in self.views.values() for m in images)


@dataclass(frozen=True)
class Geometry:
    """The exact, invertible map between source pixels and prepared pixels.

    Coordinates are continuous with pixel ``i`` covering ``[i, i + 1)``. A source point is
    cropped to `crop_source_px`, scaled by `scale` (rows, columns: prepared per source pixel),
    mirrored left–right within the crop if `flipped`, and shifted by `offset_px` (row, column) into
    an array of `prepared_shape`.
    """

    source_shape: tuple[int, int]
    crop_source_px: tuple[int, int, int, int]
    scaled_shape: tuple[int, int]
    offset_px: tuple[int, int]
    prepared_shape: tuple[int, int]
    flipped: bool

    def __post_init__(self) -> None:
        r0, c0, r1, c1 = self.crop_source_px
        rows, cols = self.source_shape
        if not (0 <= r0 < r1 <= rows and 0 <= c0 < c1 <= cols):
            raise ConfigError(f"crop {self.crop_source_px} does not lie in {self.source_shape}")

    @property
    def scale(self) -> tuple[float, float]:
        """Prepared pixels per source pixel, (rows, columns)."""
        r0, c0, r1, c1 = self.crop_source_px
        return self.scaled_shape[0] / (r1 - r0), self.scaled_shape[1] / (c1 - c0)

    def box_to_prepared(self, box_source_px: Box) -> Box:
        """Carry a box from source to prepared pixels (not clipped)."""
        (sr, sc), (dr, dc) = self.scale, self.offset_px
        r0, c0, _, _ = self.crop_source_px
        rows = [(row - r0) * sr + dr for row in (box_source_px[0], box_source_px[2])]
        cols = [(col - c0) * sc for col in (box_source_px[1], box_source_px[3])]
        if self.flipped:
            cols = [self.scaled_shape[1] - col for col in reversed(cols)]
        return rows[0], cols[0] + dc, rows[1], cols[1] + dc

    def box_to_source(self, box_prepared_px: Box) -> Box:
        """Carry a box from prepared to source pixels, clipped to the source image.

        Examples
        --------
        >>> g = Geometry((100, 80), (10, 20, 90, 80), (40, 30), (0, 2), (40, 32), True)
        >>> g.box_to_source(g.box_to_prepared((20.0, 30.0, 40.0, 50.0)))
        (20.0, 30.0, 40.0, 50.0)
        """
        (sr, sc), (dr, dc) = self.scale, self.offset_px
        r0, c0, _, _ = self.crop_source_px
        rows = [(row - dr) / sr + r0 for row in (box_prepared_px[0], box_prepared_px[2])]
        cols = [col - dc for col in (box_prepared_px[1], box_prepared_px[3])]
        if self.flipped:
            cols = [self.scaled_shape[1] - col for col in reversed(cols)]
        cols = [col / sc + c0 for col in cols]
        height, width = self.source_shape
        return (
            min(max(rows[0], 0.0), height),
            min(max(cols[0], 0.0), width),
            min(max(rows[1], 0.0), height),
            min(max(cols[1], 0.0), width),
        )


@dataclass(frozen=True)
class PreparedView:
    """What a model sees: `pixels` uint8 (rows, columns), chest wall at the left, zero outside.

    `mask` (same shape, bool) marks the breast; `photometric` is the interpretation that was
    used, which differs from the header's when an untagged inversion was found.
    """

    ref: ImageRef
    pixels: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    geometry: Geometry
    photometric: Photometric
    cautions: tuple[Caution, ...] = ()

    def __post_init__(self) -> None:
        _freeze(self.pixels)
        _freeze(self.mask)


@dataclass(frozen=True)
class Display:
    """A reduced picture of the source for people: `pixels` uint8 (rows, columns), VOI applied,
    breast bright, the source's own orientation; `scale` (rows, columns) is display per source
    pixel (the two differ where source pixels are not square)."""

    pixels: npt.NDArray[np.uint8]
    scale: tuple[float, float]

    def __post_init__(self) -> None:
        _freeze(self.pixels)


@dataclass(frozen=True)
class Scores:
    """Calibrated probabilities of one image, breast or exam; they sum to one."""

    normal: float
    benign: float
    malignant: float

    def __post_init__(self) -> None:
        parts = (self.normal, self.benign, self.malignant)
        if not all(math.isfinite(p) and 0.0 <= p <= 1.0 for p in parts):
            raise ValueError(f"probabilities outside 0–1: {parts}")
        if abs(sum(parts) - 1.0) > 1e-4:
            raise ValueError(f"probabilities do not sum to one: {parts}")

    @property
    def tumour(self) -> float:
        """P(tumour) = 1 − P(normal)."""
        return 1.0 - self.normal


@dataclass(frozen=True)
class Finding:
    """A place worth a look: its box, and the strength of the map there relative to the
    validated level (1 = just at the level); not a probability."""

    box_source_px: Box
    score: float
    kind: str = "malignancy"
    origin: str = "grad-cam"


@dataclass(frozen=True)
class ImagePrediction:
    """One image's result. Maps are raw Grad-CAM values (h, w) ≥ 0 over the prepared frame;
    divide by `map_level` to compare images. `voi`, then `photometric`, turn pixels to grey."""

    ref: ImageRef
    header: SourceHeader
    scores: Scores
    findings: tuple[Finding, ...]
    geometry: Geometry
    malignancy_map: npt.NDArray[np.float32]
    tumour_map: npt.NDArray[np.float32]
    map_level: float
    display: Display | None = None
    cautions: tuple[Caution, ...] = ()
    photometric: Photometric = Photometric.MONOCHROME2
    voi: Window | VoiLut | None = None


@dataclass(frozen=True)
class BreastPrediction:
    """One breast's result, over all its views."""

    laterality: Laterality | None
    scores: Scores


@dataclass(frozen=True)
class ModelId:
    """Which model spoke: `digest` is the SHA-256 of its graph."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Prediction:
    """One exam's result. `scores` is ``None`` exactly when the category is ``FAILED``.

    Every image of the exam is among `images` or, where nothing is known of it, `unreadable`.
    `prevalence` is the share of malignant breasts that the probabilities stand for;
    `age_odds_factor` is what the woman's age multiplied the odds of malignancy by (``None`` where
    the model uses no age, or hers is unknown).
    """

    patient_id: str | None
    study_instance_uid: str | None
    category: TriageCategory
    scores: Scores | None
    breasts: tuple[BreastPrediction, ...]
    images: tuple[ImagePrediction, ...]
    unreadable: tuple[Unreadable, ...]
    cautions: tuple[Caution, ...]
    model: ModelId
    prevalence: float
    elapsed_s: float
    age_odds_factor: float | None = None

    def __post_init__(self) -> None:
        if (self.scores is None) != (self.category is TriageCategory.FAILED):
            raise ValueError("an exam has scores exactly when it did not fail")


def _freeze(array: npt.NDArray[np.generic]) -> None:
    array.flags.writeable = False
