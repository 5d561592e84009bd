"""The settings of a demonstration."""

from __future__ import annotations

import json
from pathlib import Path

from mammolens import DISCLAIMER
from mammolens.errors import StorageError
from mammolens.extras import missing_modules

__all__ = ["write_settings"]


def write_settings(folder: Path) -> Path:
    """Write ``node.toml`` into a folder if none is there; gives its path.

    Raises
    ------
    StorageError
        The folder cannot be written to.
    """
    path = folder / "node.toml"
    if path.is_file():
        return path
    sinks = ["json", "html", "overlay", "fhir", "hl7"]
    if not missing_modules("dicom"):
        sinks += ["dicom-cad-sr", "dicom-sr", "dicom-pr", "dicom-sc"]
    lines = (
        f"# A demonstration of mammolens. {DISCLAIMER}",
        "# All settings with their meaning: mammolens node init",
        f"data = {json.dumps(str(folder.resolve() / 'data'), ensure_ascii=False)}",
        f"sinks = {json.dumps(sinks)}",
        "",
        "[intake]",
        "film = true  # the sample exams are digitised films",
        "",
        "[dimse]",
        "port = 0  # DICOM listens on any free port; a node that receives needs a fixed one",
        "",
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), "utf-8")
    except OSError as error:
        raise StorageError(
            f"the settings cannot be written ({error.strerror})",
            source=str(path),
            remedy="Give a folder that may be written to",
        ) from error
    return path
