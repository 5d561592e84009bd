"""Settings of uploads: how much a person may send in, and how long a broken one is kept."""

from __future__ import annotations

from pydantic import Field

from mammolens.serve.settings.web import Section

__all__ = ["UploadSettings"]


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
