"""Write a new ``node.toml`` from the descriptions and defaults of the settings.

Each setting is a comment ``#key = value``, with its default or, if it has none, with an example.
Explanations begin with ``# `` and a blank.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mammolens import DISCLAIMER, __version__
from mammolens.errors import ConfigError, StorageError
from mammolens.serve.settings.node import PREFIX, NodeSettings
from mammolens.serve.settings.section import model_of

__all__ = ["node_template", "write_template"]

_WIDTH: Final = 96
_BOUNDS: Final = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_HEAD: Final = f"""\
Settings of a mammolens node, as mammolens {__version__} knows them. {DISCLAIMER}

Lines such as "#key = value" are settings, shown with their default or an example: remove the # \
and change the value. A setting that stays a comment has its default.

Each setting can also come from the environment, which wins over this file: {PREFIX} and its name \
in capitals, sections separated by two underscores, such as {PREFIX}JOBS__LEASE_S=30. Keys, tokens \
and passwords belong there.

Check addresses, names and certificates with: mammolens node check"""


def write_template(path: Path) -> None:
    """Write the template into a new file.

    Raises
    ------
    ConfigError
        A file of this name exists.
    StorageError
        The file cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(node_template())
    except FileExistsError as error:
        raise ConfigError(
            "the file exists already, and is not overwritten",
            source=str(path),
            remedy="Give another path, or move the file away first",
        ) from error
    except OSError as error:
        raise StorageError(
            f"the file cannot be written ({error.strerror})",
            source=str(path),
            remedy="Check that its folder is there and may be written to",
        ) from error


def node_template() -> str:
    """Give the text of a ``node.toml`` that has every setting as a comment.

    Examples
    --------
    >>> import tomllib
    >>> tomllib.loads(node_template())["jobs"]
    {}
    """
    return "\n".join([*_prose(_HEAD), *_section(NodeSettings, "")]) + "\n"


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    """Write the keys first: in TOML, a key after a sub-section would belong to it."""
    fields = {name: (field, model_of(field)) for name, field in model.model_fields.items()}
    for name, (field, inside) in fields.items():
        if inside is None:
            yield from ("", *_key(name, field, path))
    for name, (field, inside) in fields.items():
        if inside is None:
            continue
        place = f"{path}{name}"
        header = {"many": f"#[[{place}]]", "optional": f"#[{place}]", "one": f"[{place}]"}
        kind = _number_of(field)
        yield from ("", "", header[kind], *_prose((inside.__doc__ or "").strip()))
        if kind == "many":
            yield from _prose("Repeat this section for each; it is absent by default.")
        elif kind == "optional":
            yield from _prose("Absent by default.")
        yield from _section(inside, f"{place}.")


def _key(name: str, field: FieldInfo, path: str) -> Iterator[str]:
    sentences = [field.description or name]
    choices = _choices(field.annotation)
    if choices:
        sentences.append(f"one of {', '.join(choices)}")
    sentences += [
        f"{words} {getattr(rule, bound)}"
        for rule in field.metadata
        for bound, words in _BOUNDS.items()
        if getattr(rule, bound, None) is not None
    ]
    default = field.get_default(call_default_factory=True)
    if _is_secret(field.annotation):
        variable = f"{PREFIX}{path}{name}".replace(".", "__").upper()
        more = "__NAME" if get_origin(field.annotation) is dict else ""
        sentences.append(f"secret: better set as {variable}{more}")
    elif default in (None, (), {}, PydanticUndefined):
        sentences.append("needed" if default is PydanticUndefined else "not set by default")
        sentences.append("example:")
        default = _example(field, f"{path}{name}")
    end = "" if sentences[-1] == "example:" else "."
    yield from _prose(". ".join(map(_capital, sentences)) + end)
    yield f"#{name} = {_toml(default, field.annotation)}"


def _example(field: FieldInfo, path: str) -> Any:
    if not field.examples:
        raise AssertionError(f"the setting {path} has neither a default nor an example")
    return field.examples[0]


def _toml(value: Any, annotation: Any = None) -> str:
    """Write a value as TOML; a secret is empty, which its check does not accept.

    Examples
    --------
    >>> _toml(True), _toml(("a", 1.5)), _toml({"pacs": Path("/srv")})
    ('true', '["a", 1.5]', '{ pacs = "/srv" }')
    """
    if annotation is not None and _is_secret(annotation):
        empty = {dict: '{ NAME = "" }', tuple: "[]"}
        return empty.get(get_origin(annotation), '""')
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Enum):
        return _toml(value.value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {pairs} }}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _prose(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.replace("``", "`").split("\n\n")):
        if number:
            yield "#"
        yield from textwrap.wrap(
            " ".join(paragraph.split()),
            _WIDTH,
            initial_indent="# ",
            subsequent_indent="# ",
            break_long_words=False,
        )


def _capital(text: str) -> str:
    """Begin a sentence with a capital letter, unless it begins with an address."""
    return text if "://" in text.split(" ", 1)[0] else f"{text[:1].upper()}{text[1:]}"


def _number_of(field: FieldInfo) -> Literal["one", "optional", "many"]:
    if get_origin(field.annotation) is tuple:
        return "many"
    return "optional" if type(None) in get_args(field.annotation) else "one"


def _choices(annotation: Any) -> list[str]:
    if get_origin(annotation) is Literal:
        return [str(choice) for choice in get_args(annotation)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(member.value) for member in annotation]
    found = (_choices(inner) for inner in get_args(annotation))
    return next((choices for choices in found if choices), [])


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(inner) for inner in get_args(annotation))
