"""DICOMweb without HTTP: what a person or a machine may find and read, and in which form.

`headers` keeps what can be searched for, `search` answers queries, `finding` says who may know of
what and lists the objects of a request, `media` chooses a form, `stored_object` and
`bodies` give the bytes, `rendering` makes pictures for people, `access_notes` audits.
"""

from __future__ import annotations

from mammolens.serve.dicomweb.access_notes import AccessNotes
from mammolens.serve.dicomweb.attributes import Level
from mammolens.serve.dicomweb.bodies import (
    NoSuchValue,
    Part,
    bulk_parts,
    frame_parts,
    make_boundary,
    metadata_pieces,
    multipart_pieces,
    object_parts,
    primed,
)
from mammolens.serve.dicomweb.finding import FoundObject, Viewer, find_objects
from mammolens.serve.dicomweb.headers import HeaderIndex, NotReadyYet
from mammolens.serve.dicomweb.matching import BadQuery, read_query
from mammolens.serve.dicomweb.media import (
    DICOM,
    JSON,
    OCTETS,
    RELATED,
    MediaType,
    accepts,
    choose_frame_way,
    choose_syntax,
    parse_media_type,
    read_wishes,
)
from mammolens.serve.dicomweb.rendering import (
    BadRendering,
    read_rendering,
    render,
    write_picture,
)
from mammolens.serve.dicomweb.search import Found, search
from mammolens.serve.dicomweb.stored_object import OpenObject, open_object

__all__ = [
    "DICOM",
    "JSON",
    "OCTETS",
    "RELATED",
    "AccessNotes",
    "BadQuery",
    "BadRendering",
    "Found",
    "FoundObject",
    "HeaderIndex",
    "Level",
    "MediaType",
    "NoSuchValue",
    "NotReadyYet",
    "OpenObject",
    "Part",
    "Viewer",
    "accepts",
    "bulk_parts",
    "choose_frame_way",
    "choose_syntax",
    "find_objects",
    "frame_parts",
    "make_boundary",
    "metadata_pieces",
    "multipart_pieces",
    "object_parts",
    "open_object",
    "parse_media_type",
    "primed",
    "read_query",
    "read_rendering",
    "read_wishes",
    "render",
    "search",
    "write_picture",
]
