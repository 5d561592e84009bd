"""The manifest: a table of labelled images with one row for each image.

An empty cell means unknown, never "no". The columns ``dataset, image_id, patient_id, path`` are
required. The columns ``laterality, view, tumour, malignant, birads, density, age, machine,
abnormality, lesion_x, lesion_y, lesion_radius, mask_path, height, width, pixel_aspect, rotation,
study_id, split`` are optional. Other columns are ignored, unless their name is similar to one of
these. `path` and `mask_path` are relative to the table. Further lesions are in ``lesions.csv``
(see `mammolens.data.lesions`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from pathlib import Path

from mammolens.core import Caution, Laterality, ViewPosition
from mammolens.data.lesions import Lesion, read_lesions
from mammolens.errors import InvalidManifest
from mammolens.tables import Row, read_table

__all__ = ["SQUEEZED_SOURCES", "Manifest", "Record", "Split"]

_NEEDED = ("dataset", "image_id", "patient_id", "path")
_OPTIONAL = (
    *("laterality", "view", "tumour", "malignant", "birads", "density", "age", "machine"),
    *("abnormality", "lesion_x", "lesion_y", "lesion_radius", "mask_path", "height", "width"),
    *("pixel_aspect", "rotation", "study_id", "split"),
)
_MEANT = {
    **dict.fromkeys(("cancer", "malign", "malignancy", "pathology", "diagnosis"), "malignant"),
    **dict.fromkeys(("label", "target", "class", "groundtruth"), "malignant"),
    **dict.fromkeys(("side", "imagelaterality", "leftright"), "laterality"),
    **dict.fromkeys(("viewposition", "imageview", "projection"), "view"),
    **dict.fromkeys(("patientage", "ageyears"), "age"),
}
"""Column names that other tables use → our name. A table that has such a column instead of ours is
refused, because it would be read without its labels."""
_NOT_DIGESTED = ("path", "split", "lesions", "abnormality")
"""Fields of a record that do not change the digest."""

SQUEEZED_SOURCES = {"rsna": 1.25, "ddsm": 5 / 3}
"""Height of a pixel divided by its width in the square re-releases of these sources. RSNA's
detectors are about 4:5, and breasts cropped from DDSM's films about 3:5. It is used only for
pictures whose table row gives the same height and width."""


class Split(str, Enum):
    """The side of a split that a patient is on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


_SPLITS = {split.value: split for split in Split}


@dataclass(frozen=True)
class Record:
    """One labelled image.

    `tumour` and `malignant` are ``None`` where the source does not say. One may imply the other: a
    malignant image has a tumour, and an image without a tumour is not malignant. `rotation_deg`
    (0, 90, 180, 270) is the clockwise turn that makes the stored picture upright. `pixel_aspect` is
    the height of a pixel of the upright picture divided by its width. `lesion_centre_px` (row,
    column) is in pixels of the stored image, origin top left. Empty `lesions` means that no lesion
    is known. `abnormality` is the source's own text for the finding.

    Raises
    ------
    InvalidManifest
        The labels contradict each other, or the rotation is not allowed.
    """

    dataset: str
    image_id: str
    patient_id: str
    path: Path
    laterality: Laterality | None = None
    view_position: ViewPosition | None = None
    tumour: bool | None = None
    malignant: bool | None = None
    birads: str | None = None
    density: str | None = None
    age_years: float | None = None
    machine: str | None = None
    study_id: str | None = None
    pixel_aspect: float = 1.0
    rotation_deg: int = 0
    lesion_centre_px: tuple[float, float] | None = None
    lesions: tuple[Lesion, ...] = ()
    split: Split | None = None
    abnormality: str | None = None

    def __post_init__(self) -> None:
        if self.malignant and self.tumour is False:
            raise InvalidManifest(
                f"{self.image_id} is labelled malignant but without a tumour",
                keyword="tumour",
                remedy="It must be 1 where malignant is 1",
            )
        if self.malignant:
            object.__setattr__(self, "tumour", True)
        if self.tumour is False:
            object.__setattr__(self, "malignant", False)
        for name in ("age_years", "pixel_aspect"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, float(getattr(self, name)))
        if self.lesion_centre_px:
            row, col = self.lesion_centre_px
            object.__setattr__(self, "lesion_centre_px", (float(row), float(col)))
        if self.rotation_deg not in (0, 90, 180, 270):
            raise InvalidManifest(
                f"the rotation of {self.image_id} is {self.rotation_deg} degrees",
                keyword="rotation",
                remedy="It must be 0, 90, 180 or 270, clockwise",
            )
        if self.rotation_deg and (self.lesions or self.lesion_centre_px):
            raise InvalidManifest(
                f"{self.image_id} has both a rotation and marked lesions",
                keyword="rotation",
                remedy="Turn the stored picture and its marks, and leave the rotation empty",
            )

    @property
    def key(self) -> tuple[str, str]:
        """The image's key: identifiers are unique within a data set only."""
        return self.dataset, self.image_id

    @property
    def patient(self) -> tuple[str, str]:
        """The patient's key, for the same reason."""
        return self.dataset, self.patient_id

    @property
    def image_name(self) -> str:
        """The image in words: ``dataset/image_id``."""
        return "/".join(self.key)

    @property
    def patient_name(self) -> str:
        """The patient in words: ``dataset/patient_id``."""
        return "/".join(self.patient)

    @property
    def allowed(self) -> tuple[bool, bool, bool]:
        """Whether the labels allow normal, benign and malignant.

        Examples
        --------
        >>> Record("rsna", "1", "p", Path("1.png"), malignant=False).allowed
        (True, True, False)
        """
        if self.malignant:
            return False, False, True
        may_be_malignant = self.malignant is None and self.tumour is not False
        return self.tumour is not True, self.tumour is not False, may_be_malignant


@dataclass(frozen=True)
class Manifest:
    """All records of a table.

    `cautions` say what the reader of a source tolerated, left out or could not decide.
    """

    records: tuple[Record, ...]
    cautions: tuple[Caution, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of identifiers and labels. It does not include paths: a moved table has the same.

        It is computed at the first use.
        """
        return _digest(self.records)

    @classmethod
    def of(cls, records: Iterable[Record], cautions: Iterable[Caution] = ()) -> Manifest:
        """Build a manifest from records.

        Raises
        ------
        InvalidManifest
            If a data set has an image identifier twice, or there are no records.
        """
        kept = tuple(records)
        if not kept:
            raise InvalidManifest("the table has no rows")
        seen: set[tuple[str, str]] = set()
        for record in kept:
            if record.key in seen:
                raise InvalidManifest(
                    f"image_id {record.image_id!r} occurs twice in {record.dataset!r}",
                    keyword="image_id",
                    remedy="Keep one row for each image",
                )
            seen.add(record.key)
        return cls(kept, tuple(cautions))

    @classmethod
    def read(cls, *tables: Path) -> Manifest:
        """Read one or several tables (see `mammolens.tables`) as one manifest.

        Raises
        ------
        InvalidManifest
            A row is wrong. The message names the table, the line, the column and the fault.
        """
        return cls.of(record for table in tables for record in _read_table(Path(table)))

    def select(
        self, *, split: Split | None = None, where: Callable[[Record], bool] | None = None
    ) -> Manifest:
        """Keep the records that are on one side of the split and for which `where` is true.

        Raises
        ------
        InvalidManifest
            If no record is left.
        """
        kept = (
            record
            for record in self.records
            if (split is None or record.split is split) and (where is None or where(record))
        )
        return Manifest.of(kept, self.cautions)

    def with_splits(self, splits: dict[tuple[str, str], Split]) -> Manifest:
        """Give the same records, each with the side of its patient: (data set, patient) → side."""
        records = (replace(r, split=splits[r.patient]) for r in self.records)
        return Manifest.of(records, self.cautions)


def _digest(records: tuple[Record, ...]) -> str:
    digest = hashlib.sha256()
    for record in records:
        fields = {k: v for k, v in vars(record).items() if k not in _NOT_DIGESTED}
        if not record.rotation_deg:
            del fields["rotation_deg"]  # digests from before this field existed stay the same
        digest.update(repr(sorted((k, str(v)) for k, v in fields.items())).encode())
    return digest.hexdigest()


def _read_table(table: Path) -> Iterable[Record]:
    side = table.parent / "lesions.csv"
    marked = read_lesions(side) if side.is_file() else {}
    for record in _read_rows(table):
        further = (
            *marked.get(record.key, ()),
            *marked.get(("", record.image_id), ()),
        )
        yield replace(record, lesions=record.lesions + further) if further else record


def _read_rows(path: Path) -> Iterable[Record]:
    table = read_table(
        path, _NEEDED, _OPTIONAL, meant=_MEANT, remedy="See docs/reference/tables.md for the format"
    )
    table.refuse_repeats("dataset", "image_id")
    return map(_record, table.rows)


def _record(row: Row) -> Record:
    for column in _NEEDED:
        if row.text(column) is None:
            raise row.wrong(column, "given")
    tumour, malignant = row.flag("tumour"), row.flag("malignant")
    if malignant and tumour is False:
        raise row.wrong("tumour", "1 where malignant is 1")
    dataset = row["dataset"]
    square = row["height"] and row["height"] == row["width"]
    stated = row.number("pixel_aspect")
    rotation = row.number("rotation") or 0.0
    if rotation not in (0, 90, 180, 270):
        raise row.wrong("rotation", "0, 90, 180, 270 or empty")
    centre = row.number("lesion_y"), row.number("lesion_x")
    return Record(
        dataset=dataset,
        image_id=row.identifier("image_id"),
        patient_id=row.identifier("patient_id"),
        path=row.path.parent / row["path"],
        laterality=row.laterality("laterality"),
        view_position=row.view("view"),
        tumour=tumour,
        malignant=malignant,
        birads=row.text("birads"),
        density=row.text("density"),
        age_years=row.age("age"),
        machine=row.text("machine"),
        study_id=row.identifier_or_none("study_id"),
        pixel_aspect=stated or (SQUEEZED_SOURCES.get(dataset, 1.0) if square else 1.0),
        rotation_deg=int(rotation),
        lesion_centre_px=_centre(*centre),
        lesions=_own_lesions(row, malignant, _centre(*centre)),
        split=row.word("split", _SPLITS),
        abnormality=row.text("abnormality"),
    )


def _centre(row: float | None, col: float | None) -> tuple[float, float] | None:
    return None if row is None or col is None else (row, col)


def _own_lesions(
    row: Row, malignant: bool | None, centre: tuple[float, float] | None
) -> tuple[Lesion, ...]:
    """Give the lesion of the row itself: a mask, or a circle."""
    if mask := row.text("mask_path"):
        return (Lesion(malignant=malignant, mask_path=row.path.parent / mask),)
    radius = row.number("lesion_radius")
    if centre is None or radius is None:
        return ()
    return (Lesion(malignant=malignant, circle_source_px=(*centre, radius)),)
