"""Reading the state of a monitor from its row."""

from __future__ import annotations

import json
import logging
from typing import Any

import sqlalchemy as sa

from mammolens.errors import ConfigError
from mammolens.monitor import Partition, StreamState, seed_of
from mammolens.serve import logs

__all__ = ["state_of"]


def state_of(row: sa.Row[Any]) -> StreamState:
    """Read a state; one that cannot be read begins again, which is better than no monitor."""
    try:
        return StreamState.from_json(json.loads(row.state))
    except (ConfigError, ValueError):
        logs.event("monitor", "state_lost", logging.ERROR)
        return StreamState.begin(seed_of(Partition(row.partition), row.site_id or 0, row.name))
