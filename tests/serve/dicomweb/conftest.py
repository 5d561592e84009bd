"""A portal with exams of two sites, with results of the AI, and whoever asks for them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from mammolens.serve.intake import receive
from mammolens.serve.record import EXAMS, FILES, JOBS, RESULTS, SITES

from ..portal.conftest import Stage, cast, cheap_hashes, make_stage, no_page

__all__ = ["Archive", "archive", "cast", "cheap_hashes", "make_stage", "no_page"]

SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"
SC_CLASS = "1.2.840.10008.5.1.4.1.1.7"
BASE = "/dicom-web"


@dataclass
class Archive:
    """What a test asks; `received` are the bytes of objects by their UID."""

    stage: Stage
    make_dicom: Any
    received: dict[str, bytes]

    def receive(self, content: bytes, site: str | None = "north") -> int:
        """Let the node receive an object of a site; gives its exam."""
        receipt = receive(self.stage.state, content, "dimse:X")
        uid = dcmread(BytesIO(content), stop_before_pixels=True).SOPInstanceUID
        self.received.setdefault(str(uid), content)
        assert receipt.exam_id is not None
        moved = EXAMS.update().where(EXAMS.c.id == receipt.exam_id)
        with self.stage.database.write() as connection:
            connection.execute(moved.values(site_id=self.stage.cast.sites[site] if site else None))
        return receipt.exam_id

    def exam(
        self, study: str, site: str | None = "north", syntax: str | None = None, **tags: Any
    ) -> int:
        """Let the node receive an exam of four views."""
        found = 0
        for number, (side, view) in enumerate((s, v) for v in ("CC", "MLO") for s in "RL"):
            values = {
                "StudyInstanceUID": study,
                "SeriesInstanceUID": f"{study}.{number + 1}",
                "SOPInstanceUID": f"{study}.{number + 1}.1",
                "ImageLaterality": side,
                "ViewPosition": view,
                "InstanceNumber": number + 1,
                "SeriesNumber": number + 1,
                "StudyDate": "20240501",
                "StudyTime": "101500",
                "AccessionNumber": "A7",
            } | tags
            picture = self.make_dicom.picture(seed=number)
            made = self.make_dicom.dataset(picture, **values)
            found = self.receive(
                self.make_dicom.file_bytes(made, syntax or self.make_dicom.EXPLICIT), site
            )
        return found

    def analysed(self, exam_id: int, revision: int = 1) -> tuple[str, str]:
        """Enter a result with an SR and a Secondary Capture; gives their UIDs."""
        state, database = self.stage.state, self.stage.database
        now = self.stage.clock.now
        with database.read() as connection:
            exam = connection.execute(EXAMS.select().where(EXAMS.c.id == exam_id)).one()
        study = exam.study_instance_uid
        report, capture = f"{study}.8.{revision}", f"{study}.9.{revision}"
        made = (
            (report, SR_CLASS, self._object(study, report, SR_CLASS, "SR", f"{study}.8")),
            (capture, SC_CLASS, self._object(study, capture, SC_CLASS, "OT", f"{study}.9")),
        )
        with database.write() as connection:
            job = connection.execute(
                JOBS.insert()
                .values(
                    exam_id=exam_id,
                    version=revision,
                    state="done",
                    attempts=1,
                    not_before=now,
                    created_at=now,
                    finished_at=now,
                )
                .returning(JOBS.c.id)
            ).scalar_one()
            before = connection.execute(
                RESULTS.select().where(RESULTS.c.exam_id == exam_id, RESULTS.c.revision < revision)
            ).first()
            result = connection.execute(
                RESULTS.insert()
                .values(
                    exam_id=exam_id,
                    job_id=job,
                    revision=revision,
                    supersedes=before.id if before else None,
                    category="high",
                    malignancy=0.9,
                    n_images=4,
                    n_unreadable=0,
                    cautions="",
                    model_name="m",
                    model_version="1",
                    model_digest="0" * 64,
                    created_at=now,
                )
                .returning(RESULTS.c.id)
            ).scalar_one()
            for uid, sop_class, content in made:
                stored = state.results.put(content)
                self.received[uid] = content
                row = {
                    "result_id": result,
                    "sink": f"dicom-{uid}"[:64],
                    "name": "a.dcm",
                    "digest": stored.digest,
                    "size": stored.size,
                    "sop_class_uid": sop_class,
                    "sop_instance_uid": uid,
                }
                connection.execute(FILES.insert().values(row))
        return report, capture

    def mode(self, site: str, mode: str) -> None:
        """Set how a site reads."""
        with self.stage.database.write() as connection:
            connection.execute(SITES.update().where(SITES.c.key == site).values(reading_mode=mode))

    def get(self, path: str, who: str = "north-reader", **headers: str) -> Any:
        """Ask for something below the base as somebody."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.stage.ask(who, "GET", f"/{BASE}{path}".replace("//", "//", 1), **sent)

    def rows(self, path: str, who: str = "north-reader") -> list[dict[str, Any]]:
        """Search, and give the rows of the answer."""
        done = self.get(path, who)
        assert done.status_code in (200, 204), done.text
        return done.json() if done.status_code == 200 else []

    def _object(self, study: str, uid: str, sop_class: str, modality: str, series: str) -> bytes:
        values: dict[str, Any] = {
            "SOPClassUID": sop_class,
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "SOPInstanceUID": uid,
            "Modality": modality,
            "Manufacturer": "mammolens",
            "SeriesDescription": f"AI {uuid.uuid4().hex}",
        }
        if modality == "SR":
            made = Dataset()
            for keyword, value in values.items():
                setattr(made, keyword, value)
            made.PixelData = b"\0\0"
            made["PixelData"].VR = "OW"
            content = dcmread(BytesIO(self.make_dicom.file_bytes(made)))
            del content.PixelData
            out = BytesIO()
            content.save_as(out)
            return out.getvalue()
        colours = self.make_dicom.picture(64, 64, 8)
        import numpy as np

        picture = np.stack([colours] * 3, axis=-1)
        return self.make_dicom.file_bytes(self.make_dicom.dataset(picture, **values))


@pytest.fixture
def make_archive(make_stage, make_dicom) -> Callable[..., Archive]:
    def make(**changes: Any) -> Archive:
        return Archive(make_stage(**changes), make_dicom, {})

    return make


@pytest.fixture
def archive(make_archive) -> Archive:
    return make_archive()


def parts_of(done: Any) -> list[tuple[str, bytes]]:
    """Take a multipart answer apart: media type and content of each part."""
    kind = done.headers["content-type"]
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    assert kind.startswith("multipart/related"), kind
    assert done.content.endswith(b"--" + boundary + b"--\r\n")
    found = []
    for piece in done.content.split(b"--" + boundary)[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        media = head.decode().partition("Content-Type: ")[2].strip()
        found.append((media, content.removesuffix(b"\r\n")))
    return found
