"""Print by typst: a template, data for it and files beside it become a PDF.

Text is data and never markup. No font of the system is read: DejaVu Sans covers Latin, Greek,
Cyrillic, Arabic and Hebrew, Noto Sans Devanagari its script.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from mammolens.wording import printable

__all__ = ["FONTS", "breakable", "typeset"]

FONTS: Final = ("DejaVu Sans", "Noto Sans Devanagari")
"""The first comes with matplotlib."""
_LONG: Final = re.compile(r"(\S{24})(?=\S)")
_MAY_BREAK: Final = "\\g<1>\N{ZERO WIDTH SPACE}"


def typeset(template: bytes, report: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Set a report.

    Parameters
    ----------
    template
        The typst source, which reads ``report.json``.
    report
        What it reads.
    files
        Charts and pictures by the names that `report` calls them by.

    Raises
    ------
    ImportError
        The extra ``report`` is not installed.
    OSError
        The system's temporary folder has no space.
    """
    import typst

    fonts = resources.files("mammolens") / "fonts"
    with resources.as_file(fonts) as own, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        (folder / "report.json").write_text(json.dumps(breakable(report)), "utf-8")
        (folder / "report.typ").write_bytes(template)
        return typst.compile(
            folder / "report.typ",
            root=folder,
            font_paths=[_dejavu(), own],
            ignore_system_fonts=True,
        )


def breakable(value: Any) -> Any:
    """Make every text of a structure printable, and let long names break anywhere."""
    match value:
        case str():
            return _LONG.sub(_MAY_BREAK, printable(value))
        case Mapping():
            return {name: breakable(inner) for name, inner in value.items()}
        case Sequence():
            return [breakable(inner) for inner in value]
        case _:
            return value


def _dejavu() -> Path:
    """Find the fonts that matplotlib brings, without loading it."""
    found = find_spec("matplotlib")
    if found is None or not found.submodule_search_locations:
        raise ImportError("matplotlib is not installed", name="matplotlib")
    return Path(found.submodule_search_locations[0], "mpl-data", "fonts", "ttf")
