"""JSON in a column of the database: compressed, since outlines and tables repeat themselves."""

from __future__ import annotations

import json
import zlib
from typing import Any

__all__ = ["pack", "unpack"]


def pack(content: dict[str, Any]) -> bytes:
    """Write JSON, compressed.

    Examples
    --------
    >>> unpack(pack({"rows": 3}))
    {'rows': 3}
    """
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode("utf-8"), 6)


def unpack(body: bytes) -> dict[str, Any]:
    """Read what `pack` wrote."""
    content: dict[str, Any] = json.loads(zlib.decompress(body))
    return content
