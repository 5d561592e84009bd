"""What the viewer is told of an exam, as the JSON of ``web/src/viewer/exam.ts``.

Pure: no file, no database, no network. "Unknown" is ``None``, never a guess and never a default.
"""

from __future__ import annotations

from mammolens.serve.viewer.image_facts import Found, banner_of, image_facts, refused_facts
from mammolens.serve.viewer.overlay import ai_overlay, map_grid
from mammolens.serve.viewer.packing import pack, unpack

__all__ = [
    "Found",
    "ai_overlay",
    "banner_of",
    "image_facts",
    "map_grid",
    "pack",
    "refused_facts",
    "unpack",
]
