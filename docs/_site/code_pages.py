"""Pages that the code writes: Python interface, command line, exit codes, sinks."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from markdown_text import first_paragraph, plain, table

__all__ = ["ROOMS", "command_line", "exit_codes", "package_page", "python_door", "sinks"]

PREAMBLE: Final = "**Research use only, not a medical device.**"
ROOMS: Final = (
    "core",
    "images",
    "exams",
    "preprocess",
    "quality",
    "model",
    "analysis",
    "sinks",
    "data",
    "metrics",
    "bench",
    "learn",
    "errors",
)
"""Packages that have a page of their own, in the order of the site."""


def python_door() -> str:
    """What ``import mammolens`` offers, each where it is defined."""
    import mammolens

    lines = [
        "# Python interface",
        PREAMBLE,
        "`import mammolens as ml` offers the names below. How they work together is shown in"
        " [Use mammolens from Python](../../how-to/use-from-python.md). The other pages of this"
        " section describe the packages behind them.",
    ]
    for name in mammolens.__all__:
        found = getattr(mammolens, name)
        if hasattr(found, "__qualname__"):
            lines.append(f"::: {found.__module__}.{found.__qualname__}")
    return "\n\n".join(lines) + "\n"


def package_page(room: str) -> Callable[[], str]:
    """A package of mammolens: the names in its ``__all__`` with their docstrings."""

    def write() -> str:
        exported = getattr(importlib.import_module(f"mammolens.{room}"), "__all__", [])
        members = f"members: {json.dumps(list(exported))}, " if exported else ""
        options = f"{{{members}show_root_heading: false, show_root_toc_entry: false}}"
        return f"# mammolens.{room}\n\n::: mammolens.{room}\n    options: {options}\n"

    return write


def command_line() -> str:
    """Every command with its options, as ``--help`` shows them."""
    import typer

    from mammolens import cli

    lines = [
        "# Command line",
        PREAMBLE,
        "Results go to standard output; progress and errors go to standard error. `--help` after"
        " a command shows the same text as this page. What the exit codes mean stands in"
        " [Exit codes](exit-codes.md).",
    ]
    for words, command in _commands(typer.main.get_command(cli.app), "mammolens"):
        lines += [f"## {words}", plain(command.help or ""), _usage(words, command)]
        if table := _options(command):
            lines.append(table)
    return "\n\n".join(lines) + "\n"


def _commands(command: Any, words: str) -> Iterator[tuple[str, Any]]:
    inside = getattr(command, "commands", {})
    if words != "mammolens":
        yield words, command
    for name in sorted(inside):
        yield from _commands(inside[name], f"{words} {name}")


def _usage(words: str, command: Any) -> str:
    arguments = [p.metavar or p.name.upper() for p in command.params if _is_argument(p)]
    inside = ["[COMMAND]"] if getattr(command, "commands", None) else []
    return f"```text\n{' '.join([words, *arguments, '[OPTIONS]', *inside])}\n```"


def _options(command: Any) -> str:
    rows = []
    for param in sorted(command.params, key=_is_argument, reverse=True):
        if param.name == "help":
            continue
        names = [param.metavar or param.name.upper()] if _is_argument(param) else param.opts
        shown = ", ".join(f"`{one}`" for one in names)
        if param.metavar and not _is_argument(param):
            shown += f" `{param.metavar}`"
        rows.append((shown, plain(getattr(param, "help", "") or ""), _default(param)))
    return table(("option", "meaning", "default"), rows) if rows else ""


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _default(param: Any) -> str:
    if param.required:
        return "needed"
    value = param.default
    if value is None or value is False or callable(value) or value in ((), []):
        return ""
    return f"`{value}`"


def exit_codes() -> str:
    """Each error with what the process, HTTP and DIMSE say of it."""
    from mammolens.status import STATUS, UNEXPECTED

    rows = [
        (
            f"`{kind.__name__}`",
            first_paragraph(kind.__doc__),
            str(s.exit_code),
            str(s.http),
            f"{s.dimse:04X}",
        )
        for kind, s in STATUS.items()
    ]
    rest = UNEXPECTED
    rows.append(("any other", "Not foreseen.", str(rest.exit_code), str(rest.http), "0110"))
    meaning = [
        ("0", "Every input was analysed."),
        ("1", "Something unforeseen happened, or the model or the destination cannot be used."),
        ("2", "Wrong usage, such as a path that does not exist. Nothing is written."),
        ("3", "An input was unreadable or an exam failed. Everything else was analysed."),
        ("4", "A job on a cluster stopped before its end. The same command continues it."),
    ]
    return "\n\n".join(
        [
            "# Exit codes",
            "A process ends with one of these codes. Shell scripts may rely on them.",
            table(("code", "meaning"), meaning),
            "Each error has one exit code, one HTTP status and one DIMSE status (hexadecimal).",
            table(("error", "meaning", "exit code", "HTTP", "DIMSE"), rows),
        ]
    )


def _statuses(status: Any) -> tuple[str, str, str]:
    return str(status.exit_code), str(status.http), f"{status.dimse:04X}"


def sinks() -> str:
    """Every output format with what is declared beside it."""
    from mammolens.sinks import SINKS

    rows = [
        (
            f"`{sink.name}`",
            sink.per,
            f"{plain(sink.makes)}: {', '.join(f'`{file}`' for file in sink.files)}",
            "yes" if sink.identified else "no",
            sink.sop_class,
            f"the extra `{sink.extra}`" if sink.extra else "",
        )
        for sink in SINKS.values()
    ]
    return "\n\n".join(
        [
            "# Sinks: the output formats",
            "`--sinks` of `mammolens analyze`, `sinks` of `node.toml` and `sinks` of a route take"
            " these names. A package can add others through the entry point group"
            " `mammolens.sinks`; see [Contributing](../develop/contributing.md).",
            table(
                (
                    *("name", "one per", "what it writes"),
                    *("says whose result it is", "SOP class", "needs"),
                ),
                rows,
            ),
            "What the objects say: [DICOM reports](dicom-reports.md),"
            " [images, FHIR and HL7](other-results.md), [results.json](results-schema.md).",
        ]
    )
