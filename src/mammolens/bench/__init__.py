"""Models on trial: predictions against a manifest's labels, with intervals over patients."""

from __future__ import annotations

__all__: list[str] = []
