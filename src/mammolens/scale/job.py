"""The output folder of an archive: its lock, its settings, and the key of its pseudonyms.

::

    OUT/job.json               model, options and paths; another model or options are refused
    OUT/exams/block=0000/…     the results, one Parquet file for each shard
    OUT/private/               the plan and the key: identity of patients, for this account only

When a job with pseudonyms is finished, ``private`` is emptied: nobody can then follow a pseudonym
back, and nothing can be added to the folder.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from mammolens import DISCLAIMER, __version__
from mammolens.analysis import AnalysisOptions
from mammolens.core import ModelId
from mammolens.errors import ConfigError
from mammolens.files import storage, write_whole

__all__ = ["SCHEMA", "Job", "describe_job", "open_job"]

SCHEMA: Final = "mammolens.scale/1"
_KEY_BYTES: Final = 32


class Job:
    """An output folder that this process alone writes to."""

    def __init__(self, out: Path, facts: dict[str, Any], key: bytes) -> None:
        self._file, self._facts, self.key = out / "job.json", facts, key
        self.exams, self._private = out / "exams", out / "private"
        self.plan = self._private / "plan.sqlite"

    @property
    def shards(self) -> int | None:
        """Number of buckets, fixed by the first plan."""
        found = self._facts.get("shards")
        return int(found) if found else None

    @shards.setter
    def shards(self, count: int) -> None:
        self._facts["shards"] = count
        self._write()

    @property
    def closed(self) -> bool:
        """Whether the job is finished and the key of its pseudonyms is deleted."""
        return bool(self._facts.get("closed"))

    def close(self) -> None:
        """Delete the plan and the key of a finished job with pseudonyms."""
        if self._facts["options"]["pseudonymise"]:
            self._facts["closed"] = True
            self._write()
            for path in self._private.iterdir():
                path.unlink()

    def remove_partial(self) -> None:
        """Delete what an earlier process left half written."""
        for path in self.exams.glob("*/.*.partial"):
            path.unlink(missing_ok=True)

    def _write(self) -> None:
        with storage(self._file, "the job"):
            write_whole(self._file, json.dumps(self._facts, indent=2) + "\n")


def describe_job(model: ModelId, options: AnalysisOptions, paths: list[str]) -> dict[str, Any]:
    """Give what must be the same each time that a job is run."""
    views = ["".join(part.value for part in view) for view in options.complete_views]
    named = asdict(options) | {"complete_views": views}
    kept = {k: v for k, v in named.items() if k not in ("jobs", "display")}
    found = {
        "schema": SCHEMA,
        "notice": DISCLAIMER,
        "mammolens": __version__,
        "model": asdict(model),
        "options": kept,
        "paths": paths,
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))  # as the file gives it back
    return plain


@contextmanager
def open_job(out: Path, wanted: dict[str, Any]) -> Iterator[Job]:
    """Begin a job in a folder, or continue one; no other process can do so meanwhile.

    Raises
    ------
    ConfigError
        Another process writes into the folder, it holds a job of another model, other options or
        paths, or its files are damaged.
    StorageError
        The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    private = out / "private"
    with storage(out, "the results"):
        out.mkdir(parents=True, exist_ok=True)
        private.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(out / ".lock")
        try:
            lock.acquire(timeout=0)  # the system releases it when the process ends in any way
        except Timeout:
            raise ConfigError(
                "another job writes into this folder",
                source=str(out),
                remedy="Wait until it has ended, or give another folder",
            ) from None
    try:
        job = _read_job(out, wanted)
        job.remove_partial()
        yield job
    finally:
        lock.release()


def _read_job(out: Path, wanted: dict[str, Any]) -> Job:
    path, key_path = out / "job.json", out / "private" / "key"
    with storage(out, "the job"):
        if not path.exists():
            if any((out / "exams").glob("**/*.parquet")):
                raise _unusable(path, "it is missing, and the folder has results")
            key = secrets.token_bytes(_KEY_BYTES)
            write_whole(key_path, b"")
            key_path.chmod(0o600)
            key_path.write_bytes(key)
            job = Job(out, wanted, key)
            job._write()
            return job
        try:
            facts = json.loads(path.read_text("utf-8"))
            known = {name: facts[name] for name in wanted}
        except (ValueError, KeyError, TypeError) as error:
            raise _unusable(path, f"it is damaged ({error})") from error
        if changed := [name for name in wanted if known[name] != wanted[name]]:
            raise ConfigError(
                f"this folder has results with another {changed[0]}: {known[changed[0]]}, now"
                f" {wanted[changed[0]]}",
                source=str(path),
                remedy="Run the job as it began, or give a new folder",
            )
        key = b""
        if not facts.get("closed"):
            with suppress(FileNotFoundError):
                key = key_path.read_bytes()
            if len(key) != _KEY_BYTES:
                raise _unusable(key_path, "the key of the pseudonyms is missing or damaged")
    return Job(out, facts, key)


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"the job cannot be continued: {why}", source=str(path), remedy="Give a new folder"
    )
