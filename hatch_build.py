"""Puts the built front end into wheel and sdist, as `mammolens/page`.

`make page` builds it into web/dist. Without it a wheel is made all the same, with a warning: such a
wheel serves no page, and `mammolens serve` says how to build it. Nothing is built here, so that
installing from source needs no Node.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = "web/dist"
CARRIED = "src/mammolens/page"
INSIDE = {"wheel": "mammolens/page", "sdist": CARRIED}
MISSING = (
    "the front end is not built, so this {target} has no page for people in a browser."
    " To have it, run `make page` first (or npm ci and npm run build in the folder web)"
)


class PageHook(BuildHookInterface):
    """Adds the files of the built front end; an sdist carries them for its own wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name what is put where."""
        if version == "editable":
            return
        root = Path(self.root)
        if (root / BUILT / "index.html").is_file():
            build_data["force_include"][str(root / BUILT)] = INSIDE[self.target_name]
        elif not (root / CARRIED / "index.html").is_file():
            self.app.display_warning(MISSING.format(target=self.target_name))
