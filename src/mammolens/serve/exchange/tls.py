"""TLS of the node as a server and as a client: versions, ciphers and certificates.

DICOM follows the BCP 195 profile: TLS 1.2 or 1.3, forward secrecy, certificates of both sides. The
HTTP server uses the same ciphers. Other servers that the node calls over HTTP or MLLP need at least
TLS 1.2, and a certificate with their name.

Source: DICOM PS3.15 B.12 (BCP 195 RFC 9325 TLS Secure Transport Connection Profile).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mammolens.errors import ConfigError
from mammolens.serve.settings import DimseSettings, PathologySettings

__all__ = [
    "CIPHERS",
    "certificates_of",
    "client_context",
    "dicom_client_context",
    "listener_context",
]

CIPHERS: Final = ":".join(
    f"ECDHE-{signature}-AES{bits}-GCM-SHA{digest}"
    for bits, digest in ((256, 384), (128, 256))
    for signature in ("ECDSA", "RSA")
)
"""Ciphers of TLS 1.2; all ciphers of TLS 1.3 are allowed."""


@contextlib.contextmanager
def certificates_of(source: str, keyword: str) -> Iterator[None]:
    """Turn the failure to read certificates and keys into an error of the settings.

    Parameters
    ----------
    source, keyword
        The owner of the files, and the setting that names them.

    Raises
    ------
    ConfigError
    """
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigError(
            f"the certificates cannot be used ({reason})",
            source=source,
            keyword=keyword,
            remedy="Give PEM files that this user may read and that fit together; the key without"
            " a passphrase",
        ) from error


def client_context(
    source: str,
    keyword: str,
    authority: Path | None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> ssl.SSLContext:
    """Make the context for a server that is called over HTTP or MLLP.

    Parameters
    ----------
    source, keyword
        The owner of the files, and the setting that names them, for messages.
    authority
        PEM of the authority for the server; ``None`` uses the authorities of the system.
    certificate, key
        PEM of the certificate and key that the node presents, if it has one.

    Raises
    ------
    ConfigError
        A file cannot be read or does not fit.
    """
    with certificates_of(source, keyword):
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            # Without a password OpenSSL would ask at the terminal, and wait for it.
            context.load_cert_chain(certificate, key, password="")
    return context


def listener_context(owner: DimseSettings | PathologySettings) -> ssl.SSLContext | None:
    """Make the context of the DICOM or MLLP listener, or ``None`` without TLS.

    Raises
    ------
    ConfigError
        A file cannot be read or does not fit.
    """
    return None if owner.certificate is None else _bcp195(ssl.PROTOCOL_TLS_SERVER, owner)


def dicom_client_context(dimse: DimseSettings) -> ssl.SSLContext:
    """Make the context for calls to a ``dicoms://`` peer.

    Raises
    ------
    ConfigError
        There is no certificate, or a file cannot be read or does not fit.
    """
    context = _bcp195(ssl.PROTOCOL_TLS_CLIENT, dimse)
    context.check_hostname = dimse.check_names
    return context


def _bcp195(protocol: ssl._SSLMethod, owner: DimseSettings | PathologySettings) -> ssl.SSLContext:
    """Make a context with the own certificate; with an authority, the other side must show one."""
    is_dicom = isinstance(owner, DimseSettings)
    keyword = f"{'dimse' if is_dicom else 'pathology'}.certificate"
    if owner.certificate is None or (is_dicom and owner.authority is None):
        raise ConfigError(
            "TLS needs a certificate", keyword=keyword, remedy="Give certificate, key and authority"
        )
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    with certificates_of(str(owner.certificate), keyword):
        context.load_cert_chain(owner.certificate, owner.key, password="")
        if owner.authority is not None:
            context.load_verify_locations(owner.authority)
            context.verify_mode = ssl.CERT_REQUIRED
    return context
