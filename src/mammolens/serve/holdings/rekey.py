"""Encrypt all encrypted data with a new key, while the node works: ``mammolens node rekey``.

Identities, consents, reports, procedure steps and results are decrypted with any of the keys, and
encrypted with the newest key of the settings. Each row is changed in one transaction. After an
interruption, the command is run again; it skips data with the new key. The key of pseudonyms is
encrypted last, which shows that everything else is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings.encryption import (
    KEYRING_ROW,
    MAGIC,
    PSEUDONYMS,
    Seal,
    consent_about,
    sealed_work,
)
from mammolens.serve.holdings.faults import own_fault
from mammolens.serve.holdings.state import NodeState
from mammolens.serve.record import (
    CONSENTS,
    FILES,
    IDENTITIES,
    KEYRING,
    REPORTS,
    STEPS,
    Database,
    audit,
)

__all__ = ["Rekeyed", "rekey"]

BATCH: Final = 200
ACTOR: Final = "cli"


@dataclass(frozen=True)
class Rekeyed:
    """Numbers of rows and files that were encrypted with the new key."""

    identities: int
    steps: int
    files: int
    reports: int = 0
    consents: int = 0


def rekey(state: NodeState) -> Rekeyed:
    """Encrypt all data again that an older key encrypted; then the older keys are not needed.

    The replaced files are removed when a process of the node starts, at least an hour later.

    Raises
    ------
    ConfigError
        Nothing is encrypted, because there is no de-identification.
    StorageError
        Some data cannot be decrypted with any key. They and the keyring were not changed; all
        others were encrypted with the new key.
    """
    seal = state.results.seal
    if seal is None:
        raise ConfigError(
            "nothing is sealed", keyword="intake.deidentify", remedy="There is no key to change"
        )
    unopened: list[str] = []
    rows = partial(_rows, state.database, unopened)
    done = Rekeyed(
        rows(IDENTITIES.c.digest, IDENTITIES.c.sealed, lambda r: _again(seal, r.sealed, r.digest)),
        rows(STEPS.c.id, STEPS.c.work, lambda r: _work_again(seal, r.work, r.sop_instance_uid)),
        _files(state, unopened),
        rows(
            REPORTS.c.id,
            REPORTS.c.body,
            lambda r: _again(seal, r.body, r.digest) if r.body.startswith(MAGIC) else None,
        ),
        rows(
            CONSENTS.c.id, CONSENTS.c.said, lambda r: _work_again(seal, r.said, consent_about(r.id))
        ),
    )
    if unopened:
        kinds = ", ".join(f"{unopened.count(kind)} {kind}" for kind in dict.fromkeys(unopened))
        raise StorageError(
            f"{kinds} cannot be opened with any key; all others are sealed with the new key",
            keyword="intake.deidentify.old_keys",
            remedy="Add the key that sealed them; if they were changed, restore them from a backup",
        )
    with state.database.write() as connection:
        held = KEYRING.c.id == KEYRING_ROW
        sealed = connection.execute(sa.select(KEYRING.c.sealed).where(held)).scalar_one()
        if not seal.is_current(sealed):
            renewed = seal.close(seal.open(sealed, PSEUDONYMS), PSEUDONYMS)
            connection.execute(KEYRING.update().where(held).values(sealed=renewed))
        audit.append(state.database, connection, ACTOR, "rekeyed", None, vars(done))
    return done


def _again(seal: Seal, sealed: bytes, about: str) -> bytes | None:
    """Encrypt a value again; ``None`` if it has the newest key."""
    if seal.is_current(sealed):
        return None
    return seal.close(seal.open(sealed, about.encode()), about.encode())


def _work_again(seal: Seal, text: bytes | str | None, about: str) -> bytes | str | None:
    """Encrypt a mapping in JSON again; ``None`` if it is not encrypted or has the newest key."""
    work = json.loads(text or "{}")
    sealed = sealed_work(work)
    if not sealed or seal.is_current(sealed):
        return None
    again = json.dumps(seal.close_work(seal.open_work(work, about), about))
    return again.encode() if isinstance(text, bytes) else again


def _rows(
    database: Database,
    unopened: list[str],
    key: sa.Column[Any],
    column: sa.Column[Any],
    renew: Callable[[sa.Row[Any]], bytes | str | None],
) -> int:
    """Change a column in every row for which `renew` gives a value; give the number of rows.

    A row that was changed meanwhile is skipped, because it has the newest key. If a row cannot be
    decrypted, the name of its table is added to `unopened`.
    """
    count = 0
    for keys in _batches(database, key):
        with database.write() as connection:
            for row in connection.execute(_of(key, keys)):
                try:
                    value = renew(row)
                except StorageError:
                    unopened.append(key.table.name)
                    continue
                if value is not None:
                    before = row._mapping
                    same = sa.and_(key == before[key], column == before[column])
                    changed = key.table.update().where(same).values({column: value})
                    count += connection.execute(changed).rowcount
    return count


def _files(state: NodeState, unopened: list[str]) -> int:
    """Write files again, one after the other; a sender of an old file can finish."""
    count = 0
    for ids in _batches(state.database, FILES.c.id):
        with state.database.read() as connection:
            rows = connection.execute(_of(FILES.c.id, ids)).all()
        count += sum(_file(state, row, unopened) for row in rows)
    return count


def _file(state: NodeState, row: sa.Row[Any], unopened: list[str]) -> bool:
    store, seal = state.results, state.results.seal
    assert seal is not None
    path = store.path(row.digest)
    try:
        with path.open("rb") as file:
            if seal.is_current(file.read(64)):
                return False
    except OSError as error:
        raise StorageError(
            f"a result cannot be read ({error.strerror})", source=str(store.folder)
        ) from error
    try:
        content = store.read(row.digest)
    except StorageError as error:
        if own_fault(error) is not None:
            raise
        unopened.append("files")
        return False
    path.touch()  # so that no sweep removes it while it is sent
    stored = store.put(content)
    with state.database.write() as connection:
        same = sa.and_(FILES.c.id == row.id, FILES.c.digest == row.digest)
        renewed = {"digest": stored.digest, "size": stored.size}
        changed = connection.execute(FILES.update().where(same).values(**renewed)).rowcount
        store.require(stored.digest)
    return bool(changed)


def _batches(database: Database, key: sa.Column[Any]) -> Iterator[list[Any]]:
    """Give the keys of a table in groups; rows that are added meanwhile have the new key."""
    last: list[Any] = []
    while True:
        asked = sa.select(key).order_by(key).limit(BATCH)
        with database.read() as connection:
            found = asked.where(key > last[-1]) if last else asked
            last = list(connection.execute(found).scalars())
        if not last:
            return
        yield last


def _of(key: sa.Column[Any], values: Sequence[Any]) -> sa.Select[Any]:
    return sa.select(key.table).where(key.in_(values)).order_by(key)
