"""Images with the facts of their headers: `Mammogram`, and `Exam` as a set of mammograms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from mammolens.errors import ConfigError, MammolensError, NotAnImage

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
    """View Position (0018,5101), with the codes of CID 4014 that occur in mammograms."""

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
    """Whether the pixels come from an exposure, or were computed from a tomosynthesis stack."""

    ACQUIRED = "acquired"
    GENERATED_2D = "generated_2d"


class VoiFunction(str, Enum):
    """VOI LUT Function (0028,1056), PS3.3 C.11.2.1.2."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


class ObjectKind(str, Enum):
    """Kind of a DICOM object of a study, as its SOP class and header prove it.

    An exam with a refused object can be ``low`` only if the object is *proven* not to be a 2D
    picture of a breast (`STACK`, `OTHER_IMAGE` or `DOCUMENT`).
    """

    MAMMOGRAM = "mammogram"
    """A 2D X-ray picture that shows, or may show, a breast of this patient."""
    STACK = "stack"
    """Tomosynthesis slices or projections."""
    OTHER_IMAGE = "other_image"
    """A picture of something else: ultrasound, CT, a tissue specimen, a phantom, a mask."""
    DOCUMENT = "document"
    """Not a picture: structured report, presentation state, key object note, PDF, text file."""
    UNKNOWN = "unknown"
    """Its header could not be read, or does not prove a kind."""

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
    """A named note about a problem in the input, stored in the result.

    For example ``laterality_from_name``. If `doubt` is true, the problem could change the result:
    an exam with a doubt is never ``low``.
    """

    name: str
    message: str
    doubt: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


@dataclass(frozen=True)
class ImageRef:
    """Identity and acquisition of an image; every field may be written into results.

    `path` is the name of a file, or ``archive.zip!member`` for a file in an archive. `digest` is
    the SHA-256 of the file's bytes. `pixel_aspect` is the height of one pixel divided by its width:
    1 for square pixels, 0.8 for a 4:5 picture that was squeezed to a square.
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
                f"a pixel aspect of {self.pixel_aspect} is impossible: it must be 0.1 to 10",
                source=self.path,
                keyword="PixelAspectRatio",
            )


@dataclass(frozen=True)
class SourceHeader:
    """Attributes that identify the patient, study, exposure and device of an image.

    DICOM sinks copy them into results; other sinks never write them. The values are as written in
    the file. Codes are (value, scheme, meaning).

    `rescale` is the slope and intercept of the modality LUT, or ``None`` if the file has a table
    instead. `irradiation_event_uid` identifies the exposure. `source_instance_uids` are the images
    from which this one was made. `undecoded` lists the keywords of texts with an unknown character
    set. Their bytes are escaped, and a report may not contain a name or identifier from them.
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
    manufacturer_model: str | None = None
    software_versions: str | None = None
    series_description: str | None = field(default=None, repr=False)
    burned_in_annotation: str | None = None
    conversion_type: str | None = None
    admitting_diagnoses: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    undecoded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """The header of an image, also of one whose pixels cannot be used."""

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
    """Orientation of the stored picture, as the header gives it.

    The picture becomes upright (feet or the inner side of the breast at the bottom) when it is
    turned clockwise by `quarter_turns` times 90 degrees. `chest_wall_right` says whether the chest
    wall is then at the right; ``None`` is unknown. Mirroring is not recorded. `keyword` names the
    header's attribute.
    """

    quarter_turns: int
    chest_wall_right: bool | None
    keyword: str

    def __post_init__(self) -> None:
        if self.quarter_turns not in range(4):
            raise ConfigError(f"{self.quarter_turns} quarter turns: it must be 0, 1, 2 or 3")


@dataclass(frozen=True)
class Mammogram:
    """One image that was read: `pixels` (rows, columns) after the modality LUT, any real dtype.

    The pixels are not turned. `voi` and `photometric` are not applied yet; `preprocess` applies
    them in this order. `other_voi` are further windows or tables of the header, used if the first
    one does not show the breast. `padding` is the closed range of modality values that mark pixels
    outside the image. `orientation` is ``None`` if the header does not give it.
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
    """An input that was refused.

    `path` is its file, `error` the name of the exception, `message` the reason. `source` is its
    header, if it could be read. `kind` is the kind of object that the header proves.
    """

    path: str
    error: str
    message: str
    source: Source | None = field(default=None, repr=False)
    kind: ObjectKind = ObjectKind.UNKNOWN

    @classmethod
    def of(
        cls,
        error: MammolensError,
        path: str | None = None,
        source: Source | None = None,
        kind: ObjectKind = ObjectKind.UNKNOWN,
    ) -> Unreadable:
        """Make the entry of an input that raised an error, by default at the path that it names."""
        place = (error.source or "") if path is None else path
        return cls(place, type(error).__name__, str(error), source, kind)


@dataclass(frozen=True)
class Exam:
    """One study of one patient: its mammograms by laterality and view position.

    An exam can have any number of views. Only a model may require four.
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
