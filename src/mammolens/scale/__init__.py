"""Analyse a whole archive on many processors, so that nothing is lost when one of them stops.

`plan` writes into an SQLite file which files belong together, and cuts the archive into shards;
`parts` analyses one of them in a worker and writes its rows as one Parquet file; `cluster` connects
to Dask; `job` holds the output folder and its settings; `archive` runs all of it. A shard is done
when its file exists. Memory does not grow with the number of exams. This room needs the extra
``scale``.
"""

from __future__ import annotations

from mammolens.scale.archive import ArchiveSummary, analyze_archive
from mammolens.scale.parts import SCHEMA_VERSION, Counts

__all__ = ["SCHEMA_VERSION", "ArchiveSummary", "Counts", "analyze_archive"]
