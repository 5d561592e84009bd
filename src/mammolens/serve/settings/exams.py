"""Settings of exams: when they are analysed, and when they may be low."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from mammolens.errors import ConfigError
from mammolens.exams import parse_views
from mammolens.serve.settings.web import Section

__all__ = ["ExamSettings"]


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
