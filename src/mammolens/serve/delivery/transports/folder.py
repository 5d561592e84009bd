"""Delivery to a folder: a file gets its name when it is on the disk; a repeat replaces it.

``exam-000012/result-001/SINK/NAME``: exam and result are numbers of this node, so that two nodes
need a folder each. The folder itself must be there: a share that is not mounted is away, and
nothing is written into the place where it would be. Files and folders in it are as open to others
as it is itself: the site says by its rights who may read results.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammolens.files import whole_file
from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports import Answer, Parcel, Verdict
from mammolens.serve.delivery.transports._target import Target
from mammolens.serve.holdings import flush

__all__ = ["Folder"]


@dataclass(frozen=True)
class Folder:
    """A folder of this host or a mounted share."""

    target: Target

    @contextlib.contextmanager
    def open(self, parcels: Sequence[Parcel]) -> Iterator[Folder]:  # noqa: ARG002
        """Give itself: there is nothing to connect to."""
        yield self

    def send(self, delivery: Delivery, content: bytes) -> Answer:
        """Write a file under its final name."""
        root = Path(self.target.path)
        place = f"exam-{delivery.exam_id:06d}/result-{delivery.revision:03d}/{delivery.sink}"
        final = root / place / delivery.name.removeprefix(f"{delivery.sink}/")
        if ".." in Path(delivery.name).parts or Path(delivery.name).is_absolute():
            return Answer(Verdict.NEVER, "the name leads out of the folder")
        try:
            if not root.is_dir():
                return Answer(Verdict.AWAY, "the folder is not there")
            mode = stat.S_IMODE(root.stat().st_mode)
            _make(final.parent, mode & 0o777)
            _write(final, content, mode & 0o666)
        except OSError as error:
            return Answer(Verdict.AWAY, f"cannot be written: {type(error).__name__}")
        return Answer(Verdict.TAKEN, "written")


def _make(folder: Path, mode: int) -> None:
    if not folder.is_dir():
        _make(folder.parent, mode)
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)


def _write(final: Path, content: bytes, mode: int) -> None:
    with whole_file(final) as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
    flush(final.parent)
