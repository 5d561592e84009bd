"""Senders who mean well: a modality with pynetdicom, exams without end, certificates of TLS."""

from __future__ import annotations

import itertools
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from demo import CASES, sample
from pynetdicom import AE
from pynetdicom.association import Association

__all__ = ["CASES", "EXPLICIT", "MAMMOGRAM", "Modality", "certificates", "client_context", "exams"]

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
EXPLICIT = "1.2.840.10008.1.2.1"
KEPT_EVERY = 8


@dataclass(frozen=True)
class Modality:
    """A modality."""

    port: int
    tls: ssl.SSLContext | None

    def echo(self) -> bool:
        association = self._associate(VERIFICATION)
        try:
            answer = association.send_c_echo() if association.is_established else {}
            return answer.get("Status") == 0
        except (RuntimeError, ValueError):
            return False
        finally:
            association.release()

    def store(self, files: list[Path], port: int | None = None) -> bool:
        """Send files; say whether all were taken."""
        association = self._associate(MAMMOGRAM, port)
        try:
            return association.is_established and all(
                association.send_c_store(file).get("Status") == 0 for file in files
            )
        except (RuntimeError, ValueError):
            return False
        finally:
            association.release()

    def _associate(self, sop_class: str, port: int | None = None) -> Association:
        ae = AE("MODALITY")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
        ae.add_requested_context(sop_class, EXPLICIT)
        tls = None if self.tls is None or port is not None else (self.tls, "localhost")
        return ae.associate("127.0.0.1", port or self.port, ae_title="MAMMOLENS", tls_args=tls)


def exams(folder: Path, patient: str) -> Iterator[tuple[str, list[Path]]]:
    """Make exams without end: the samples under ever new UIDs and patients.

    Yields
    ------
    The study instance UID, and its four files.
    """
    views = [sample(case, folder / "sample" / case, KEPT_EVERY) for case in CASES]
    for number in itertools.count():
        study = pydicom.uid.generate_uid(prefix=None)
        out = folder / "outgoing" / str(number)
        out.mkdir(parents=True)
        for view in views[number % len(views)]:
            dataset = pydicom.dcmread(view)
            dataset.StudyInstanceUID, dataset.PatientID = study, f"{patient}{number:05d}"
            dataset.SeriesInstanceUID = pydicom.uid.generate_uid(prefix=None)
            dataset.SOPInstanceUID = pydicom.uid.generate_uid(prefix=None)
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.save_as(out / view.name, enforce_file_format=True)
        yield str(study), sorted(out.iterdir())


def certificates(folder: Path) -> dict[str, object]:
    """Make an authority, and certificates of the node and a modality that it signed."""
    folder.mkdir()

    def call(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    call("req", "-x509", "-subj", "/CN=fuzz", "-keyout", "ca.key", "-out", "ca.pem", *curve)
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", "ascii")
    for name in ("node", "modality"):
        call("req", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", *curve)
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        call("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    return {
        "certificate": str(folder / "node.pem"),
        "key": str(folder / "node.key"),
        "authority": str(folder / "ca.pem"),
    }


def client_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "modality.pem", folder / "modality.key")
    return context
