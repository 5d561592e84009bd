"""Pages of the reference that the code itself writes, and the last look at the built site.

MkDocs calls the two functions of the section "Hooks" (see ``hooks`` in ``mkdocs.yml``). Nothing
here is kept in the repository: a command, a setting or a sink that changes in the code is changed
on the site with the next ``make docs``.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from code_pages import ROOMS, command_line, exit_codes, package_page, python_door, sinks
from schema_tables import node_settings, results_schema, run_settings

ROOT: Final = Path(__file__).parents[2]


def pages() -> dict[str, Callable[[], str]]:
    """Name every generated page and the function that writes it."""
    rooms = {f"reference/api/{room}.md": package_page(room) for room in ROOMS}
    return {
        "reference/api/index.md": python_door,
        **rooms,
        "reference/command-line.md": command_line,
        "reference/node-settings.md": node_settings,
        "reference/run-settings.md": run_settings,
        "reference/sinks.md": sinks,
        "reference/exit-codes.md": exit_codes,
        "reference/results-schema.md": results_schema,
        "start/tutorial.md": tutorial,
        "develop/contributing.md": _from_the_root("CONTRIBUTING.md"),
        "develop/changes.md": _from_the_root("CHANGELOG.md"),
    }


# --- Hooks -------------------------------------------------------------------------------------


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those that lie in ``docs/``."""
    from mkdocs.structure.files import File

    for place, write in pages().items():
        files.append(File.generated(config, place, content=write()))
    return files


def on_post_build(config: Any) -> None:
    """Refuse a site that would ask the network for anything."""
    found = sorted(loads_from_the_net(Path(config["site_dir"])))
    if found:
        raise SystemExit("the site would load from the net:\n" + "\n".join(found))


def loads_from_the_net(site: Path) -> Iterator[str]:
    """Name every script, style, font, picture or frame of a page that is not in the site."""
    loaded = r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?((?:https?:)?//[^\"'\s>]+)"
    styled = r"<link\b(?=[^>]*rel=[\"']?(?:stylesheet|preconnect|icon|preload))[^>]*href=[\"']?"
    styled += r"((?:https?:)?//[^\"'\s>]+)"
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        for address in [*re.findall(loaded, text), *re.findall(styled, text)]:
            yield f"{path.relative_to(site)}: {address}"
    for path in site.rglob("*.css"):
        for address in re.findall(r"url\([\"']?((?:https?:)?//[^\"')]+)", path.read_text("utf-8")):
            yield f"{path.relative_to(site)}: {address}"


def tutorial() -> str:
    """The notebook as a page, with its pictures and tables inside."""
    cells = json.loads((ROOT / "docs" / "start" / "tutorial.ipynb").read_text("utf-8"))["cells"]
    parts = []
    for cell in cells:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        parts += [_shown(output) for output in cell.get("outputs", ())]
    parts.append("The same page as a notebook: [tutorial.ipynb](tutorial.ipynb).")
    return "\n\n".join(parts) + "\n"


def _shown(output: Mapping[str, Any]) -> str:
    if output["output_type"] == "stream":
        return f"```text\n{''.join(output['text'])}```"
    data = output["data"]
    if "image/jpeg" in data:
        picture = re.sub(r"\s", "", "".join(data["image/jpeg"]))
        words = html.escape("".join(data["text/plain"])[:80])
        return f'<img alt="{words}" src="data:image/jpeg;base64,{picture}">'
    table = "".join(data["text/html"])
    return re.sub(r"<style.*?</style>|\n\s*", "", table, flags=re.DOTALL)


def _from_the_root(name: str) -> Callable[[], str]:
    """A document of the repository's root, its links as seen from ``docs/develop``."""

    def write() -> str:
        text = (ROOT / name).read_text("utf-8")
        text = re.sub(r"\]\(docs/adr/\)", "](../adr/index.md)", text)
        return re.sub(r"\]\(docs/", "](../", text)

    return write
