"""Reception: durable, repeatable, never two women in one exam, and no loop."""

from __future__ import annotations

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa

from mammolens.errors import MissingAttribute, NotAnImage, StorageError, UnsupportedImage
from mammolens.serve.intake import Identifiers, receive
from mammolens.serve.intake.partial_object import read_identifiers
from mammolens.serve.record import AUDIT, EXAMS, FILES, INSTANCES, JOBS, PICTURES, RESULTS, Role
from mammolens.serve.record.audit import verify
from mammolens.serve.settings import IntakeSettings

SETTINGS = IntakeSettings(min_free_mb=0, max_mb=1)
FILM = IntakeSettings(min_free_mb=0, film=True)


@pytest.fixture
def send(state):
    def send(data: bytes, intake: IntakeSettings = SETTINGS):
        settings = state.settings.model_copy(update={"intake": intake})
        return receive(replace(state, settings=settings), data, "dimse:MODALITY")

    return send


def test_four_views_are_one_exam(send, state, mammogram, rows):
    receipts = [send(mammogram(number)) for number in range(4)]
    assert {r.role for r in receipts} == {Role.INPUT}
    (exam,) = rows(EXAMS)
    assert (exam.version, exam.four_views, exam.patient_id) == (4, True, "P1")
    assert [row.view for row in rows(INSTANCES)] == ["RCC", "LCC", "RMLO", "LMLO"]
    assert all(state.received.path(r.digest).is_file() for r in receipts)


def test_the_same_object_again_changes_nothing(send, mammogram, rows):
    first, again = send(mammogram()), send(mammogram())
    assert (first.repeated, again.repeated) == (False, True)
    assert again.instance_id == first.instance_id
    assert rows(EXAMS)[0].version == 1
    assert [row.action for row in rows(AUDIT)] == ["input", "repeated"]


@pytest.mark.parametrize(
    ("first", "again"),
    [("1", "5"), ("4.80", "1"), ("4.80", "5")],
    ids=["explicit, then RLE", "JPEG-LS, then explicit", "JPEG-LS, then RLE"],
)
def test_the_same_pixels_in_another_syntax_are_a_copy(send, mammogram, rows, first, again):
    send(mammogram(syntax=f"1.2.840.10008.1.2.{first}"))
    assert send(mammogram(syntax=f"1.2.840.10008.1.2.{again}")).role is Role.COPY
    assert rows(EXAMS)[0].version == 1


def test_a_uid_with_other_pixels_is_a_rival_and_both_are_kept(send, state, mammogram, rows):
    first, rival = send(mammogram()), send(mammogram(picture=7))
    assert (first.role, rival.role) == (Role.INPUT, Role.RIVAL)
    assert all(state.received.path(r.digest).is_file() for r in (first, rival))
    assert rows(EXAMS)[0].version == 2
    assert rows(AUDIT)[-1].action == "rival"


@pytest.mark.parametrize(
    "change", [{"ImageLaterality": "L"}, {"ViewPosition": "MLO"}], ids=["side", "view"]
)
def test_a_uid_that_changes_its_place_is_a_rival(send, mammogram, change):
    send(mammogram())
    assert send(mammogram(**change)).role is Role.RIVAL


def test_a_sound_object_after_a_damaged_one_is_a_rival(send, mammogram):
    send(mammogram()[:-5000])
    assert send(mammogram()).role is Role.RIVAL


@pytest.mark.parametrize(
    "change",
    [{"PatientID": "P2"}, {"PatientName": "Roe^Mary"}, {"PatientBirthDate": "19700101"}],
    ids=str,
)
def test_two_identities_in_a_study_are_two_exams(send, mammogram, rows, change):
    one, other = send(mammogram(0)), send(mammogram(1, **change))
    assert one.exam_id != other.exam_id
    assert [exam.version for exam in rows(EXAMS)] == [2, 1]
    assert {row.action for row in rows(AUDIT)} == {"input", "second_identity"}


@pytest.mark.parametrize("name", ["DOE^JANE", "Doe^Jane^^^", "doe jane", "Doe^Jane=ドウ"])
def test_the_spelling_of_a_name_is_no_identity(send, mammogram, rows, name):
    send(mammogram(0))
    send(mammogram(1, PatientName=name, SpecificCharacterSet="ISO_IR 192"))
    assert len(rows(EXAMS)) == 1


def test_one_uid_for_two_women_stays_with_each(send, mammogram, rows):
    send(mammogram())
    assert send(mammogram(PatientID="P2")).role is Role.INPUT
    assert len(rows(EXAMS)) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"EstimatedRadiographicMagnificationFactor": "1.8"}, "NotAWholeView"),
        ({"BreastImplantPresent": "YES"}, None),
        ({"PartialView": "YES"}, None),
    ],
    ids=["magnified", "implant", "partial"],
)
def test_only_whole_views_are_inputs(send, mammogram, rows, changes, reason):
    send(mammogram(0, **changes))
    (row,) = rows(INSTANCES)
    assert (row.role, row.reason) == ("refused" if reason else "input", reason)


def test_for_processing_and_tomosynthesis_are_listed_as_refused(send, make_dicom, mammogram, rows):
    raw = mammogram(
        0, SOPClassUID=make_dicom.FOR_PROCESSING, PresentationIntentType="FOR PROCESSING"
    )
    assert send(raw).role is Role.REFUSED
    assert send(mammogram(1, SOPClassUID=make_dicom.TOMOSYNTHESIS)).role is Role.REFUSED
    assert [row.reason for row in rows(INSTANCES)] == ["NotAMammogram", "UnsupportedImage"]
    assert rows(EXAMS)[0].version == 1
    assert send(mammogram(2)).role is Role.INPUT
    assert rows(EXAMS)[0].version == 2
    late = mammogram(
        3, SOPClassUID=make_dicom.FOR_PROCESSING, PresentationIntentType="FOR PROCESSING"
    )
    assert send(late).role is Role.REFUSED
    assert rows(EXAMS)[0].version == 3, "a late picture that is not read must reach the result"
    send(mammogram(4, SOPClassUID=make_dicom.TOMOSYNTHESIS))
    assert rows(EXAMS)[0].version == 3


def test_other_objects_are_acknowledged_and_ignored(send, state, make_dicom, mammogram, rows):
    data = mammogram(SOPClassUID=make_dicom.CT, Modality="CT")
    receipt = send(data)
    assert (receipt.role, receipt.exam_id, receipt.repeated) == (Role.IGNORED, None, False)
    assert send(data).repeated
    assert rows(EXAMS) == []
    assert not state.received.path(receipt.digest).exists()


def test_film_is_read_only_where_the_settings_say_so(send, make_dicom, mammogram, rows):
    """Film that is not read may show what the other views do not: it is refused, not ignored."""
    film = mammogram(SOPClassUID=make_dicom.SECONDARY_CAPTURE)
    assert send(film).role is Role.REFUSED
    assert [row.reason for row in rows(INSTANCES)] == ["film_not_read"]
    assert send(mammogram(2, SOPClassUID=make_dicom.SECONDARY_CAPTURE), FILM).role is Role.INPUT
    assert send(mammogram(1, SOPClassUID=make_dicom.COMPUTED_RADIOGRAPHY), FILM).role is Role.INPUT


def test_our_own_results_are_ignored_by_maker_and_by_uid(
    send, database, clock, make_dicom, mammogram
):
    made = mammogram(1, SOPClassUID=make_dicom.SECONDARY_CAPTURE, Manufacturer="mammolens")
    assert send(made, FILM).role is Role.IGNORED
    send(mammogram(0))
    with database.write() as connection:
        moment = {"not_before": clock.now, "created_at": clock.now, "finished_at": clock.now}
        connection.execute(
            JOBS.insert().values(exam_id=1, version=1, state="done", attempts=1, **moment)
        )
        text = dict.fromkeys(("model_name", "model_version", "model_digest", "cautions"), "")
        numbers = {"exam_id": 1, "job_id": 1, "revision": 1, "n_images": 0, "n_unreadable": 0}
        connection.execute(
            RESULTS.insert().values(category="failed", created_at=clock.now, **text, **numbers)
        )
        file = {"result_id": 1, "sink": "x", "name": "x", "digest": "0" * 64, "size": 1}
        connection.execute(FILES.insert().values(**file, sop_instance_uid="1.2.3.4.2"))
    assert send(mammogram(2)).role is Role.IGNORED


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", [None, "1." + "2" * 63, "1.2.x"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_object_without_identifiers_is_refused_by_keyword(send, mammogram, rows, keyword, value):
    with pytest.raises(MissingAttribute, match=keyword):
        send(mammogram(**{keyword: value}))
    (row,) = rows(AUDIT)
    assert json.loads(row.detail) == {"error": "MissingAttribute", "keyword": keyword}


@pytest.mark.parametrize("data", [b"", b"text", b"\0" * 128 + b"DICM" + b"\xff" * 40])
def test_what_is_no_dicom_is_refused(send, rows, data):
    with pytest.raises(NotAnImage):
        send(data)
    assert rows(INSTANCES) == []


def test_what_is_too_large_is_refused(send):
    with pytest.raises(UnsupportedImage, match="1 MiB"):
        send(bytes((1 << 20) + 1))


def test_many_senders_at_once(send, database, mammogram, rows):
    sent = [mammogram(number) for number in range(4)] * 3
    with ThreadPoolExecutor(6) as pool:
        receipts = list(pool.map(send, sent))
    assert sum(not receipt.repeated for receipt in receipts) == 4
    (exam,) = rows(EXAMS)
    assert (exam.version, exam.four_views) == (4, True)
    with database.read() as connection:
        assert verify(connection).sound


def test_rivals_at_once_give_one_input(send, mammogram, rows):
    sent = [mammogram(picture=picture) for picture in range(6)]
    with ThreadPoolExecutor(6) as pool:
        receipts = list(pool.map(send, sent))
    assert sorted(receipt.role.value for receipt in receipts) == ["input"] + ["rival"] * 5
    assert rows(EXAMS)[0].version == 6


def test_names_stand_in_the_row_of_their_exam_alone(send, database, mammogram):
    send(mammogram(PatientName="Secret^Person", PatientBirthDate="19610203"))
    with database.read() as connection:
        assert "Secret^Person" in str(connection.execute(sa.select(EXAMS)).all())
        for table in (INSTANCES, PICTURES, AUDIT):
            told = str(connection.execute(sa.select(table)).all())
            assert "ecret" not in told
            assert "19610203" not in told


@pytest.mark.parametrize("fault", ["unreadable", "damaged"])
def test_a_read_error_of_our_own_store_makes_no_rival(
    send, state, make_dicom, mammogram, rows, monkeypatch, fault
):
    first = send(mammogram())
    copy = mammogram(syntax=make_dicom.DEFLATED)
    path = state.received.path(first.digest)
    read_bytes = Path.read_bytes

    def failing(self):
        if self == path and fault == "unreadable":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read_bytes(self)[:-1] + b"x" if self == path else read_bytes(self)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", failing)
        with pytest.raises(StorageError, match="compared"):
            send(copy)
    assert [row.role for row in rows(INSTANCES)] == ["input"]
    assert send(copy).role is Role.COPY


def test_an_object_beyond_the_limits_counts_as_unread(send, mammogram, make_attacks, rows):
    send(mammogram())
    slope = make_attacks.described(90_000)["values of a slope"]()
    receipt = send(slope.replace(b"1.2.3.4\0", b"1.2.3.5\0"))
    assert (receipt.role, receipt.exam_id) == (Role.REFUSED, 1)
    assert [(row.role, row.reason) for row in rows(INSTANCES)][1] == ("refused", "UnsupportedImage")
    with pytest.raises(UnsupportedImage):
        send(make_attacks.refused(300_000)["items, deflated"]())
    assert rows(AUDIT)[-1].action == "rejected"


def test_a_deflated_object_is_measured_by_what_it_inflates_to(send, make_dicom):
    pixels = make_dicom.picture(1200, 1000)
    assert pixels.nbytes > 1 << 20
    with pytest.raises(UnsupportedImage, match="1 MiB"):
        send(make_dicom.file_bytes(make_dicom.dataset(pixels * 0 + 1), make_dicom.DEFLATED))


def test_the_name_of_a_deflated_bomb_is_looked_for_in_little(make_attacks):
    data = make_attacks.refused(1_000_000)["items, deflated"]()
    assert read_identifiers(BytesIO(data[: 1 << 14])) is None
    named = read_identifiers(BytesIO(make_attacks.built(make_attacks.DEFLATED)))
    assert named == Identifiers("1.2.840.10008.5.1.4.1.1.1.2", "1.2.3.4", "1.2.3")
