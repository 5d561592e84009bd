"""Delivery to a folder: a file gets its name when it is on the disk; a repeat replaces it.

``exam-000012/result-001/SINK/NAME``: exam and result are numbers of this node, so two nodes need
two folders. The folder itself must exist: if a share is not mounted, nothing is written into its
mount point. Files and folders in it get the permissions of the folder itself: with these, the site
decides who may read results.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from mammolens.files import whole_file
from mammolens.serve.delivery.outbox import Delivery
from mammolens.serve.delivery.transports import Answer, Parcel, Send, Verdict
from mammolens.serve.delivery.transports._target import Target
from mammolens.serve.holdings import flush

__all__ = ["folder_session"]


def folder_session(
    target: Target,
    parcels: Sequence[Parcel],  # noqa: ARG001
) -> AbstractContextManager[Send]:
    """Give the function that writes a file; there is nothing to connect to."""
    return nullcontext(partial(_write, Path(target.path)))


def _write(root: Path, delivery: Delivery, content: bytes) -> Answer:
    """Write a file under its final name."""
    place = f"exam-{delivery.exam_id:06d}/result-{delivery.revision:03d}/{delivery.sink}"
    final = root / place / delivery.name.removeprefix(f"{delivery.sink}/")
    if ".." in Path(delivery.name).parts or Path(delivery.name).is_absolute():
        return Answer(Verdict.NEVER, "the name leads out of the folder")
    try:
        if not root.is_dir():
            return Answer(Verdict.AWAY, "the folder is not there")
        mode = stat.S_IMODE(root.stat().st_mode)
        _make(final.parent, mode & 0o777)
        with whole_file(final) as stream:
            os.fchmod(stream.fileno(), mode & 0o666)
            stream.write(content)
        flush(final.parent)
    except OSError as error:
        return Answer(Verdict.AWAY, f"cannot be written: {type(error).__name__}")
    return Answer(Verdict.TAKEN, "written")


def _make(folder: Path, mode: int) -> None:
    if not folder.is_dir():
        _make(folder.parent, mode)
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
