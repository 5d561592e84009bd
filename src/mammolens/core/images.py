"""Images as they were read, and what their headers tell: files → `Mammogram` → `Exam`."""

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
    "Caution",
    "Exam",
    "ImageRef",
    "Laterality",
    "Mammogram",
    "ObjectKind",
    "Orientation",
    "Photometric",
    "PixelOrigin",
    "PresentationIntent",
    "Source",
    "SourceHeader",
    "Unreadable",
    "ViewPosition",
    "VoiFunction",
    "VoiLut",
    "Window",
    "freeze",
]


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


class ObjectKind(str, Enum):
    """What an object of a study is, as far as its SOP class and header prove it.

    Only a refused object that is *proven* to be something else than a 2D picture of a breast
    (`STACK`, `OTHER_IMAGE`, `DOCUMENT`) leaves an exam free to be ``low``.
    """

    MAMMOGRAM = "mammogram"
    """A 2D X-ray picture that shows, or may show, a breast of this patient."""
    STACK = "stack"
    """Tomosynthesis slices or projections."""
    OTHER_IMAGE = "other_image"
    """A picture of something else: ultrasound, CT, a tissue specimen, a phantom, a mask."""
    DOCUMENT = "document"
    """No picture: structured report, presentation state, key object note, PDF, text file."""
    UNKNOWN = "unknown"
    """Nothing could be read that proves what it is."""

    @property
    def is_image(self) -> bool:
        """Whether results may refer to the object as an image."""
        return self is not ObjectKind.DOCUMENT

    @property
    def may_show_breast(self) -> bool:
        """Whether the object may be a 2D picture of a breast."""
        return self in (ObjectKind.MAMMOGRAM, ObjectKind.UNKNOWN)


@dataclass(frozen=True)
class Caution:
    """A named tolerance that travels with the result, e.g. ``laterality_from_name``.

    With `doubt` it could change the answer: an exam that carries a doubt is never ``low``.
    """

    name: str
    message: str
    doubt: bool = False

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
    """What DICOM sinks must carry back to the source study, and what shows whose image it is, of
    which exposure and device; other sinks never write it.

    `rescale` is the slope and intercept of the modality LUT, ``None`` where a table stands for it.
    Codes are (value, scheme, meaning). `patient_age` is PatientAge as written,
    `irradiation_event_uid` names the exposure, and `source_instance_uids` are the images that this
    one was made from. `undecoded` are the keywords of texts whose character set cannot be told:
    their bytes stand escaped, and no report may carry a name or identifier among them.
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
    patient_age: str | None = field(default=None, repr=False)
    other_patient_ids: tuple[str, ...] = field(default=(), repr=False)
    issuer_of_patient_id: str | None = field(default=None, repr=False)
    acquisition_time: str | None = None
    irradiation_event_uid: str | None = None
    source_instance_uids: tuple[str, ...] = ()
    instance_number: str | None = None
    device_serial_number: str | None = field(default=None, repr=False)
    device_uid: str | None = field(default=None, repr=False)
    institution_name: str | None = field(default=None, repr=False)
    station_name: str | None = field(default=None, repr=False)
    series_description: str | None = field(default=None, repr=False)
    burned_in_annotation: str | None = None
    conversion_type: str | None = None
    admitting_diagnoses: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    undecoded: tuple[str, ...] = ()


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
        freeze(self.values)


@dataclass(frozen=True)
class Orientation:
    """How a header says that the stored picture lies.

    Turned clockwise by `quarter_turns` times 90 degrees it stands upright: feet or the inner side
    of the breast below. `chest_wall_right` is where the chest wall lies then (``None``: unknown);
    a mirrored picture is left as it is. `keyword` names the attribute that says it.
    """

    quarter_turns: int
    chest_wall_right: bool | None
    keyword: str

    def __post_init__(self) -> None:
        if self.quarter_turns not in range(4):
            raise ConfigError(f"{self.quarter_turns} quarter turns: only 0, 1, 2 and 3 differ")


@dataclass(frozen=True)
class Mammogram:
    """One image as read: `pixels` (rows, columns) as stored, after the modality LUT, any real
    dtype.

    `voi` and `photometric` are still to be applied, in this order (`preprocess` does); `other_voi`
    are the header's further choices, for a picture that the first one spoils. `padding` is the
    closed range of modality values that mark pixels outside the image. `orientation` is what the
    header says about turning the picture, ``None`` if nothing.
    """

    ref: ImageRef
    header: SourceHeader
    pixels: npt.NDArray[np.generic]
    photometric: Photometric = Photometric.MONOCHROME2
    voi: Window | VoiLut | None = None
    padding: tuple[float, float] | None = None
    cautions: tuple[Caution, ...] = ()
    other_voi: tuple[Window | VoiLut, ...] = ()
    orientation: Orientation | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.size == 0:
            raise NotAnImage(
                f"a mammogram has two dimensions, not shape {self.pixels.shape}",
                source=self.ref.path,
            )
        freeze(self.pixels)


@dataclass(frozen=True)
class Unreadable:
    """An input that was refused: its path, the name of the error, the reason in words, what its
    header says where that could be read, and what kind of object it is proven to be."""

    path: str
    error: str
    message: str
    source: Source | None = field(default=None, repr=False)
    kind: ObjectKind = ObjectKind.UNKNOWN


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


def freeze(array: npt.NDArray[np.generic]) -> None:
    """Make an array read-only."""
    array.flags.writeable = False
