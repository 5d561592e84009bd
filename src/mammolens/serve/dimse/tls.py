"""TLS by the BCP 195 profile: 1.2 or 1.3, forward secrecy, certificates of both sides.

Source: DICOM PS3.15 B.12 (BCP 195 RFC 9325 TLS Secure Transport Connection Profile).
"""

from __future__ import annotations

import ssl
from typing import Final

from mammolens.errors import ConfigError
from mammolens.serve.settings import DimseSettings

__all__ = ["client_context", "server_context"]

CIPHERS: Final = ":".join(
    f"ECDHE-{signature}-AES{bits}-GCM-SHA{digest}"
    for bits, digest in ((256, 384), (128, 256))
    for signature in ("ECDSA", "RSA")
)
"""Of TLS 1.2; those of TLS 1.3 are all good."""


def server_context(dimse: DimseSettings) -> ssl.SSLContext | None:
    """Make what the listener wraps connections with, or ``None`` where it speaks without TLS.

    Raises
    ------
    ConfigError
        A file cannot be read or does not fit.
    """
    return _context(dimse, ssl.PROTOCOL_TLS_SERVER) if dimse.certificate else None


def client_context(dimse: DimseSettings) -> ssl.SSLContext:
    """Make what calls to a ``dicoms://`` peer are wrapped with.

    Raises
    ------
    ConfigError
        There is no certificate to show, or a file cannot be read or does not fit.
    """
    context = _context(dimse, ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = dimse.check_names
    return context


def _context(dimse: DimseSettings, protocol: ssl._SSLMethod) -> ssl.SSLContext:
    if dimse.certificate is None or dimse.authority is None:
        raise ConfigError(
            "TLS needs a certificate",
            keyword="dimse.certificate",
            remedy="Give certificate, key and authority",
        )
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(dimse.certificate, dimse.key, password="")
        context.load_verify_locations(dimse.authority)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"the certificates cannot be used ({reason})",
            source=str(dimse.certificate),
            keyword="dimse.certificate",
            remedy="Check that certificate, key and authority are PEM files that fit together",
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED
    return context
