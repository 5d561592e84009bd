"""The fuzzer's child process (see `test_fuzz.py`): mutate, read, count, print one JSON object."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "data"))

ODD_VALUES = (
    b"", b"\0", b"\xff\xff\xff\xff", b"nan", b"inf", b"-1", b"1e999", b"\\\\\\", b"0",
    b"L\\R", b"\x1b$B\x1b(J", b"99999999999999999999", b"1.2.3" * 30, "MG é".encode(),
)  # fmt: skip
ODD_KEYWORDS = (
    "SOPClassUID", "Modality", "PatientID", "PatientName", "PatientAge", "ImageLaterality",
    "ViewPosition", "PatientOrientation", "ImageType", "RescaleSlope", "RescaleIntercept",
    "WindowCenter", "WindowWidth", "PixelAspectRatio", "ImagerPixelSpacing", "NumberOfFrames",
    "PhotometricInterpretation", "SpecificCharacterSet", "PixelPaddingValue", "BitsAllocated",
    "BitsStored", "HighBit", "Rows", "Columns", "SamplesPerPixel", "PixelRepresentation",
)  # fmt: skip


def flip(data: bytearray, rng: np.random.Generator, _: int) -> None:
    for at in rng.integers(0, len(data), rng.integers(1, 12)):
        data[at] = rng.integers(256)


def flip_header(data: bytearray, rng: np.random.Generator, header: int) -> None:
    for at in rng.integers(0, header, rng.integers(1, 8)):
        data[at] = rng.integers(256)


def truncate(data: bytearray, rng: np.random.Generator, _: int) -> None:
    del data[rng.integers(0, len(data)) :]


def cut_out(data: bytearray, rng: np.random.Generator, _: int) -> None:
    at = rng.integers(0, len(data))
    del data[at : at + rng.integers(1, 60)]


def change_length(data: bytearray, rng: np.random.Generator, header: int) -> None:
    at = int(rng.integers(132, header - 4))
    size = int(rng.choice([2, 4]))
    value = rng.choice([0, 1, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.integers(1 << 31)])
    data[at : at + size] = int(value).to_bytes(8, "little")[:size]


def repeat(data: bytearray, rng: np.random.Generator, _: int) -> None:
    start, end = sorted(rng.integers(0, len(data), 2))
    data[end:end] = data[start : min(end, start + 5000)]


MUTATIONS: tuple[Callable[[bytearray, np.random.Generator, int], None], ...] = (
    flip, flip_header, truncate, cut_out, change_length, repeat,
)  # fmt: skip


def odd_tags(make_dicom, syntax: str, rng: np.random.Generator) -> bytes | None:
    """A sound file in which attributes hold odd values, or ``None`` if pydicom cannot write it."""
    from pydicom import dcmread
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    made = make_dicom.dataset(make_dicom.picture(bits=bits_of(syntax)))
    buffer = BytesIO(make_dicom.file_bytes(made, syntax))
    parsed = dcmread(buffer)
    for keyword in rng.choice(ODD_KEYWORDS, rng.integers(1, 3)):
        tag = Tag(tag_for_keyword(str(keyword)))
        value = ODD_VALUES[rng.integers(len(ODD_VALUES))]
        value += b" " * (len(value) % 2)
        vr = "LO" if rng.random() < 0.3 else parsed.get_item(tag).VR if tag in parsed else "DS"
        parsed[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    out = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parsed.save_as(out, enforce_file_format=False)
        except Exception:
            return None
    return out.getvalue()


def bits_of(syntax: str) -> int:
    return 8 if syntax.endswith(".4.50") else 12


def dicoms(make_dicom, number: int) -> Iterator[tuple[str, bytes]]:
    for index, syntax in enumerate((*make_dicom.NATIVE, *make_dicom.ENCODERS)):
        bits = bits_of(syntax)
        made = make_dicom.dataset(
            make_dicom.picture(bits=bits),
            BitsStored=bits,
            HighBit=bits - 1,
            WindowCenter=[100, 200],
            WindowWidth=[50, 60],
            RescaleSlope=1,
            RescaleIntercept=0,
            PatientAge="050Y",
        )
        whole = make_dicom.file_bytes(made, syntax)
        header = max(whole.rfind(b"\xe0\x7f\x10\x00"), whole.rfind(b"\x7f\xe0\x00\x10"), 400)
        for seed in range(number):
            rng = np.random.default_rng([index, seed])
            if seed % 7 == 6:
                odd = odd_tags(make_dicom, make_dicom.EXPLICIT, rng)
                if odd is not None:
                    yield f"odd tags {index} {seed}", odd
                continue
            mutate = MUTATIONS[seed % 7]
            data = bytearray(whole)
            mutate(data, rng, min(header, len(data)))
            yield f"{syntax} {mutate.__name__} {seed}", bytes(data)


def pictures(make_dicom, number: int) -> Iterator[tuple[str, bytes]]:
    import cv2

    for suffix in (".png", ".jpg", ".tiff", ".pgm"):
        whole = cv2.imencode(suffix, make_dicom.picture(bits=8))[1].tobytes()
        for seed in range(number):
            rng = np.random.default_rng(seed)
            data = bytearray(whole)
            mutate = (flip, flip_header, truncate, cut_out, repeat)[seed % 5]
            mutate(data, rng, min(200, len(data)))
            yield f"{suffix} {mutate.__name__} {seed}", bytes(data)


def main(number: int) -> None:
    import make_dicom

    from mammolens.errors import InputError
    from mammolens.images import ImageFile, identify, read_image

    counts = {"dicoms": 0, "pictures": 0, "read": 0, "refused": 0}
    strange: list[str] = []
    slowest, path = 0.0, Path("mutant")
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind, mutants in (("dicoms", dicoms), ("pictures", pictures)):
        for name, data in mutants(make_dicom, number):
            path.write_bytes(data)
            counts[kind] += 1
            began = time.monotonic()
            for read in (identify, read_image):
                try:
                    read(ImageFile(path))
                except InputError as error:
                    counts["refused"] += read is read_image
                    if not error.source or not error.remedy:
                        strange.append(f"{name}: {error!r} has no source or remedy")
                except Exception as error:
                    strange.append(f"{name}: {type(error).__name__}: {error}")
                else:
                    counts["read"] += read is read_image
            slowest = max(slowest, time.monotonic() - began)
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024
    print(
        json.dumps(
            counts | {"strange": strange[:20], "slowest_s": slowest, "peak_growth_mib": growth}
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
