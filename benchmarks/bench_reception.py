"""Reception of a 99 MB exam: the node against DCMTK's storescp, sent by DCMTK's storescu.

Both listen on loopback with PDUs of 128 KiB and write to the same disk. The sender makes up a new
UID for every object, so that none is one that came before. The node flushes every object to the
disk and enters it in its database before it acknowledges; storescp does not. Peak memory of the
node is told as well.

Run: python benchmarks/bench_reception.py (needs Debian's dcmtk)
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from timing import medians, report

ROUNDS = 9
TARGET = 1.2
ROWS, COLUMNS = 3518, 3518
VIEWS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))
MAX_PDU = "131072"


def draw_exam(folder: Path) -> list[str]:
    """Write four uncompressed views of 24.7 MB each."""
    rng = np.random.default_rng(0)
    study = generate_uid()
    paths = []
    for laterality, view in VIEWS:
        dataset = Dataset()
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
        dataset.SOPInstanceUID, dataset.StudyInstanceUID = generate_uid(), study
        dataset.SeriesInstanceUID = generate_uid()
        dataset.PatientID, dataset.PatientName, dataset.Modality = "P1", "Doe^Jane", "MG"
        dataset.PresentationIntentType = "FOR PRESENTATION"
        dataset.StudyID = dataset.SeriesNumber = dataset.InstanceNumber = "1"
        dataset.ImageLaterality, dataset.ViewPosition = laterality, view
        dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = ROWS, COLUMNS, 1
        dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.PixelData = rng.integers(0, 4096, (ROWS, COLUMNS), np.uint16).tobytes()
        path = folder / f"{laterality}{view}.dcm"
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.save_as(path, enforce_file_format=True)
        paths.append(str(path))
    return paths


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            # A probe may meet itself where its own port is drawn to be the one that is free.
            if probe.connect_ex(("127.0.0.1", port)) == 0 and probe.getsockname()[1] != port:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def peak_mb(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    if shutil.which("storescp") is None:
        raise SystemExit("DCMTK is not installed: apt-get install dcmtk")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "exam").mkdir()
        (root / "peer").mkdir()
        paths = draw_exam(root / "exam")
        megabytes = sum(Path(path).stat().st_size for path in paths) / 1e6
        node_port, peer_port = free_port(), free_port()
        settings = root / "node.toml"
        settings.write_text(
            f"data = '{root / 'node'}'\n[dimse]\nport = {node_port}\n[web]\nport = 0\n", "utf-8"
        )
        door = "from mammolens.cli import main; main()"
        node = subprocess.Popen([sys.executable, "-c", door, "node", "--config", str(settings)])
        peer = subprocess.Popen(
            [
                "storescp",
                "-aet",
                "PEER",
                "-pdu",
                MAX_PDU,
                "-od",
                root / "peer",
                "-uf",
                str(peer_port),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def sender(title: str, port: int) -> list[str]:
            invented = ["+II", "--max-send-pdu", MAX_PDU, "-pdu", MAX_PDU]
            return ["storescu", "-aec", title, *invented, "127.0.0.1", str(port), *paths]

        try:
            for port in (node_port, peer_port):
                wait_for(port)
            idle = peak_mb(node)
            seconds = medians(
                {
                    "node": lambda: subprocess.run(sender("MAMMOLENS", node_port), check=True),
                    "peer": lambda: subprocess.run(sender("PEER", peer_port), check=True),
                },
                ROUNDS,
            )
            report(f"reception of {megabytes:.0f} MB", seconds["node"], seconds["peer"], TARGET)
            print(f"peak memory of the node: {peak_mb(node):.0f} MiB, {idle:.0f} MiB when idle")
        finally:
            for process in (node, peer):
                process.send_signal(signal.SIGTERM)
                process.wait()


if __name__ == "__main__":
    main()
