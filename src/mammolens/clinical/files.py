"""Read clinical data from files: a table, HL7 v2 or FHIR R4; the kind is found by the content."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

from mammolens.clinical.fhir import read_bundle
from mammolens.clinical.hl7 import read_messages
from mammolens.clinical.records import ClinicalData, ClinicalRecord, last_day
from mammolens.clinical.table import read_rows
from mammolens.errors import InvalidManifest, MissingInput
from mammolens.pathology.fhir import is_json
from mammolens.pathology.hl7 import is_hl7

__all__ = ["MAX_BYTES", "read_clinical", "read_content"]

MAX_BYTES: Final = 64 << 20
"""Largest file of clinical data; the size is checked before reading."""


def read_clinical(paths: Iterable[Path], today: date | None = None) -> ClinicalData:
    """Read clinical data from files.

    Parameters
    ----------
    paths
        CSV, TSV, Excel, HL7 v2 or FHIR R4 (JSON).
    today
        The last possible day; by default the present day.

    Raises
    ------
    MissingInput
        A file does not exist.
    DataError
        A file cannot be read, or a value in it is impossible; nothing is used then.
    """
    day = today or last_day()
    return ClinicalData([record for path in paths for record in _read(path, day)])


def read_content(data: bytes, source: str, today: date | None = None) -> list[ClinicalRecord]:
    """Read clinical data from bytes of HL7 v2 or FHIR R4 (JSON).

    Raises
    ------
    DataError
        The bytes are neither, or a value in them is impossible.
    """
    day = today or last_day()
    if is_hl7(data):
        return list(read_messages(data, source, day))
    if is_json(data):
        return list(read_bundle(data, source, day))
    raise InvalidManifest(
        "the content is neither HL7 v2 nor FHIR R4 in JSON",
        source=source,
        remedy="Send an ADT or ORU message, or a Bundle",
    )


def _read(path: Path, today: date) -> Iterable[ClinicalRecord]:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidManifest(
                f"the file has {size >> 20} MiB, more than {MAX_BYTES >> 20}",
                source=str(path),
                remedy="Split it into smaller files",
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingInput(
            "the file does not exist", source=str(path), remedy="Check the spelling"
        ) from None
    except OSError as error:
        raise InvalidManifest(
            f"the file cannot be read: {error.strerror}",
            source=str(path),
            remedy="Give a file that you may read",
        ) from None
    if is_hl7(data) or is_json(data):
        return read_content(data, path.name, today)
    return read_rows(path, today)
