"""Settings and result files as tables: whatever has a JSON Schema is shown by one walk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from markdown_text import plain, table

__all__ = ["node_settings", "results_schema", "run_settings"]

PACKAGE: Final = Path(__file__).parents[2] / "src" / "mammolens"


def node_settings() -> str:
    """Every key of ``node.toml``."""
    from mammolens.serve.settings import NodeSettings

    head = (
        "# Settings of the node\n\n`node.toml` holds these settings. `mammolens node init` writes"
        " a file that explains each of them. The environment wins over the file: the variable is"
        " `MAMMOLENS_` and the name of the key in capitals, sections parted by two underscores,"
        " such as `MAMMOLENS_JOBS__LEASE_S=30`. Keys, tokens and passwords belong there."
    )
    return f"{head}\n\n{_toml_tables(NodeSettings.model_json_schema())}"


def run_settings() -> str:
    """Every key of a training run's TOML file."""
    from mammolens.learn.config import RunConfig

    head = (
        "# Settings of a training run\n\nA run is one TOML file. `--set section.key=value` changes"
        " a setting for one command. How the settings work together is explained in"
        " [Train a model](../how-to/train-a-model.md)."
    )
    return f"{head}\n\n{_toml_tables(RunConfig.model_json_schema())}"


def _toml_tables(schema: Mapping[str, Any]) -> str:
    parts = []
    for place, node in _objects(schema, schema, ""):
        many = place.endswith("[]")
        name = place.removesuffix("[]").replace(" or ", "] or [")
        head = f"[[{name}]]" if many else f"[{name}]"
        parts += [f"## `{head}`" if place else "## At the top of the file"]
        if place:
            parts.append(plain(node.get("description", "")))
        parts.append(_properties(schema, node))
    return "\n\n".join(part for part in parts if part) + "\n"


def results_schema() -> str:
    """The fields of each file that has a JSON Schema."""
    parts = [
        "# Fields of the result files",
        "`null` means unknown, never negative. Keys may be added within a version; no key is"
        " renamed or removed. Ignore keys that you do not know.",
    ]
    for path in sorted(PACKAGE.rglob("*.schema.json")):
        schema = json.loads(path.read_text("utf-8"))
        name = path.name.replace(".schema", "")
        parts += [f"## {name}", f"{schema.get('description', '')} The schema is `{path.name}`."]
        for place, node in _objects(schema, schema, ""):
            head = f"### `{place}`" if place else "### At the top"
            parts += [head, _fields(schema, node)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _objects(schema: Any, node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Walk through all objects with keys of their own, outermost first."""
    node = _resolved(schema, node)
    if node.get("properties"):
        yield place, node
    for key, inner in node.get("properties", {}).items():
        inner, end = _inside(schema, inner)
        if inner.get("properties"):
            yield from _objects(schema, inner, f"{place}.{key}{end}".lstrip("."))


def _inside(schema: Any, node: Any) -> tuple[Any, str]:
    """Give the object that a key holds, and ``[]`` if it holds a list of them."""
    node = _resolved(schema, node)
    items = node.get("items")
    if items:
        return _resolved(schema, items), "[]"
    return node, ""


def _resolved(schema: Any, node: Any) -> Any:
    """Follow ``$ref``; of several forms take the first that has keys."""
    if "$ref" in node:
        target = schema
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return {**_resolved(schema, target), **{k: v for k, v in node.items() if k != "$ref"}}
    for one in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        inner = _resolved(schema, one)
        if inner.get("properties") or inner.get("items"):
            return {**inner, **{k: v for k, v in node.items() if k == "description"}}
    return node


def _properties(schema: Any, node: Any) -> str:
    needed = set(node.get("required", ()))
    rows = []
    for key, inner in node["properties"].items():
        target, _ = _inside(schema, inner)
        if target.get("properties") and "default" in inner and not inner.get("description"):
            continue  # a section of its own below
        meaning = inner.get("description") or _resolved(schema, inner).get("description", "")
        rows.append(
            (f"`{key}`", plain(meaning), _kind(schema, inner), _given(inner, key in needed))
        )
    return table(("key", "meaning", "type", "default"), rows) if rows else ""


def _fields(schema: Any, node: Any) -> str:
    """The keys of an object in a result file; each is always there unless its type says so."""
    needed = set(node.get("required", ()))
    rows = []
    for key, inner in node["properties"].items():
        meaning = inner.get("description") or _resolved(schema, inner).get("description", "")
        kind = _kind(schema, inner) + (" or `null`" if _nullable(inner) else "")
        kind += "" if key in needed else "; may be absent"
        rows.append((f"`{key}`", plain(meaning), kind))
    return table(("key", "meaning", "type"), rows)


def _nullable(node: Any) -> bool:
    return "null" in node.get("type", ()) or {"type": "null"} in node.get("anyOf", ())


def _kind(schema: Any, node: Any) -> str:
    node = _resolved(schema, node) if "$ref" in node else node
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return " or ".join(f"`{v}`" if v is not None else "`null`" for v in node["enum"])
    forms = node.get("anyOf") or node.get("oneOf")
    if forms:
        kinds = list(dict.fromkeys(_kind(schema, form) for form in forms))
        return " or ".join(kind for kind in kinds if kind != "null")
    kind = node.get("type", "")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    if kind == "array":
        return f"list of {_kind(schema, node.get('items', {})) or 'values'}".replace(
            "table", "tables"
        )
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {node[key]}" for key, sign in bounds.items() if key in node]
    shown = {"string": "text", "boolean": "true or false", "object": "table"}.get(kind, kind)
    return ", ".join([shown, *limits])


def _given(node: Any, needed: bool) -> str:
    if "default" in node:
        value = node["default"]
        if isinstance(value, dict) and value:
            return ""
        return "" if value in (None, [], {}, "") else f"`{json.dumps(value, ensure_ascii=False)}`"
    return "always there" if needed and "const" in node else ("needed" if needed else "")
