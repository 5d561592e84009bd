"""Encryption of identities and results, and the keys for it.

Keys are derived from the secrets in the settings (HKDF, RFC 5869), which are never in the database.
The newest key encrypts; all keys decrypt. Encrypted bytes (AES-256-GCM) name their key, and are
bound to their purpose, so they cannot replace other encrypted bytes. The key of pseudonyms is
derived from the first secret of the database, and is stored there encrypted: when the secret
changes, patients keep their pseudonyms.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from mammolens.errors import ConfigError, StorageError
from mammolens.serve.holdings.deidentify import Pseudonyms
from mammolens.serve.record import KEYRING, Database, insert_once
from mammolens.serve.settings import DeidentifySettings

__all__ = [
    "KEYRING_ROW",
    "MAGIC",
    "PSEUDONYMS",
    "Seal",
    "consent_about",
    "open_seal",
    "sealed_work",
    "unseal",
]

MAGIC: Final = b"mammolens sealed 2\n"
NAME_BYTES: Final = 8
NONCE_BYTES: Final = 12
RESULT: Final = b"result"
PSEUDONYMS: Final = b"pseudonyms"
SEALED: Final = "sealed"
KEYRING_ROW: Final = 1


@dataclass(frozen=True)
class SealingKey:
    """A key and its name, from which the key cannot be found."""

    name: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Seal:
    """The keys, of which the first encrypts, and the maker of pseudonyms."""

    pseudonyms: Pseudonyms
    keys: tuple[SealingKey, ...]

    def close(self, content: bytes, about: bytes = RESULT) -> bytes:
        """Encrypt; the same `about` is needed to decrypt."""
        return _close(self.keys[0], content, about)

    def open(self, sealed: bytes, about: bytes = RESULT) -> bytes:
        """Decrypt.

        Raises
        ------
        StorageError
            It was encrypted with another key or about something else, or was changed.
        """
        return _open(self.keys, sealed, about)

    def is_current(self, sealed: bytes) -> bool:
        """Whether bytes were encrypted with the newest key; their first bytes show it."""
        return sealed.startswith(MAGIC + self.keys[0].name)

    def close_work(self, work: Mapping[str, Any], about: str) -> dict[str, Any]:
        """Encrypt a mapping as JSON."""
        sealed = self.close(json.dumps(work).encode(), about.encode())
        return {SEALED: base64.b64encode(sealed).decode()}

    def open_work(self, work: Mapping[str, Any], about: str) -> Mapping[str, Any]:
        """Decrypt a mapping; one that is not encrypted is returned unchanged.

        Raises
        ------
        StorageError
            It was encrypted with another key or about something else, or was changed.
        """
        if SEALED not in work:
            return work
        opened: dict[str, Any] = json.loads(self.open(sealed_work(work), about.encode()))
        return opened


def consent_about(consent_id: str) -> str:
    """Say what the encryption of a patient's consent is bound to."""
    return f"consent {consent_id}"


def sealed_work(work: Mapping[str, Any]) -> bytes:
    """Give the encrypted bytes of a mapping; empty if it is not encrypted."""
    return base64.b64decode(work.get(SEALED, ""))


def open_seal(
    database: Database, settings: DeidentifySettings | None, *, read_only: bool = False
) -> Seal | None:
    """Derive the keys and decrypt the key of pseudonyms; ``None`` without de-identification.

    Parameters
    ----------
    read_only
        Write nothing, also if the database has no keyring yet.

    Raises
    ------
    ConfigError
        The package cryptography is not installed.
    StorageError
        No key fits this database, or the database is away.
    """
    if settings is None:
        return None
    keys, pseudonyms = _keys(settings)
    with database.read() as connection:
        sealed: bytes | None = connection.execute(sa.select(KEYRING.c.sealed)).scalar_one_or_none()
    if sealed is None and not read_only:
        first = {"id": KEYRING_ROW, "sealed": _close(keys[0], pseudonyms, PSEUDONYMS)}
        with database.write() as connection:
            insert_once(connection, KEYRING, first)
            sealed = connection.execute(sa.select(KEYRING.c.sealed)).scalar_one()
    if sealed is not None:
        pseudonyms = _open(keys, sealed, PSEUDONYMS)
    return Seal(Pseudonyms(pseudonyms), keys)


def _keys(settings: DeidentifySettings) -> tuple[tuple[SealingKey, ...], bytes]:
    """Derive the keys, and the key of pseudonyms from the oldest secret."""
    secrets = (settings.key, *settings.old_keys)
    derived = [_derived(secret.get_secret_value()) for secret in secrets]
    return tuple(SealingKey(bits[64:], bits[32:64]) for bits in derived), derived[-1][:32]


def unseal(seal: Seal | None, content: bytes, about: bytes = RESULT) -> bytes:
    """Decrypt a result or a pathology report if it is encrypted.

    Raises
    ------
    StorageError
        There is no key, or a wrong one.
    """
    if not content.startswith(MAGIC):
        return content
    if seal is None:
        raise StorageError(
            "a result or report is sealed, and there is no key",
            source="results",
            keyword="intake.deidentify.key",
            remedy="Give the node the key with which it received",
        )
    return seal.open(content, about)


def _derived(secret: str) -> bytes:
    """Give 72 bytes: the key of pseudonyms, the sealing key, and its name."""
    try:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    except ImportError as error:
        raise ConfigError(
            "de-identification needs the package cryptography",
            keyword="intake.deidentify",
            remedy="Run: pip install 'mammolens[serve]'",
        ) from error
    length = 64 + NAME_BYTES
    return HKDF(SHA256(), length, None, b"mammolens de-identification 1").derive(secret.encode())


def _close(key: SealingKey, content: bytes, about: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head, nonce = MAGIC + key.name, os.urandom(NONCE_BYTES)
    return head + nonce + AESGCM(key.key).encrypt(nonce, content, head + about)


def _open(keys: tuple[SealingKey, ...], sealed: bytes, about: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    length = len(MAGIC) + NAME_BYTES
    head, nonce, rest = sealed[:length], sealed[length:][:NONCE_BYTES], sealed[length:]
    key = next((key for key in keys if head == MAGIC + key.name), None)
    try:
        if key is None:
            raise ValueError
        return AESGCM(key.key).decrypt(nonce, rest[NONCE_BYTES:], head + about)
    except (InvalidTag, ValueError) as error:
        raise StorageError(
            "an identity cannot be opened",
            source="vault",
            keyword="intake.deidentify.key",
            remedy="Give the node the key with which it received, as key or among old_keys",
        ) from error
