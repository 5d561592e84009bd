"""Build the table of a data set with workers, which read the headers before its reader needs them.

The table is made by the same reader as without workers, so it is the same table. What was read is
kept beside it until it is written: an interrupted build reads the other headers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from mammolens.data.manifest import Manifest
from mammolens.data.manifest_writer import write_manifest
from mammolens.data.sources import build_source, images_under, load_source
from mammolens.errors import InputError
from mammolens.images import ImageFile, identify, read_facts
from mammolens.images.remembered import remembering
from mammolens.scale.cluster import open_cluster
from mammolens.scale.headers import Found, keeping_headers
from mammolens.scale.plan import FILES_A_TASK

__all__ = ["build_with_workers"]


def build_with_workers(
    name: str,
    root: Path,
    options: Mapping[str, str],
    table: Path,
    cluster: str,
    tls: Path | None = None,
    on_progress: Callable[[int, int | None], None] = lambda *_: None,
) -> tuple[Manifest, tuple[Path, ...]]:
    """Read a source in `root` as `build_source`, and write it as `write_manifest`.

    Raises
    ------
    MammolensError
        As these two and `open_cluster`. The same call reads the headers alone that are missing.
    """
    load_source(name)
    paths = images_under(root) if root.is_dir() else []
    found: Found = {}
    with keeping_headers(table) as kept:
        for path in paths:
            found |= kept.of(path)
        on_progress(len(found) // 2, len(paths))  # `read_headers` finds two things in a file.
        unread = [path for path in paths if ("identify", path) not in found]
        if unread:
            walk = iter(unread)
            tasks: Iterator[tuple[Path, ...]] = iter(lambda: tuple(islice(walk, FILES_A_TASK)), ())
            with open_cluster(cluster, tls) as workers:
                for part in workers.run(read_headers, tasks, name=lambda task: str(task[0])):
                    kept.add(part)
                    found |= part
                    on_progress(len(found) // 2, len(paths))
        with remembering(found):
            manifest = build_source(name, root, options)
        return manifest, write_manifest(manifest, table)


def read_headers(paths: Sequence[Path]) -> Found:
    """Read headers (in a worker); an error is kept as what was found."""
    found: Found = {}
    for path in paths:
        for reader, read in (
            ("identify", lambda path: identify(ImageFile(path))),
            ("read_facts", read_facts),
        ):
            try:
                found[reader, path] = read(path)
            except InputError as error:
                found[reader, path] = error
    return found
