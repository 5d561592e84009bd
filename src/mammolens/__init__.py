"""mammolens: an open second reader for mammography. Research use only, not a medical device."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["DISCLAIMER", "__version__"]

DISCLAIMER = "Research use only, not a medical device."

try:
    __version__ = version("mammolens")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
