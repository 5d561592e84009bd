"""Read image files. This is the only package that decodes pixels of files.

`find_files` lists the image files in paths, folders and zip archives. `read_header` reads the
header of one file, which is fast; `read_image` reads and decodes one file to a `Mammogram`. A file
that cannot be read raises an `InputError` with file, cause and remedy; it never becomes an empty
picture.

The parts: `reader` (chooses by the first bytes), `dicom`, `raster` (PNG, JPEG, PGM, TIFF),
`photographs` (in colour, of films on a light box), `ljpeg` and `ics` (DDSM films), `decoders`
(compressed streams), `pixel_trust` (checks the decoded numbers), `names`, `descriptions` and
`vocabulary` (laterality and view from names, tables and texts), `ages`.
"""

from __future__ import annotations

from mammolens.images.files import ImageFile, find_files, walk_files
from mammolens.images.photographs import Photograph, read_photograph
from mammolens.images.picture_facts import PictureFacts, read_facts, read_mask
from mammolens.images.reader import HeaderInfo, identify, may_be_image, read_header, read_image

__all__ = [
    "HeaderInfo",
    "ImageFile",
    "Photograph",
    "PictureFacts",
    "find_files",
    "identify",
    "may_be_image",
    "read_facts",
    "read_header",
    "read_image",
    "read_mask",
    "read_photograph",
    "walk_files",
]
