"""Read one's own table, so that ``datasets build table`` checks it and writes it in our form."""

from __future__ import annotations

from pathlib import Path

from mammolens.data.manifest import Manifest
from mammolens.errors import InvalidManifest

__all__ = ["build"]


def build(root: Path) -> Manifest:
    """Read a table, or all ``*.csv`` of a folder except the table of lesions.

    Raises
    ------
    InvalidManifest
        There is no table, a table is faulty, or an image is missing.
    """
    tables = sorted(root.glob("*.csv")) if root.is_dir() else [root]
    tables = [table for table in tables if table.name != "lesions.csv"]
    if not tables:
        raise InvalidManifest(
            "this folder has no table",
            source=str(root),
            remedy="Give a folder with manifest.csv, or the table itself",
        )
    manifest = Manifest.read(*tables)
    missing = [record.path for record in manifest.records if not record.path.is_file()]
    if missing:
        raise InvalidManifest(
            f"{len(missing)} of {len(manifest.records)} images are missing, first {missing[0]}",
            source=str(root),
            keyword="path",
            remedy="Paths are relative to the table",
        )
    return manifest
