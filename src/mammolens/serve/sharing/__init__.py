"""Sharing: a referring doctor without an account reads one signed report by a link and a code.

The link has 256 random bits behind ``#``, which browsers send to no server before its page does so
in the body of a request; the code comes by another way. Both are shown once, and only their hashes
are kept. A link opens one report, until it expires, is revoked, or five wrong codes have locked it,
and only as long as whoever made it may still see the report.
"""

from __future__ import annotations

from mammolens.serve.sharing.shares import (
    NewShare,
    Share,
    list_shares,
    make_share,
    open_share,
    revoke_share,
)

__all__ = [
    "NewShare",
    "Share",
    "list_shares",
    "make_share",
    "open_share",
    "revoke_share",
]
