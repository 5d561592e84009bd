"""HTTP: objects stored by STOW-RS, health and metrics; studies pulled by QIDO-RS and WADO-RS."""

from __future__ import annotations

from mammolens.serve.web.peers import (
    Channel,
    ask_dicom,
    calling,
    find_web_peer,
    is_web_peer,
    open_channel,
    read_readable,
)
from mammolens.serve.web.pull import (
    find_web_studies,
    list_instances,
    pull_instances,
    pull_web_studies,
)
from mammolens.serve.web.server import serving

__all__ = [
    "Channel",
    "ask_dicom",
    "calling",
    "find_web_peer",
    "find_web_studies",
    "is_web_peer",
    "list_instances",
    "open_channel",
    "pull_instances",
    "pull_web_studies",
    "read_readable",
    "serving",
]
