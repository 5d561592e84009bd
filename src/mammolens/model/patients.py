"""Whom a model learned from and whom it held out, as digests that travel with its package.

``patients.json`` lies beside the card. With it a table can be checked patient by patient; without
it only the names of data sets are known. A digest hides an identifier from the eye, not from who
can guess it: delete the file before a package leaves the house if identifiers are short numbers of
real patients. The package works without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mammolens.errors import BadModelPackage
from mammolens.model.card import read_card
from mammolens.model.store import CARD_FILE, open_store

__all__ = ["PATIENTS_FILE", "KnownPatients", "patient_digest", "patient_digests", "read_patients"]

PATIENTS_FILE = "patients.json"
_FORM = "mammolens.patients/1"
_DIGITS = 16
"""64 bits: of a million patients two share a digest with a probability below 1 in 30 million."""


@dataclass(frozen=True)
class KnownPatients:
    """Digests of the patients who taught a model, and of those whom it held out.

    `complete` is false where something that had a part in the weights learned from patients who
    are not known.
    """

    taught: frozenset[str]
    held_out: frozenset[str]
    complete: bool = True

    def to_json(self, graph_sha256: str) -> str:
        """As it is written; the digest of the graph ties it to its package."""
        document = {
            "form": _FORM,
            "graph_sha256": graph_sha256,
            "complete": self.complete,
            "taught": sorted(self.taught),
            "held_out": sorted(self.held_out),
        }
        return json.dumps(document) + "\n"


def patient_digest(patient: tuple[str, str]) -> str:
    """The digest of a patient: her data set and her identifier there.

    Examples
    --------
    >>> patient_digest(("mias", "001"))
    '285d17ae521967fb'
    """
    dataset, identifier = patient
    text = f"{dataset}\0{identifier}".encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:_DIGITS]


def patient_digests(patients: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The digests of several patients."""
    return frozenset(map(patient_digest, patients))


def read_patients(path_or_name: str | Path) -> KnownPatients | None:
    """Read the patients of a package; ``None`` if it does not say who they are.

    Raises
    ------
    BadModelPackage
        If there is no such package, or its ``patients.json`` is damaged or of another package.
    """
    source, read = open_store(path_or_name)
    try:
        text = read(PATIENTS_FILE)
    except BadModelPackage as error:
        if isinstance(error.__cause__, FileNotFoundError | KeyError):
            return None
        raise
    card = read_card(read(CARD_FILE), f"{source}/{CARD_FILE}")
    try:
        found = json.loads(text)
        if found["form"] != _FORM or found["graph_sha256"] != card.graph_sha256:
            raise ValueError("it is of another package or of another form")
        return KnownPatients(
            frozenset(map(str, found["taught"])),
            frozenset(map(str, found["held_out"])),
            bool(found["complete"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BadModelPackage(
            f"whom it learned from cannot be read: {error}",
            source=f"{source}/{PATIENTS_FILE}",
            remedy="Export the model again, or delete this file: data sets are then told apart by "
            "name alone",
        ) from error
