"""The stored data of the node: files under their digests, encrypted identities, and the state.

Every process opens a `NodeState`. `backup` copies all data, and `retention` deletes old data.
"""

from __future__ import annotations

from mammolens.serve.holdings.backup import back_up, restore
from mammolens.serve.holdings.encryption import Seal, consent_about, open_seal, unseal
from mammolens.serve.holdings.faults import OF_ONE_FILE, PATIENCE, own_fault, try_folder
from mammolens.serve.holdings.identities import (
    count_sealed,
    exams_with_accession,
    hide,
    restore_identity,
    restore_sources,
)
from mammolens.serve.holdings.objects import (
    FILM,
    FILM_NOT_READ,
    MAMMOGRAPHY,
    SOURCE,
    ReceivedObject,
    describe_object,
    exam_header,
)
from mammolens.serve.holdings.rekey import rekey
from mammolens.serve.holdings.retention import check_plausible, count_expired, expire, expired_lines
from mammolens.serve.holdings.state import (
    NodeState,
    join_state,
    look_state,
    open_state,
    open_to_others,
)
from mammolens.serve.holdings.store import Draft, Store, Stored, flush

__all__ = [
    "FILM",
    "FILM_NOT_READ",
    "MAMMOGRAPHY",
    "OF_ONE_FILE",
    "PATIENCE",
    "SOURCE",
    "Draft",
    "NodeState",
    "ReceivedObject",
    "Seal",
    "Store",
    "Stored",
    "back_up",
    "check_plausible",
    "consent_about",
    "count_expired",
    "count_sealed",
    "describe_object",
    "exam_header",
    "exams_with_accession",
    "expire",
    "expired_lines",
    "flush",
    "hide",
    "join_state",
    "look_state",
    "open_seal",
    "open_state",
    "open_to_others",
    "own_fault",
    "rekey",
    "restore",
    "restore_identity",
    "restore_sources",
    "try_folder",
    "unseal",
]
