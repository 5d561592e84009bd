"""Fetch studies from a PACS: search by C-FIND, retrieve by C-MOVE to our listener or by C-GET.

A PACS may ignore a key that it does not know and answer with all its studies. Therefore each answer
is compared with the query before it is fetched, and wildcards are refused. Fetched objects are
received like others. Earlier studies of a patient are entered as *priors* before they are fetched:
they are stored, but not analysed until somebody fetches them by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Final

import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from mammolens.errors import DeliveryError
from mammolens.serve.dimse.data_sets import data_set, status_code
from mammolens.serve.dimse.peers import Peer, associated
from mammolens.serve.dimse.scp import begin_draft, store_object
from mammolens.serve.dimse.studies import FoundStudy, StudyQuery, read_study
from mammolens.serve.holdings import FILM, MAMMOGRAPHY, NodeState
from mammolens.serve.record import EXAMS, PRIORS, audit, insert_once

__all__ = [
    "Method",
    "PullReport",
    "bounded",
    "enter_requested",
    "find_earlier",
    "find_studies",
    "pull_studies",
]

FIND: Final = StudyRootQueryRetrieveInformationModelFind
MOVE: Final = StudyRootQueryRetrieveInformationModelMove
GET: Final = StudyRootQueryRetrieveInformationModelGet
PLAIN: Final = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
STORED: Final = (
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEG2000,
    JPEGLSNearLossless,
    ImplicitVRLittleEndian,
)
"""Transfer syntaxes in which a PACS may store images; each is proposed separately."""
PENDING: Final = (0xFF00, 0xFF01)
SUCCESS: Final = 0x0000
MOST_FOUND: Final = 10_000
"""Most answers to a search: a large hospital has some hundred studies a day."""
SEARCH_IN_TIMEOUTS: Final = 10
"""A search may take so many times the time limit for one answer."""
STILL_IN_TIMEOUTS: Final = 10
"""So many time limits without a new object end the retrieval of a study."""
LONGEST_PULL_S: Final = 4 * 3600.0
"""Seconds for one study: 500 MB at 35 kB/s."""
MAMMOGRAM: Final = "MG"
DONE: Final = (
    "NumberOfCompletedSuboperations",
    "NumberOfFailedSuboperations",
    "NumberOfWarningSuboperations",
)


class Method(str, Enum):
    """How studies are retrieved."""

    MOVE = "move"
    """C-MOVE: the PACS sends to the listener of the node; it must know its AE title."""
    GET = "get"
    """C-GET: over the association of the request; the node need not run."""


@dataclass(frozen=True)
class PullReport:
    """The outcome of fetching one study; the PACS counts the objects."""

    study_instance_uid: str
    completed: int
    failed: int
    status: int

    @property
    def is_whole(self) -> bool:
        """Whether all objects were received."""
        return self.status == SUCCESS and self.failed == 0


def find_studies(state: NodeState, peer: Peer, query: StudyQuery) -> list[FoundStudy]:
    """Search a PACS for studies, and give those that match the query.

    Raises
    ------
    DeliveryError
        The PACS is away, refuses, or ends the search with an error.
    """
    found: dict[str, FoundStudy] = {}
    dimse = state.settings.dimse
    with associated(peer, dimse, [(str(FIND), PLAIN)]) as association:
        answers = association.send_c_find(query.identifier(), FIND)
        for status, data in bounded(answers, SEARCH_IN_TIMEOUTS * dimse.dimse_timeout_s):
            code = status_code(status)
            if code in PENDING and data is not None:
                study = read_study(data)
                if study is not None and query.fits(study):
                    found[study.study_instance_uid] = study
            elif code != SUCCESS:
                raise DeliveryError(
                    f"the PACS gave up the search (0x{code:04X})", remedy="Ask for less at a time"
                )
    return list(found.values())


def bounded(
    answers: Iterator[tuple[Dataset, Dataset | None]], longest_s: float
) -> Iterator[tuple[Dataset, Dataset | None]]:
    """Give the answers to a search; raise if they are too many or take too long.

    Raises
    ------
    DeliveryError
    """
    until = time.monotonic() + longest_s
    for number, answer in enumerate(answers):
        if number >= MOST_FOUND or time.monotonic() > until:
            raise DeliveryError(
                f"the search has no end ({number} answers)", remedy="Ask for less at a time"
            )
        yield answer


def find_earlier(
    study: FoundStudy, find: Callable[[StudyQuery], list[FoundStudy]]
) -> list[FoundStudy]:
    """Find the priors of a study with the given search function."""
    if not study.patient_id or study.study_date is None:
        return []
    before = study.study_date - timedelta(days=1)
    query = StudyQuery(patient_id=study.patient_id, last_date=before, modality=MAMMOGRAM)
    born = study.patient_birth_date
    return [
        other for other in find(query) if born is None or other.patient_birth_date in (None, born)
    ]


def pull_studies(
    state: NodeState,
    peer: Peer,
    studies: Sequence[FoundStudy],
    method: Method,
    priors: Sequence[FoundStudy] = (),
) -> Iterator[PullReport]:
    """Fetch studies and priors, and report on each.

    Raises
    ------
    DeliveryError
        The PACS is away or refuses; studies without a report were not fetched.
    StorageError
        The database cannot be used.
    """
    enter_requested(state, f"peer:{peer.ae_title}", studies, priors)
    for study in (*studies, *priors):
        yield (_move if method is Method.MOVE else _get)(state, peer, study)


def _move(state: NodeState, peer: Peer, study: FoundStudy) -> PullReport:
    dimse = state.settings.dimse
    with associated(peer, dimse, [(str(MOVE), PLAIN)]) as association:
        answers = association.send_c_move(_wanted(study), dimse.ae_title, MOVE)
        return _report(study, answers, dimse.dimse_timeout_s)


def _get(state: NodeState, peer: Peer, study: FoundStudy) -> PullReport:
    classes = sorted(MAMMOGRAPHY | FILM)
    contexts = [(uid, (syntax,)) for uid in classes for syntax in STORED]
    roles = [build_role(uid, scp_role=True) for uid in classes]

    def store(event: evt.Event) -> Dataset:
        return store_object(state, event, f"pull:{peer.ae_title}")

    handlers: list[evt.EventHandlerType] = [(evt.EVT_C_STORE, store)]
    asked = [(str(GET), PLAIN), *contexts]
    max_bytes = state.settings.intake.max_mb << 20
    begin = partial(begin_draft, state.received)
    with associated(
        peer, state.settings.dimse, asked, roles, handlers, begin, max_bytes
    ) as association:
        answers = association.send_c_get(_wanted(study), GET)
        return _report(study, answers, state.settings.dimse.dimse_timeout_s)


def _report(
    study: FoundStudy, answers: Iterator[tuple[Dataset, Dataset | None]], timeout_s: float
) -> PullReport:
    code, counts, done = SUCCESS, Dataset(), -1
    began = moved = time.monotonic()
    for status, _ in answers:
        code, now = status_code(status), time.monotonic()
        counts.update(status)
        count = sum(int(counts.get(keyword) or 0) for keyword in DONE)
        done, moved = (count, now) if count > done else (done, moved)
        if now - moved > STILL_IN_TIMEOUTS * timeout_s or now - began > LONGEST_PULL_S:
            raise DeliveryError(
                f"the PACS does not finish a study ({done} objects)",
                remedy="Look at the log of the PACS, then ask again",
            )
    completed = int(counts.get("NumberOfCompletedSuboperations") or 0)
    failed = int(counts.get("NumberOfFailedSuboperations") or 0)
    return PullReport(study.study_instance_uid, completed, failed, code)


def _wanted(study: FoundStudy) -> Dataset:
    return data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=study.study_instance_uid)


def enter_requested(
    state: NodeState, actor: str, studies: Sequence[FoundStudy], priors: Sequence[FoundStudy]
) -> None:
    """Enter which studies are priors, before their images arrive; a requested study is not a prior.

    A study that was received before, and not fetched, stays an exam to analyse.
    """
    database, column = state.database, PRIORS.c.study_instance_uid
    wanted = [state.kept_as(study.study_instance_uid) for study in studies]
    fetched = [state.kept_as(prior.study_instance_uid) for prior in priors]
    with database.write() as connection:
        connection.execute(PRIORS.delete().where(column.in_(wanted)))
        came = sa.select(EXAMS.c.study_instance_uid).where(EXAMS.c.study_instance_uid.in_(fetched))
        for uid in {*fetched} - {*connection.execute(came).scalars()}:
            row = {"study_instance_uid": uid, "asked_at": database.now(connection)}
            insert_once(connection, PRIORS, row)
        for study in (*studies, *priors):
            detail: audit.Detail = {
                "prior": study in priors,
                "study_instance_uid": state.kept_as(study.study_instance_uid),
            }
            audit.append(database, connection, actor, "pull_asked", None, detail)
