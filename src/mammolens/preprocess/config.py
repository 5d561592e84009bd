"""Parameters of preprocessing. They are stored in the model card, beside the weights."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

__all__ = ["Denoise", "InputConfig", "Pectoral", "PreprocessConfig", "RegionConfig"]


class Denoise(str, Enum):
    """Noise filter: none, median, bilateral, or non-local means."""

    NONE = "none"
    MEDIAN = "median"
    BILATERAL = "bilateral"
    NON_LOCAL_MEANS = "non_local_means"


class Pectoral(str, Enum):
    """What happens to the pectoral muscle on MLO views."""

    KEEP = "keep"
    SUPPRESS = "suppress"


class PreprocessConfig(BaseModel):
    """Parameters of `mammolens.preprocess.prepare`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(512, ge=64, le=4096, multiple_of=32, description="rows of the output")
    width: int = Field(384, ge=64, le=4096, multiple_of=32, description="columns of the output")
    denoise: Denoise = Field(Denoise.MEDIAN, description="noise filter")
    denoise_size_px: int = Field(3, ge=3, le=5, description="width of the filter, odd")
    low_percentile: float = Field(1.0, ge=0, lt=50, description="of the breast, becomes black")
    high_percentile: float = Field(99.5, gt=50, le=100, description="of the breast, becomes white")
    clahe_clip: float = Field(2.0, ge=0, le=40, description="CLAHE clip limit; 0 turns it off")
    clahe_tiles: int = Field(8, ge=1, le=64, description="CLAHE tiles along either side")
    pectoral: Pectoral = Field(Pectoral.KEEP, description="pectoral muscle on MLO views")
    version: Literal[1, 2] = Field(
        1, description="masks of breast and muscle; 1 keeps the old ones"
    )

    @model_serializer(mode="wrap")
    def _without_first(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave version 1 out, so that old cards and folders of the cache keep their digest."""
        written: dict[str, Any] = write(self)
        if self.version == 1:
            written.pop("version", None)
        return written

    @model_validator(mode="after")
    def _odd(self) -> PreprocessConfig:
        if self.denoise_size_px % 2 == 0:
            raise ValueError("denoise_size_px must be odd: 3 or 5")
        return self


class RegionConfig(BaseModel):
    """Parameters of `mammolens.preprocess.prepare_region` and `prepare_crop`.

    With the defaults, a box on a CBIS-DDSM film gives the same picture as the widely used 256 × 256
    crops of its masses: a square window of 1.1 times the box's longer side, moved inside the film,
    and cut out of the film after CLAHE.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lesion"] = Field("lesion", description="one input shows one lesion")
    height: int = Field(224, ge=64, le=1024, multiple_of=32, description="rows of the output")
    width: int = Field(224, ge=64, le=1024, multiple_of=32, description="columns of the output")
    margin: float = Field(
        0.10, ge=0, le=2, description="added to the box's longer side, half of it at either end"
    )
    low_percentile: float = Field(1.0, ge=0, lt=50, description="of the window, becomes black")
    high_percentile: float = Field(99.0, gt=50, le=100, description="of the window, becomes white")
    clahe_clip: float = Field(
        2.0, ge=0, le=40, description="CLAHE clip limit, for windows cut from an image; 0: none"
    )
    clahe_tiles: int = Field(
        8, ge=1, le=64, description="CLAHE tiles along either side of the whole image"
    )


def _kind_of(value: Any) -> str:
    kind = value.get("kind", "breast") if isinstance(value, dict) else getattr(value, "kind", "")
    return str(kind or "breast")


InputConfig = Annotated[
    Annotated[PreprocessConfig, Tag("breast")] | Annotated[RegionConfig, Tag("lesion")],
    Discriminator(_kind_of),
]
"""Parameters for a whole breast, or (``kind = "lesion"``) for one lesion."""
