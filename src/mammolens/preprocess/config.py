"""Every number that preprocessing depends on; it travels inside the model card."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Denoise", "Pectoral", "PreprocessConfig"]


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

    @model_validator(mode="after")
    def _odd(self) -> PreprocessConfig:
        if self.denoise_size_px % 2 == 0:
            raise ValueError("denoise_size_px must be odd: 3 or 5")
        return self
