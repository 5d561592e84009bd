"""Settings of exams: how much is uploaded, when they are analysed, and when they may be low."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from mammolens.errors import ConfigError
from mammolens.exams import parse_views
from mammolens.serve.settings.section import Section

__all__ = ["ExamSettings", "UploadSettings"]


class ExamSettings(Section):
    """When an exam is complete, and when it may be low."""

    quiet_time_s: float = Field(
        60.0, gt=0, description="seconds without another image after which an exam is analysed"
    )
    four_views: bool = Field(
        True, description="analyse at once when CC and MLO of both breasts were received"
    )
    complete_views: tuple[str, ...] = Field(
        ("RCC", "LCC", "RMLO", "LMLO"),
        min_length=1,
        description="views without which an exam is never low; name fewer only if the site"
        " screens with fewer",
    )

    @model_validator(mode="after")
    def _known_views(self) -> Self:
        try:
            parse_views(self.complete_views)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self


class UploadSettings(Section):
    """How much a person may send in over HTTP, and how long an upload waits for its rest."""

    max_mb: int = Field(4096, ge=1, description="largest upload, MiB: one file or one zip archive")
    max_unpacked_mb: int = Field(
        16384, ge=1, description="what the files of one archive may come to, MiB"
    )
    max_files: int = Field(5000, ge=1, description="files in one archive")
    max_open: int = Field(20, ge=1, description="uploads of one person that are not done")
    keep_hours: float = Field(
        48.0, gt=0, description="hours that an upload waits for its rest, then it is given up"
    )
