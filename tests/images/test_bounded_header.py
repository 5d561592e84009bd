"""Headers beyond the limits: they are cut before parsing, and refused."""

from __future__ import annotations

import importlib.util
import random
import re
import threading
import time
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pydicom
import pytest
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from mammolens.core import ObjectKind
from mammolens.errors import InputError, NotAnImage, UnsupportedImage
from mammolens.exams import plan_exams
from mammolens.images import ImageFile, read_image
from mammolens.images.dicom import describe_dicom, read_dicom
from mammolens.images.dicom.attributes import IDENTIFYING, READ
from mammolens.images.dicom.bounded_header import ends_early, read_bounded, wanted_of
from mammolens.images.dicom.pydicom_warnings import quiet_pydicom
from mammolens.images.dicom.reader import FOR_DISPLAY

MIB = 1 << 20
FEW, MANY = 20_000, 90_000
NAME = 0x00100010
IN_ITEMS = {"CodeValue", "CodingSchemeDesignator", "CodeMeaning", "LongCodeValue", "URNCodeValue"}
IN_ITEMS |= {"ReferencedSOPInstanceUID", "LUTDescriptor", "LUTData"}
OF_THE_FILE = {"TransferSyntaxUID", "PixelData"}


def load(name: str) -> ModuleType:
    path = Path(__file__).parents[1] / "data" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ATTACKS = load("make_attacks")


@pytest.fixture
def peak():
    """Run something and give its result, or its error, and the peak of its memory in MiB."""

    def measured(act):
        tracemalloc.start()
        try:
            return act(), tracemalloc.get_traced_memory()[1] / MIB
        except InputError as error:
            return error, tracemalloc.get_traced_memory()[1] / MIB
        finally:
            tracemalloc.stop()

    return measured


def test_every_attribute_that_is_read_is_let_through() -> None:
    source = Path(describe_dicom.__code__.co_filename).parent
    named = set()
    for path in source.glob("*.py"):
        words = re.findall(r'"([A-Z][A-Za-z0-9]+)"', path.read_text("utf-8"))
        named |= {word for word in words if tag_for_keyword(word) is not None}
    assert named - READ - IN_ITEMS - OF_THE_FILE - FOR_DISPLAY == set()
    assert (
        READ - named - {word for text in (source / "dicom_attributes.py",) for word in READ}
        == set()
    )
    assert IDENTIFYING <= READ


@pytest.fixture
def few(monkeypatch) -> None:
    """Fewer steps than the limit allows: tracing memory makes each of them slow."""
    monkeypatch.setattr("mammolens.images.dicom.walk.MAX_STEPS", FEW)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", ATTACKS.refused(MANY))
def test_an_object_that_cannot_be_placed_is_refused(name, peak) -> None:
    data = ATTACKS.refused(MANY)[name]()
    for act in (describe_dicom, read_dicom):
        error, memory = peak(lambda: act(data if act is read_dicom else BytesIO(data), "x", None))  # noqa: B023
        assert isinstance(error, UnsupportedImage), error
        assert error.keyword
        assert error.remedy
        assert memory < 8


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("name", ATTACKS.described(MANY))
def test_an_object_beyond_a_limit_is_known_but_never_read(name, peak) -> None:
    data = ATTACKS.described(MANY)[name]()
    found, memory = peak(lambda: describe_dicom(BytesIO(data), "x", None))
    assert (found.ref.study_instance_uid, found.ref.patient_id) == ("1.2.3", "P1")
    assert isinstance(found.refusal, UnsupportedImage | NotAnImage)
    assert found.refusal.keyword
    assert found.kind is ObjectKind.MAMMOGRAM
    assert memory < 8
    with pytest.raises(type(found.refusal), match=re.escape(found.refusal.message)):
        read_dicom(data, "x", None)


@pytest.mark.parametrize("name", ATTACKS.passed())
def test_what_nobody_reads_costs_nothing(name, peak) -> None:
    data = ATTACKS.passed()[name]()
    found, memory = peak(lambda: describe_dicom(BytesIO(data), "x", None))
    assert found.ref.sop_instance_uid == "1.2.3.4"
    assert found.refusal.keyword == "BitsAllocated"
    assert memory < 1


def test_the_limits_themselves_hold_a_parse_short() -> None:
    """About half a second for all three; they took minutes."""
    started = time.monotonic()
    many = 1_000_000
    for attacks, name in (
        (ATTACKS.refused(many), "items, deflated"),
        (ATTACKS.refused(many), "open items"),
        (ATTACKS.described(many), "values of a slope"),
    ):
        data = attacks[name]()
        with pytest.raises(UnsupportedImage):
            read_dicom(data, "x", None)
    assert time.monotonic() - started < 20


def test_values_just_within_the_limits_are_read_in_time() -> None:
    """No text costs more than linear time, however it is written."""
    started = time.monotonic()
    texts = (b"1", b"M", b" ", b"x1.5 ", b"L CC ", b"\xff", b"\x1b$B", b"1\\", b"^", b"=")
    tags = (0x0008103E, 0x00081030, 0x00181030, 0x001811A4, 0x00185101, 0x00204000, NAME)
    for text in texts:
        changes = {
            f"x{tag:08X}": ATTACKS.element(ATTACKS.IMPLICIT, tag, "LO", (text * 4096)[:4000])
            for tag in tags
        }
        describe_dicom(BytesIO(ATTACKS.built(ATTACKS.IMPLICIT, **changes)), "x", None)
    assert time.monotonic() - started < 20


def test_an_object_beyond_a_limit_is_something_unread_in_its_exam(make_dicom, tmp_path) -> None:
    make_dicom.save(tmp_path / "a.dcm")
    (tmp_path / "b.dcm").write_bytes(ATTACKS.described(MANY)["values of a slope"]())
    (tmp_path / "c.dcm").write_bytes(ATTACKS.refused(MANY)["nested items"]())
    plans, unplaced = plan_exams([ImageFile(tmp_path / f"{name}.dcm") for name in "abc"])
    (plan,) = plans
    assert [file.path.name for file in plan.files] == ["a.dcm"]
    assert [(u.error, u.kind) for u in plan.unreadable] == [
        ("UnsupportedImage", ObjectKind.MAMMOGRAM)
    ]
    assert [Path(u.path).name for u in unplaced] == ["c.dcm"]
    assert any(c.name == "unplaced_file" and c.doubt for c in plan.cautions)


def test_a_deflated_object_is_limited_by_its_inflated_size(make_dicom, peak) -> None:
    data = make_dicom.file_bytes(make_dicom.dataset(), make_dicom.DEFLATED)
    assert describe_dicom(BytesIO(data), "x", None, most_bytes=MIB).refusal is None
    with pytest.raises(UnsupportedImage, match="deflated"):
        describe_dicom(BytesIO(data), "x", None, most_bytes=10_000)
    with pytest.raises(NotAnImage, match="truncated"):
        describe_dicom(BytesIO(data[:-40]), "x", None)
    noise = random.Random(1).randbytes(6 * MIB)
    packed = ATTACKS.built(
        ATTACKS.DEFLATED,
        x00290010=ATTACKS.element(ATTACKS.EXPLICIT, ATTACKS.PRIVATE, "OB", noise),
    )
    found, memory = peak(lambda: describe_dicom(BytesIO(packed), "x", None))
    assert found.ref.patient_id == "P1"
    assert memory < 2


SYNTAXES = ("IMPLICIT", "EXPLICIT", "BIG_ENDIAN", "DEFLATED")


def random_item(rng: random.Random, depth: int) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodeMeaning = f"R-{rng.randrange(99999)}", "view " * rng.randrange(4)
    if depth and rng.random() < 0.6:
        made.ViewModifierCodeSequence = [random_item(rng, depth - 1) for _ in range(2)]
        made["ViewModifierCodeSequence"].is_undefined_length = rng.random() < 0.5
    made.is_undefined_length_sequence_item = rng.random() < 0.5
    return made


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_kept_elements_are_those_that_the_parser_reads_from_the_whole_file(
    make_dicom, syntax
) -> None:
    rng = random.Random(7)
    tags = {int(tag_for_keyword(keyword)) for keyword in READ}
    for _ in range(40):
        made = make_dicom.dataset(StudyDescription="a" * rng.randrange(60))
        for keyword in ("ViewCodeSequence", "ReferencedImageSequence", "AnatomicRegionSequence"):
            if rng.random() < 0.7:
                setattr(made, keyword, [random_item(rng, 2) for _ in range(rng.randrange(3))])
                made[keyword].is_undefined_length = rng.random() < 0.5
        made.add_new(0x00290010, "LO", "MAKER")
        made.add_new(0x00291001, "SQ", [random_item(rng, 3)])
        made[0x00291001].is_undefined_length = rng.random() < 0.5
        made.add_new(0x00291002, "UN", rng.randbytes(rng.randrange(0, 100, 2)))
        data = make_dicom.file_bytes(made, getattr(make_dicom, syntax))
        whole = pydicom.dcmread(BytesIO(data), stop_before_pixels=True)
        kept = read_bounded(BytesIO(data), "x", wanted_of(READ)).dataset()
        expected = Dataset({e.tag: e for e in whole if int(e.tag) in tags})
        assert {keyword_for_tag(e.tag): str(e) for e in kept} == {
            keyword_for_tag(e.tag): str(e) for e in expected
        }


@pytest.mark.parametrize("syntax", SYNTAXES[:3])
def test_a_file_that_ends_early_is_detected(make_dicom, syntax) -> None:
    made = make_dicom.dataset()
    made.ViewCodeSequence = [random_item(random.Random(1), 2)]
    made["ViewCodeSequence"].is_undefined_length = True
    data = make_dicom.file_bytes(made, getattr(make_dicom, syntax))
    assert not ends_early(BytesIO(data), len(data))
    for size in (len(data) - 1, len(data) - 5000, len(data) // 2):
        assert ends_early(BytesIO(data[:size]), size)
    assert not ends_early(BytesIO(b"no DICOM at all" * 20), 300)


def test_no_thread_waits_for_another_that_parses() -> None:
    inside, go_on, order = threading.Event(), threading.Event(), []

    def slow() -> None:
        with quiet_pydicom() as caught:
            inside.set()
            assert go_on.wait(30)
            warnings.warn("of the slow thread", stacklevel=1)
            order.append([str(w.message) for w in caught])

    thread = threading.Thread(target=slow)
    thread.start()
    assert inside.wait(30)
    data = ATTACKS.built()
    other = threading.Thread(target=lambda: order.append(describe_dicom(BytesIO(data), "x", None)))
    other.start()
    other.join(30)
    assert len(order) == 1
    with quiet_pydicom() as caught:
        warnings.warn("of this one", stacklevel=1)
    assert [str(w.message) for w in caught] == ["of this one"]
    go_on.set()
    thread.join()
    assert order[1] == ["of the slow thread"]
    with pytest.warns(UserWarning, match="shown again"):
        warnings.warn("shown again", stacklevel=1)


@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a.zip", "a.bin"])
def test_a_sparse_file_is_refused_by_its_size(tmp_path, name) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write({"a.png": b"\x89PNG\r\n\x1a\n", "a.zip": b"PK\x03\x04"}.get(name, b"\1" * 8))
        file.truncate(2 << 40)
    file = ImageFile(path, "a.dcm" if name == "a.zip" else None)
    with pytest.raises(InputError):
        read_image(file)
    _, unplaced = plan_exams([file])
    assert [u.error for u in unplaced] == [
        "UnsupportedImage" if name != "a.dcm" else unplaced[0].error
    ]
    assert unplaced[0].kind is ObjectKind.UNKNOWN
