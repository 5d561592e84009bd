"""What the sections of the settings share: their form, keys without a default, and addresses."""

from __future__ import annotations

import ipaddress
from typing import Any, Final, get_args, get_origin
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

__all__ = [
    "CA_FILE",
    "CERT_FILE",
    "KEY_FILE",
    "Section",
    "check_address",
    "is_loopback",
    "model_of",
    "secret_key",
    "unset",
]

CA_FILE: Final = "/etc/mammolens/hospital-ca.pem"
CERT_FILE: Final = "/etc/mammolens/node.pem"
KEY_FILE: Final = "/etc/mammolens/node.key"
"""Examples of files: the authority of certificates, the own certificate and its key."""


class Section(BaseModel):
    """A section of the settings: read-only, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def unset(description: str, example: object, default: object = None, **limits: Any) -> Any:
    """Describe a key that is not set by default; the template shows the example."""
    return Field(default, description=description, examples=[example], **limits)


def model_of(field: FieldInfo) -> type[BaseModel] | None:
    """Give the model of a key that is a section, also of an optional or repeated one."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if get_origin(kind) is None and isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def check_address(key: str, address: str) -> SplitResult:
    """Parse an HTTP address; it must be encrypted (https), unless it is on this host.

    Raises
    ------
    ValueError
        It is not an address, is not encrypted, or has a user, a query or a fragment.
    """
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{key} is not an address") from error
    if not url.hostname or port == 0 or url.username or url.fragment or url.query:
        raise ValueError(f"{key} is not an address without user and query")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.hostname)):
        raise ValueError(f"{key} must begin with https://")
    return url


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this host only.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secret_key(name: str) -> str:
    """Give the key in ``[secrets]`` of the token or password for a destination."""
    return name.lower().replace("-", "_")
