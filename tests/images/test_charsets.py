"""Texts whose real character set differs from the declared one."""

from __future__ import annotations

import pytest

from mammolens.images import ImageFile, identify
from mammolens.images.dicom.charsets import TextUse, decode, python_codecs

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")
"""pydicom warns about the faulty values that these tests write on purpose."""
MULLER, IVANOVA, WANG, YAMADA = "Müller^Jürgen", "Иванова^Анна", "王^小东", "山田^太郎"
UTF8, LATIN, NONE = "ISO_IR 192", "ISO_IR 100", None


@pytest.fixture
def header(make_dicom, tmp_path):
    def read(charset: str | None, name: bytes = b"Doe^Jane", patient: bytes = b"P1"):
        fill = {"PatientName": "N" * len(name), "PatientID": "I" * len(patient)}
        data = make_dicom.file_bytes(make_dicom.dataset(SpecificCharacterSet=charset, **fill))
        for keyword, value in (("PatientName", name), ("PatientID", patient)):
            assert data.count(fill[keyword].encode()) == 1
            data = data.replace(fill[keyword].encode(), value)
        path = tmp_path / "a.dcm"
        path.write_bytes(data)
        return identify(ImageFile(path))

    return read


@pytest.mark.parametrize(
    ("charset", "codec", "name"),
    [
        (UTF8, "latin-1", MULLER),
        (NONE, "latin-1", MULLER),
        (NONE, "utf-8", MULLER),
        (LATIN, "utf-8", MULLER),
        ("ISO_IR 6", "utf-8", IVANOVA),
        ("ISO_IR 144", "utf-8", IVANOVA),
        (NONE, "cp1251", IVANOVA),
        (LATIN, "cp1251", IVANOVA),
        (UTF8, "koi8-r", IVANOVA),
        (NONE, "gbk", WANG),
        (UTF8, "gbk", f"Wang^XiaoDong={WANG}"),
        (NONE, "shift-jis", YAMADA),
        (UTF8, "shift-jis", YAMADA),
        (UTF8, "latin-1", "García^Mª José"),
    ],
)
def test_a_name_is_read_by_the_set_that_it_is_in(header, charset, codec, name) -> None:
    info = header(charset, name.encode(codec))
    assert info.header.patient_name == name
    assert info.header.undecoded == ()
    assert [c.name for c in info.cautions] == ["text_charset"]


@pytest.mark.parametrize(
    ("charset", "codec", "name"),
    [
        (UTF8, "utf-8", MULLER),
        (LATIN, "latin-1", MULLER),
        ("UTF-8", "utf-8", MULLER),
        ("WINDOWS-1252", "cp1252", MULLER),
        ("ISO_IR 101", "iso8859-2", "Żółć^Łucja"),
        ("ISO_IR 144", "iso8859-5", IVANOVA),
        ("ISO_IR 144", "iso8859-5", "ТАТУ^ТИНА"),
        ("ISO_IR 126", "iso8859-7", "Διονυσιος"),
        ("ISO_IR 127", "iso8859-6", "قباني^لنزار"),
        ("GB18030", "gb18030", WANG),
        ("ISO_IR 13", "shift-jis", YAMADA),
        (UTF8, "utf-8", "สมชาย^ใจดี"),
    ],
)
def test_a_name_in_its_declared_set_is_left_alone(header, charset, codec, name) -> None:
    info = header(charset, name.encode(codec))
    assert info.header.patient_name == name
    assert info.header.undecoded == ()
    assert not info.cautions


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (UTF8, "Παπαδόπουλος^Γιώργος".encode("cp1253")),
        (UTF8, "김^영희".encode("euc-kr")),
        (NONE, "كريم^علي".encode("cp1256")),
        (UTF8, "Żółć^Łucja".encode("iso8859-2")),
        (UTF8, "M\ufffdller".encode()),
    ],
)
def test_a_name_in_an_unknown_character_set_is_flagged(header, charset, name) -> None:
    info = header(charset, name)
    assert info.header.undecoded == ("PatientName",)
    assert [c.name for c in info.cautions] == ["text_undecoded"]
    assert "\ufffd" not in info.header.patient_name
    assert info.header.patient_name.isascii()


def test_two_patients_never_become_one(header) -> None:
    found = [header(UTF8, patient=f"P{letter}12".encode("latin-1")) for letter in "éáe"]
    assert [info.ref.patient_id for info in found] == ["P\\xe912", "P\\xe112", "Pe12"]
    assert [info.header.undecoded for info in found] == [("PatientID",), ("PatientID",), ()]


def test_an_identifier_that_declares_nothing_is_read_in_the_usual_set(header) -> None:
    assert header(NONE, patient="Pé12".encode("latin-1")).ref.patient_id == "Pé12"
    assert header(LATIN, patient="Pé12".encode("latin-1")).ref.patient_id == "Pé12"
    assert header(NONE, patient="Pé12".encode()).ref.patient_id == "Pé12"
    cyrillic = header(NONE, patient="ИВАНОВА".encode("cp1251"))
    assert cyrillic.header.undecoded == ("PatientID",)


def test_no_bytes_become_replacement_characters() -> None:
    for use in (TextUse.NAME, TextUse.IDENTIFIER):
        for byte in range(0x80, 0x100):
            text = decode(bytes([0x41, byte, 0x42]), python_codecs(("ISO_IR 192",)), use).text
            assert "\ufffd" not in text


def test_escapes_of_code_extensions_are_followed(header) -> None:
    name = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    info = header(["", "ISO 2022 IR 87"], name)
    assert info.header.patient_name == "Yamada^Tarou=山田^太郎"
    assert header(NONE, b"A\x1b^Bx").header.undecoded == ("PatientName",)
