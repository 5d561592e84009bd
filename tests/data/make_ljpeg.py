"""Tiny DDSM cases: lossless JPEG coded as Stanford's PVRG coder does, and the case's ``.ics``.

The coder is written from its description (the first line is predicted like the others, half of the
range lying above it), apart from the decoder under test; its streams are those that pvrg-jpeg
1.2.1 decodes to the same pixels.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint16]


def pvrg(grey: Grey, predictor: int = 7, precision: int = 16, columns: int | None = None) -> bytes:
    """Code `grey` (rows, columns) as a lossless JPEG; `columns` breaks its lines elsewhere."""
    grey = grey.reshape(-1, columns or grey.shape[1])
    differences = _differences(grey.astype(np.int64), predictor, 1 << (precision - 1))
    sizes = np.frompyfunc(lambda d: int(abs(d)).bit_length(), 1, 1)(differences).astype(int)
    symbols = sorted(set(sizes.ravel().tolist()))
    rank = {symbol: code for code, symbol in enumerate(symbols)}
    bits = "".join(
        format(rank[size], "05b") + (_extra(int(value), size) if 0 < size < 16 else "")
        for value, size in zip(differences.ravel(), sizes.ravel(), strict=True)
    )
    bits += "1" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    rows, columns = grey.shape
    counts = [0, 0, 0, 0, len(symbols)] + [0] * 11
    return (
        b"\xff\xd8\xff\xc3"
        + struct.pack(">HBHHB3B", 11, precision, rows, columns, 1, 1, 0x11, 0)
        + b"\xff\xc4"
        + struct.pack(">HB", 19 + len(symbols), 0)
        + bytes(counts + symbols)
        + b"\xff\xda"
        + struct.pack(">H6B", 8, 1, 1, 0, predictor, 0, 0)
        + body
        + b"\xff\xd9"
    )


def _differences(grey: npt.NDArray[np.int64], predictor: int, half: int) -> npt.NDArray[np.int64]:
    above = np.vstack([np.full_like(grey[:1], half), grey[:-1]])
    left, corner = np.roll(grey, 1, axis=1), np.roll(above, 1, axis=1)
    predicted = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (above + left) >> 1,
    }[predictor]
    predicted[:, 0] = above[:, 0]
    return (grey - predicted + 0x8000) % 0x10000 - 0x8000


def _extra(value: int, size: int) -> str:
    return format(value if value > 0 else value + (1 << size) - 1, f"0{size}b")


def film(rows: int = 72, columns: int = 66, bits: int = 12, seed: int = 0) -> Grey:
    """A digitised film: a breast brighter than its dark ground, with the grain of film."""
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot((y - rows / 2) / (rows / 2), x / columns) < 0.9
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 2 ** (bits - 9), (rows, columns))
    level = np.where(inside, 0.55 + 0.1 * np.sin(y / 9), 0.08) * (1 << bits)
    return np.clip(level + grain, 1, (1 << bits) - 1).astype(np.uint16)


def ics(
    case: str,
    films: dict[str, tuple[int, int, int]],
    *,
    digitizer: str = "LUMISYS",
    marked: frozenset[str] = frozenset(),
    age: str = "42",
    density: str = "3",
) -> str:
    """A case's header; `films` gives rows, columns and bits, `marked` those with an overlay."""
    lines = [
        "ics_version 1.0",
        f"filename {case.replace('_', '-')}",
        "DATE_OF_STUDY 2 7 1995",
        f"PATIENT_AGE {age}",
        "FILM ",
        "FILM_TYPE REGULAR",
        f"DENSITY {density}",
        "DATE_DIGITIZED 7 22 1997 ",
        f"DIGITIZER {digitizer}",
        "SELECTED",
    ]
    for name, (rows, columns, bits) in films.items():
        overlay = "OVERLAY" if name in marked else "NON_OVERLAY"
        lines.append(
            f"{name} LINES {rows} PIXELS_PER_LINE {columns} BITS_PER_PIXEL {bits}"
            f" RESOLUTION 50 {overlay}"
        )
    return "\n".join(lines) + "\n"


def save_case(
    folder: Path, case: str, films: dict[str, Grey], *, bits: int = 12, **header: object
) -> Path:
    """Write a case's films and header into `folder`, and give the path of the header."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, grey in films.items():
        (folder / f"{case}.{name}.LJPEG").write_bytes(pvrg(grey))
    sizes = {name: (*grey.shape, bits) for name, grey in films.items()}
    path = folder / f"{case.replace('_', '-')}.ics"
    path.write_text(ics(case, sizes, **header))  # type: ignore[arg-type]
    return path
