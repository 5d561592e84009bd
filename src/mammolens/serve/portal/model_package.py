"""The model that this node uses, for the analysis on a person's own device.

Only whoever is signed in gets it. Its files are named by their SHA-256, so a browser may keep them
for good, and can check what it got.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from mammolens.errors import ModelError
from mammolens.model import ModelCard, read_card
from mammolens.model.package_files import CARD_FILE, open_package
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.portal.caller import API, CallerNow, PortalNow
from mammolens.serve.portal.forms import file_of

__all__ = ["router"]

router = APIRouter(prefix="/model", tags=["model"])
FOREVER: Final = "private, max-age=31536000, immutable"
BYTES: Final = file_of("application/octet-stream")
Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]


class ModelFile(BaseModel):
    """One file of a model package."""

    name: str
    url: str
    sha256: str
    bytes: int


class ModelView(BaseModel):
    """The model of this node."""

    name: str
    version: str
    notice: str
    prevalence: float | None = Field(description="for which probabilities are stated here")
    card: ModelFile
    graph: ModelFile = Field(description="ONNX; the card names its SHA-256 too")


@router.get("")
def show_model(_caller: CallerNow, portal: PortalNow) -> ModelView:
    """Say which model this node uses, and where its files are."""
    settings = portal.state.settings.model
    card, files = _package(settings.name)
    card_file, graph_file = (  # in this order, see `_package`
        ModelFile(name=name, url=f"{API}/model/files/{digest}", sha256=digest, bytes=len(content))
        for digest, (name, content) in files.items()
    )
    return ModelView(
        name=card.name,
        version=card.version,
        notice=card.notice,
        prevalence=settings.prevalence,
        card=card_file,
        graph=graph_file,
    )


@router.get("/files/{digest}", response_class=Response, responses=BYTES)
def fetch_file(digest: Digest, _caller: CallerNow, portal: PortalNow, request: Request) -> Response:
    """Fetch a file of the model by its SHA-256."""
    _, files = _package(portal.state.settings.model.name)
    if digest not in files:
        raise Refused(Refusal.UNKNOWN)
    request.state.answer_headers = {"cache-control": FOREVER}
    return Response(files[digest][1], media_type="application/octet-stream")


@lru_cache(maxsize=1)
def _package(name: str) -> tuple[ModelCard, dict[str, tuple[str, bytes]]]:
    """Read card and graph once, some 8 MB; gives name and bytes of each by its SHA-256.

    Raises
    ------
    HTTPException
        The package is missing or damaged.
    """
    try:
        source, read = open_package(name)
        text = read(CARD_FILE)
        card = read_card(text, f"{source}/{CARD_FILE}")
        found = {CARD_FILE: text, card.graph_file: read(card.graph_file)}
    except ModelError as error:
        raise HTTPException(503, "no_model") from error
    return card, {sha256(content).hexdigest(): (key, content) for key, content in found.items()}
