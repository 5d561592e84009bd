"""DICOM: bytes of a file become header and mammogram. Start with `reader`.

Find the header within limits, before a parser sees it:
    `attributes` (which attributes are read, and how much), `streams` and `walk` (go over the
    elements), `scan` (keep some of them), `bounded_header` (all together).

Read values of the header:
    `tags` (values of attributes), `charsets` (texts), `header` (identity, acquisition and
    orientation), `views` (laterality and view position), `pydicom_warnings`.

Decide whether the image is accepted:
    `acceptance` (kind, class, frames, pixel format), `subject` (specimens, phantoms, contrast
    mammography), `partial_views` (parts of a breast).

Decode the pixels:
    `frames` (bytes of the frame), `pixels` (decoder, byte order, depth, sign), `luts` (modality
    LUT, VOI, padding), `reader.read_for_display` (also of what is refused).

Give a stored object to others, as it is:
    `whole_header` (every attribute, large values by their place), `stored_frames` (frame by frame).
"""

from __future__ import annotations

from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.dicom.reader import (
    HEAD_BYTES,
    Described,
    ShownImage,
    describe_dicom,
    looks_like_dicom,
    read_dicom,
    read_for_display,
)
from mammolens.images.dicom.stored_frames import (
    FrameForm,
    StoredFrames,
    can_decode,
    encode_htj2k,
    frame_form,
    frame_values,
)
from mammolens.images.dicom.whole_header import Place, WholeHeader, plain_copy, read_whole_header

__all__ = [
    "HEAD_BYTES",
    "Described",
    "FrameForm",
    "Place",
    "ShownImage",
    "StoredFrames",
    "WholeHeader",
    "can_decode",
    "describe_dicom",
    "encode_htj2k",
    "frame_form",
    "frame_values",
    "looks_like_dicom",
    "plain_copy",
    "quiet_pydicom",
    "read_dicom",
    "read_for_display",
    "read_whole_header",
]
