"""Files in, mammograms out: the only room that reads pixels.

Paths → `find_files` → `ImageFile` → `read_header` (cheap) or `read_image` (one read, one decode) →
`Mammogram`. Whatever cannot be read is an `InputError` that names file, cause and remedy, never an
empty picture.
"""

from __future__ import annotations

from mammolens.images.facts import PictureFacts, read_facts
from mammolens.images.files import ImageFile, find_files
from mammolens.images.masks import read_mask
from mammolens.images.reader import HeaderInfo, identify, may_be_image, read_header, read_image

__all__ = [
    "HeaderInfo",
    "ImageFile",
    "PictureFacts",
    "find_files",
    "identify",
    "may_be_image",
    "read_facts",
    "read_header",
    "read_image",
    "read_mask",
]
