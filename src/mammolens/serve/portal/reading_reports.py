"""What signed readings become: pages and print for people, objects and messages for systems."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Annotated, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response

from mammolens.errors import InputError
from mammolens.readings import SignedReading
from mammolens.serve import reading
from mammolens.serve.people import Refusal, Refused
from mammolens.serve.portal.caller import CallerNow, PortalNow
from mammolens.serve.portal.forms import Id, Language, download, file_of
from mammolens.serve.reading import AnswerKind, Pixels, ReaderKind
from mammolens.sinks import Artefact
from mammolens.sinks.reading import (
    page_policy,
    presentation_states,
    reading_fhir,
    reading_hl7,
    reading_page,
    reading_pdf,
    reading_report,
    wording,
)

__all__ = ["router"]

router = APIRouter(tags=["reports"])
Lang = Annotated[Language | None, Query(description="of the report; else that of the site")]
FILES: Final = file_of("application/octet-stream")


@router.get("/readings/{reading_id}/report", response_class=Response, responses=FILES)
def show_report(
    reading_id: Id,
    caller: CallerNow,
    portal: PortalNow,
    request: Request,
    format: Literal["html", "pdf"] = "html",
    lang: Lang = None,
) -> Response:
    """Give the report of a signed reading for the referring doctor, as a page or in print."""
    found = _gathered(reading_id, caller, portal, format, Pixels.ALL)
    say = wording(lang or found.language)
    if format == "html":
        request.state.answer_headers = {"content-security-policy": page_policy()}
        return Response(reading_page(found, say), media_type="text/html; charset=utf-8")
    name = f"reading-{found.id}.pdf"
    return _file("report", lambda: Artefact(name, "application/pdf", reading_pdf(found, say)))


@router.get("/readings/{reading_id}/sr", response_class=Response, responses=FILES)
def give_sr(reading_id: Id, caller: CallerNow, portal: PortalNow) -> Response:
    """Give a signed reading as a DICOM structured report (TID 1500)."""
    found = _gathered(reading_id, caller, portal, "sr", Pixels.NONE)
    return _file("dicom", lambda: reading_report(found))


@router.get("/readings/{reading_id}/gsps", response_class=Response, responses=FILES)
def give_gsps(reading_id: Id, caller: CallerNow, portal: PortalNow) -> Response:
    """Give the marks of a signed reading as presentation states, one per marked image, in a zip."""
    found = _gathered(reading_id, caller, portal, "gsps", Pixels.MARKED)
    return _file("dicom", lambda: _zipped(found))


@router.get("/readings/{reading_id}/fhir", response_class=Response, responses=FILES)
def give_fhir(reading_id: Id, caller: CallerNow, portal: PortalNow, lang: Lang = None) -> Response:
    """Give a signed reading as a FHIR R4 bundle with a DiagnosticReport."""
    found = _gathered(reading_id, caller, portal, "fhir", Pixels.NONE)
    return _file("report", lambda: reading_fhir(found, wording(lang or found.language)))


@router.get("/readings/{reading_id}/hl7", response_class=Response, responses=FILES)
def give_hl7(reading_id: Id, caller: CallerNow, portal: PortalNow, lang: Lang = None) -> Response:
    """Give a signed reading as an HL7 v2.5.1 message (ORU^R01)."""
    found = _gathered(reading_id, caller, portal, "hl7", Pixels.NONE)
    return _file("report", lambda: reading_hl7(found, wording(lang or found.language)))


@router.get("/sites/{site_id}/readings.csv", response_class=Response, responses=FILES)
def give_table(
    site_id: Id,
    caller: CallerNow,
    portal: PortalNow,
    readers: ReaderKind = ReaderKind.STANDING,
    answer: AnswerKind = AnswerKind.FIRST,
    paths: Literal["names", "store"] = "names",
) -> Response:
    """Give the readings of a site as the table that `mammolens evaluate` takes.

    `paths=names`: images are named `images/UID.dcm`; `paths=store`: where they lie on the server,
    for administrators of the installation.
    """
    received = portal.state.received
    if paths == "store" and not caller.person.is_administrator:
        raise Refused(Refusal.NOT_ALLOWED)

    def path_of(uid: str, digest: str) -> str:
        if paths == "store":
            return str(received.path(digest).absolute())
        return f"images/{uid}.dcm"

    text = reading.readers_table(
        portal.state.database, caller.person, site_id, readers, answer, path_of
    )
    made = text.encode("utf-8")
    return download(made, "text/csv; charset=utf-8", f"readings-{site_id}.csv")


def _gathered(
    reading_id: int, caller: CallerNow, portal: PortalNow, what: str, pixels: Pixels
) -> SignedReading:
    found = reading.gather_reading(portal.state, caller.person, reading_id, what, pixels)
    if not found.images:
        raise HTTPException(409, "not_referable")
    return found


def _zipped(found: SignedReading) -> Artefact:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in presentation_states(found):
            archive.writestr(one.name, one.read())
    return Artefact(f"marks-{found.id}.zip", "application/zip", packed.getvalue())


def _file(extra: str, make: Callable[[], Artefact]) -> Response:
    """Answer with a file, or say why there is none: a UID is missing, or a package."""
    try:
        made = make()
        return download(made.read(), made.media_type, made.name)
    except InputError as error:
        raise HTTPException(409, "not_referable") from error
    except ImportError as error:
        raise HTTPException(501, f"extra_{extra}_needed") from error
