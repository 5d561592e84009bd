"""The patients that a model was trained on and those that it held out, as digests in its package.

The digests are in ``patients.json``, in the folder of the card. With this file, each patient of a
table can be checked. Without it, only the names of the data sets are known. A digest does not
protect an identifier that someone can guess. If identifiers are short numbers of real patients,
delete the file before you give the package to others. The package works without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mammolens.errors import BadModelPackage
from mammolens.model.card import read_card
from mammolens.model.package_files import CARD_FILE, open_package, read_optional

__all__ = ["PATIENTS_FILE", "KnownPatients", "patient_digest", "patient_digests", "read_patients"]

PATIENTS_FILE = "patients.json"
_FORM = "mammolens.patients/1"
_DIGITS = 16
"""Hexadecimal digits, 64 bits: the probability that any two of a million patients have the same
digest is below 1 in 30 million."""


@dataclass(frozen=True)
class KnownPatients:
    """Digests of the patients that a model was trained on (`taught`), and of those held out.

    `complete` is false if a part of the weights comes from training on unknown patients, for
    example through a teacher network.
    """

    taught: frozenset[str]
    held_out: frozenset[str]
    complete: bool = True

    def to_json(self, graph_sha256: str) -> str:
        """Give the text of ``patients.json``; the digest of the graph names the package."""
        document = {
            "form": _FORM,
            "graph_sha256": graph_sha256,
            "complete": self.complete,
            "taught": sorted(self.taught),
            "held_out": sorted(self.held_out),
        }
        return json.dumps(document) + "\n"


def patient_digest(patient: tuple[str, str]) -> str:
    """Give the digest of a patient: (data set, patient identifier) → 16 hexadecimal digits.

    Examples
    --------
    >>> patient_digest(("mias", "001"))
    '285d17ae521967fb'
    """
    dataset, identifier = patient
    text = f"{dataset}\0{identifier}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


def patient_digests(patients: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Give the digests of several patients."""
    return frozenset(map(patient_digest, patients))


def read_patients(path_or_name: str | Path) -> KnownPatients | None:
    """Read the patients of a package; ``None`` if it has no ``patients.json``.

    Raises
    ------
    BadModelPackage
        If the package does not exist, or its ``patients.json`` is damaged or of another package.
    """
    source, read = open_package(path_or_name)
    text = read_optional(read, PATIENTS_FILE)
    if text is None:
        return None
    card = read_card(read(CARD_FILE), f"{source}/{CARD_FILE}")
    try:
        document = json.loads(text)
        if document["form"] != _FORM or document["graph_sha256"] != card.graph_sha256:
            raise ValueError("it belongs to another package or has another format")
        return KnownPatients(
            frozenset(map(str, document["taught"])),
            frozenset(map(str, document["held_out"])),
            bool(document["complete"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadModelPackage(
            f"the training patients cannot be read: {error}",
            source=f"{source}/{PATIENTS_FILE}",
            remedy="Export the model again, or delete this file; then only the names of data sets "
            "are compared",
        ) from error
