"""Fetch studies from a DICOMweb server: search by QIDO-RS, retrieve by WADO-RS.

Images are requested in the transfer syntax in which the server stores them, because some servers
take seconds to convert each one. Answers are compared with the query, and fetched objects are
received like others. Only mammography is fetched.

Source: PS3.18 10.4 (Retrieve), 10.6 (Search), 8.7.3.3.1 (transfer-syntax=*).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

import httpx
from pydicom.dataset import Dataset

from mammolens.errors import DeliveryError, InputError, NotAnImage
from mammolens.serve.dicomweb import DICOM, RELATED, parse_media_type
from mammolens.serve.dimse import FoundStudy, PullReport, StudyQuery, enter_requested, read_study
from mammolens.serve.exchange import Endpoint, HttpClient, pieces
from mammolens.serve.holdings import FILM, MAMMOGRAPHY, NodeState
from mammolens.serve.intake import PartialObject
from mammolens.serve.web._multipart import Multipart, Sink
from mammolens.serve.web.peers import answered_by, ask_dicom, calling

__all__ = [
    "Instance",
    "find_web_studies",
    "list_instances",
    "pull_instances",
    "pull_web_studies",
]

OK: Final = frozenset({200, 204, 206})
FAILED: Final = 0xA702
"""Out of resources, unable to perform sub-operations (PS3.4 table C.4-2)."""
PAGE: Final = 1000
MOST_PAGES: Final = 100
"""Most pages of a search: a server may always give another page."""
MOST_FOUND: Final = 20_000
"""Most answers to a search, on all pages together."""
OVERHEAD_BYTES: Final = 1 << 20
"""Most bytes of headers and separators around the object in an answer."""
NOT_ACCEPTABLE: Final = 406
ACCEPTED: Final = (
    f'{RELATED}; type="{DICOM}"; transfer-syntax=*',
    f'{RELATED}; type="{DICOM}"',
)
INCLUDED_FIELDS: Final = ("AccessionNumber", "ModalitiesInStudy", "PatientBirthDate", "PatientID")


@dataclass(frozen=True)
class Instance:
    """An object in the list of a server."""

    study: str
    series: str
    sop_instance_uid: str
    sop_class_uid: str | None = None

    @property
    def path(self) -> str:
        """Its path below the base of the server."""
        parts = (self.study, self.series, self.sop_instance_uid)
        study, series, instance = (quote(part, safe="") for part in parts)
        return f"/studies/{study}/series/{series}/instances/{instance}"


def find_web_studies(peer: Endpoint, query: StudyQuery) -> list[FoundStudy]:
    """Search a server for studies, and give those that match the query.

    Raises
    ------
    DeliveryError
        The server is away or refuses.
    """
    with calling(peer) as client:
        found = [read_study(data) for data in _search(client, "/studies", _keys(query))]
    fitting = {s.study_instance_uid: s for s in found if s is not None and query.fits(s)}
    return list(fitting.values())


def pull_web_studies(
    state: NodeState,
    peer: Endpoint,
    studies: Sequence[FoundStudy],
    priors: Sequence[FoundStudy] = (),
) -> Iterator[PullReport]:
    """Fetch the mammography of studies and of priors, and report on each.

    Raises
    ------
    DeliveryError
        The server is away or refuses; studies without a report were not fetched.
    StorageError
        The disk is full or the database cannot be used.
    """
    enter_requested(state, f"peer:{peer.name}", studies, priors)
    for study in (*studies, *priors):
        uid = study.study_instance_uid
        yield pull_instances(state, peer, uid, list_instances(state, peer, uid))


def list_instances(state: NodeState, peer: Endpoint, study: str) -> list[Instance]:
    """List the objects of a study on a server that the node can read.

    Raises
    ------
    DeliveryError
        The server is away or refuses.
    """
    wanted = MAMMOGRAPHY | (FILM if state.settings.intake.film else frozenset())
    path, found = f"/studies/{quote(study, safe='')}/instances", {}
    with calling(peer) as client:
        for data in _search(client, path, {"includefield": "SOPClassUID"}):
            named = {
                keyword: str(data.get(keyword) or "")
                for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
            }
            series, uid, kind = named.values()
            if series and uid and (not kind or kind in wanted):
                found[uid] = Instance(study, series, uid, kind or None)
    return list(found.values())


def pull_instances(
    state: NodeState, peer: Endpoint, study: str, instances: Sequence[Instance]
) -> PullReport:
    """Fetch objects of a study, one after the other, and receive each.

    Raises
    ------
    DeliveryError
        The server is away or hangs up; earlier objects were received.
    StorageError
        The disk is full or the database cannot be used.
    """
    completed = 0
    with calling(peer) as client:
        for instance in instances:
            completed += _fetch(state, client, instance)
    failed = len(instances) - completed
    return PullReport(study, completed, failed, FAILED if failed else 0)


def _search(client: HttpClient, path: str, keys: Mapping[str, str]) -> Iterator[Dataset]:
    """Read page after page until one has nothing new; servers choose the length of pages."""
    seen: set[str] = set()
    count = 0
    for _ in range(MOST_PAGES):
        asked = urlencode({**keys, "limit": str(PAGE), "offset": str(len(seen))})
        status, page = ask_dicom(client, "GET", f"{path}?{asked}")
        if status not in OK:
            raise DeliveryError(
                f"the server does not answer the search (HTTP {status})",
                source=f"web peer {client.endpoint.name}",
                remedy="Check the address and the secret",
            )
        count += len(page)
        if count > MOST_FOUND:
            break
        fresh = [data for data in page if _identity(data) not in seen]
        yield from fresh
        seen |= {_identity(data) for data in fresh}
        if not fresh:
            return
    raise DeliveryError(
        f"the search has no end ({count} answers)",
        source=f"web peer {client.endpoint.name}",
        remedy="Ask for less: give a patient or dates",
    )


def _identity(data: Dataset) -> str:
    return str(data.get("SOPInstanceUID") or data.get("StudyInstanceUID") or "")


def _keys(query: StudyQuery) -> dict[str, str]:
    asked = query.identifier()
    asked.pop("QueryRetrieveLevel")
    keys = {e.keyword: str(e.value) for e in asked if e.value}
    return {**keys, "includefield": ",".join(INCLUDED_FIELDS)}


def _fetch(state: NodeState, client: HttpClient, instance: Instance) -> bool:
    most = (state.settings.intake.max_mb << 20) + OVERHEAD_BYTES
    for accept in ACCEPTED:
        headers = {"Accept": accept}
        with (
            answered_by(client.endpoint),
            client.stream("GET", instance.path, headers, most_bytes=most) as response,
        ):
            if response.status_code == 200:
                return _receive(state, client.endpoint, instance, response)
            if response.status_code != NOT_ACCEPTABLE:
                return False
    return False


def _receive(
    state: NodeState, peer: Endpoint, instance: Instance, response: httpx.Response
) -> bool:
    """Receive the object of an answer, if it is the requested one."""
    item = PartialObject(state, state.settings.intake.max_mb << 20)
    try:
        _read(item, response)
    except InputError as error:
        item.refuse(error)
    except BaseException:
        item.discard()
        raise
    name = item.identifiers()
    if name is not None and name.sop_instance_uid != instance.sop_instance_uid:
        item.refuse(NotAnImage("the server sent another object"))
    item.receive(f"pull:{peer.name}")
    if item.error is not None and not isinstance(item.error, InputError):
        raise item.error
    return item.error is None


def _read(item: PartialObject, response: httpx.Response) -> None:
    media = parse_media_type(response.headers.get("Content-Type", ""))
    if media is None or media.name not in (DICOM, RELATED):
        raise NotAnImage("the answer is not a DICOM object")
    parts: list[Sink] = [(item.write, lambda: None)]  # The first part takes it; a second fails.

    def begin(_headers: Mapping[str, str]) -> Sink:
        if not parts:
            raise NotAnImage("the answer has more than one object")
        return parts.pop()

    body = Multipart(media.parameters.get("boundary", ""), begin) if media.name == RELATED else None
    feed = item.write if body is None else body.feed
    try:
        for piece in pieces(response):
            feed(piece)
    except httpx.RemoteProtocolError as error:
        raise NotAnImage("the answer is incomplete") from error
    if body is not None:
        body.close()
