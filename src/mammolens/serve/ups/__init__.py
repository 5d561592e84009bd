"""Unified procedure steps: claimed, performed as exams, and ended on their server."""

from __future__ import annotations

from mammolens.serve.ups.performer import performing

__all__ = [
    "performing",
]
