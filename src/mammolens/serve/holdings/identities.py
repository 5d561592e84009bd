"""Identities are encrypted in the database, and decrypted for the results that need them.

A row has the identity that de-identification removed from one object. Its encryption is bound to
the digest of the object: a row that was moved to another object cannot be decrypted, so no result
gets the name of another patient. Results with an identity are encrypted in their store too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from io import BytesIO
from typing import Any, Final

import sqlalchemy as sa

from mammolens.core import ImagePrediction, ImageRef, Prediction, Source, SourceHeader, Unreadable
from mammolens.errors import StorageError
from mammolens.serve.holdings.deidentify import Pseudonyms, deidentify
from mammolens.serve.holdings.encryption import Seal, open_seal
from mammolens.serve.holdings.objects import ReceivedObject, describe_object
from mammolens.serve.record import IDENTITIES, INSTANCES, Database, Role
from mammolens.serve.settings import DeidentifySettings, IntakeSettings

__all__ = ["count_sealed", "exams_with_accession", "hide", "restore_identity", "restore_sources"]


_LONGEST_REASON: Final = 64
BATCH: Final = 1000


def hide(
    database: Database, content: bytes, found: ReceivedObject, intake: IntakeSettings
) -> tuple[bytes, ReceivedObject]:
    """De-identify an object; give its new bytes, and its description with the encrypted identity.

    If the object is entered but not stored, only its UIDs are replaced.

    Raises
    ------
    InputError
        The picture may show text, or the object is damaged.
    StorageError
        The database is away, or has another key.
    """
    settings, seal = intake.deidentify, open_seal(database, intake.deidentify)
    assert settings is not None
    assert seal is not None
    if found.role is Role.IGNORED:
        return content, replace(found, ref=_with_pseudonyms(found.ref, seal.pseudonyms))
    data = deidentify(content, found.ref, seal.pseudonyms, settings)
    digest = hashlib.sha256(data).hexdigest()
    new = describe_object(BytesIO(data), digest, len(data), intake.film, lambda _: False)
    removed = {
        "ref": _differences(found.ref, new.ref),
        "header": _differences(found.header, new.header),
    }
    sealed = seal.close(json.dumps(removed).encode(), digest.encode())
    # Text about the image is removed with the identity; the doubts that it raised are kept.
    lost = ",".join(name for name in found.doubts if name not in new.doubts)
    reason = found.reason or (f"doubts:{lost}"[:_LONGEST_REASON] if lost else None)
    return data, replace(new, role=found.role, reason=reason, kind=found.kind, sealed=sealed)


def _with_pseudonyms(ref: ImageRef, pseudonyms: Pseudonyms) -> ImageRef:
    return replace(
        ref,
        study_instance_uid=pseudonyms.uid(ref.study_instance_uid or ""),
        series_instance_uid=pseudonyms.uid(ref.series_instance_uid or ""),
        sop_instance_uid=pseudonyms.uid(ref.sop_instance_uid or ""),
    )


def restore_identity(
    database: Database, settings: DeidentifySettings | None, prediction: Prediction
) -> Prediction:
    """Restore the identity of the images of a prediction; the prediction keeps its pseudonym.

    Parameters
    ----------
    prediction
        The paths of its images and unreadable inputs are the digests of objects.

    Raises
    ------
    StorageError
        There is an identity, but no key, or a wrong one.
    """
    digests = [i.ref.path for i in prediction.images]
    digests += [u.source.ref.path for u in prediction.unreadable if u.source is not None]
    removed = _read_identities(database, open_seal(database, settings), digests)
    if not removed:
        return prediction
    return replace(
        prediction,
        images=tuple(_identified(image, removed) for image in prediction.images),
        unreadable=tuple(_unreadable_identified(item, removed) for item in prediction.unreadable),
    )


def restore_sources(
    database: Database, settings: DeidentifySettings | None, sources: Sequence[Source]
) -> tuple[Source, ...]:
    """Give images their identity back; those that never lost it stay as they are.

    Parameters
    ----------
    sources
        They have the digests of objects as their paths.

    Raises
    ------
    StorageError
        An identity is kept, but there is no key, or it is another.
    """
    digests = [source.ref.path for source in sources]
    removed = _read_identities(database, open_seal(database, settings), digests)
    return tuple(Source(*_restored(one.ref, one.header, removed)) for one in sources)


def exams_with_accession(database: Database, seal: Seal, accession_number: str) -> frozenset[int]:
    """Find the exams whose images had an accession number before de-identification.

    Only the encrypted identities have it, so all of them are decrypted.

    Raises
    ------
    StorageError
        The key of an identity is missing.
    """
    kept = sa.select(INSTANCES.c.exam_id, IDENTITIES).join(
        INSTANCES, INSTANCES.c.digest == IDENTITIES.c.digest
    )
    found: set[int] = set()
    with database.read() as connection:
        for row in connection.execute(kept.execution_options(yield_per=BATCH)):
            removed = json.loads(seal.open(row.sealed, row.digest.encode()))
            if (removed["header"].get("accession_number") or "").strip() == accession_number:
                found.add(row.exam_id)
    return frozenset(found)


def count_sealed(database: Database) -> int:
    """Count the encrypted identities."""
    with database.read() as connection:
        counted = sa.select(sa.func.count()).select_from(IDENTITIES)
        return int(connection.execute(counted).scalar_one())


def _differences(original: Any, hidden: Any) -> dict[str, Any]:
    values = {f.name: getattr(original, f.name) for f in fields(original)}
    return {name: value for name, value in values.items() if value != getattr(hidden, name)}


def _read_identities(
    database: Database, seal: Seal | None, digests: Iterable[str]
) -> dict[str, dict[str, Any]]:
    with database.read() as connection:
        rows = connection.execute(
            sa.select(IDENTITIES).where(IDENTITIES.c.digest.in_(sorted({*digests})))
        ).all()
    if rows and seal is None:
        raise StorageError(
            "identities are kept, and there is no key",
            source="vault",
            keyword="intake.deidentify.key",
            remedy="Give the node the key with which it received",
        )
    return {
        row.digest: json.loads(seal.open(row.sealed, row.digest.encode()))
        for row in rows
        if seal is not None
    }


def _identified(image: ImagePrediction, removed: dict[str, dict[str, Any]]) -> ImagePrediction:
    ref, header = _restored(image.ref, image.header, removed)
    return replace(image, ref=ref, header=header)


def _unreadable_identified(item: Unreadable, removed: dict[str, dict[str, Any]]) -> Unreadable:
    if item.source is None:
        return item
    return replace(item, source=Source(*_restored(item.source.ref, item.source.header, removed)))


def _restored(
    ref: ImageRef, header: SourceHeader, removed: dict[str, dict[str, Any]]
) -> tuple[ImageRef, SourceHeader]:
    known = removed.get(ref.path)
    if known is None:
        return ref, header
    return replace(ref, **_tuples(known["ref"])), replace(header, **_tuples(known["header"]))


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """Turn the lists of JSON into tuples."""

    def as_tuple(value: Any) -> Any:
        return tuple(map(as_tuple, value)) if isinstance(value, list) else value

    return {name: as_tuple(value) for name, value in fields.items()}
