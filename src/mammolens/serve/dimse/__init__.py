"""DICOM over TCP: the listener, storage commitment, peers, and fetching studies from them."""

from __future__ import annotations

from mammolens.serve.dimse.commitment import CONTEXT, request_commitment
from mammolens.serve.dimse.data_sets import data_set, status_code
from mammolens.serve.dimse.peers import Peer, associated, echo, find_peer, peer_titled
from mammolens.serve.dimse.pull import (
    Method,
    PullReport,
    bounded,
    enter_requested,
    find_earlier,
    find_studies,
    pull_studies,
)
from mammolens.serve.dimse.scp import listening
from mammolens.serve.dimse.studies import FoundStudy, StudyQuery, read_study

__all__ = [
    "CONTEXT",
    "FoundStudy",
    "Method",
    "Peer",
    "PullReport",
    "StudyQuery",
    "associated",
    "bounded",
    "data_set",
    "echo",
    "enter_requested",
    "find_earlier",
    "find_peer",
    "find_studies",
    "listening",
    "peer_titled",
    "pull_studies",
    "read_study",
    "request_commitment",
    "status_code",
]
