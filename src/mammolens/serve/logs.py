"""JSON logs without identifiers: fixed event names, and fields of a fixed list.

A message that quotes its input could write a patient's name into a log. So nothing is quoted: an
event is a literal, its fields are numbers or words of our own, and only the type and the place
of an exception are logged. For the logs of other packages, for Python's warnings, and for errors
that end a thread or the process, only logger and place are logged. The audit trail has the senders
and receivers; it is protected.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, TextIO

__all__ = ["NUMBERS", "WORDS", "JsonFormatter", "configure", "event"]

ROOT: Final = "mammolens"
_COUNTED: Final = (
    "attempt bytes count delivery exam job port result revision seconds status threads"
)
NUMBERS: Final = frozenset(_COUNTED.split())
"""Fields whose values are numbers."""
WORDS: Final = frozenset(["category", "error", "reason", "role", "room", "route", "sink", "worker"])
"""Fields whose values are words of our own or of the settings, never of an object."""
_FIELDS: Final = "mammolens_fields"


def event(room: str, name: str, level: int = logging.INFO, /, **fields: str | float | None) -> None:
    """Log an event; fields with other names or types are left out.

    Parameters
    ----------
    room
        The part of the node: ``worker``, ``scp``.
    name
        What happened: a literal, such as ``job_done``.
    """
    allowed = {key: value for key, value in fields.items() if _is_allowed(key, value)}
    failing = sys.exc_info()[0] is not None and level >= logging.ERROR
    logging.getLogger(f"{ROOT}.{room}").log(level, name, extra={_FIELDS: allowed}, exc_info=failing)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Write each log record of this process as a line of JSON to `stream` (standard error)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(ROOT).setLevel(level.upper())
    logging.captureWarnings(True)
    sys.excepthook = _note_uncaught
    threading.excepthook = _note_thread
    sys.unraisablehook = _note_unraisable


class JsonFormatter(logging.Formatter):
    """One record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give time, level, logger and event; for records of other packages, the place instead."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        fields = getattr(record, _FIELDS, None)
        if fields is None:
            line |= {"event": "foreign", "where": f"{record.module}:{record.lineno}"}
        else:
            line |= {"event": record.msg, **fields}
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            line["trace"] = [
                f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(record.exc_info[2])
            ]
        return json.dumps(line)


def _note_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log the error that ends the process; an interrupt by hand is not logged."""
    if not issubclass(kind, KeyboardInterrupt):
        _note("process_failed", (kind, error, trace))


def _note_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_type is not SystemExit:
        error = args.exc_value or args.exc_type()
        _note("thread_failed", (args.exc_type, error, args.exc_traceback))


def _note_unraisable(args: Any) -> None:
    error = args.exc_value or args.exc_type()
    _note("error_at_cleanup", (args.exc_type, error, args.exc_traceback))


def _note(
    name: str, failure: tuple[type[BaseException], BaseException, TracebackType | None]
) -> None:
    logging.getLogger(ROOT).error(name, extra={_FIELDS: {}}, exc_info=failure)


def _is_allowed(key: str, value: object) -> bool:
    return (key in NUMBERS and isinstance(value, int | float)) or (
        key in WORDS and isinstance(value, str)
    )
