"""Uploads over HTTP: pieces, breaks, archives, limits, and what became of each file."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import cv2
import numpy as np
import pytest
import sqlalchemy as sa
from photograph_inputs import LEVELS, bad_photograph, photograph_of

from mammolens.images import read_image
from mammolens.images.dicom import read_dicom
from mammolens.serve.people import Refused, find_person
from mammolens.serve.record import AUDIT, EXAMS, INSTANCES, ROLES, UPLOADS, PersonRole
from mammolens.serve.uploads import open_writer, receiving
from mammolens.serve.uploads.receiving import receive_whole, tidy

TUS = {"tus_resumable": "1.0.0"}
KIND = {"content_type": "application/offset+octet-stream"}
WHO = "north-uploader"


@pytest.fixture
def make_stage(make_empty_stage):
    return make_empty_stage


def metadata(**values: str) -> str:
    pairs = (f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())
    return ",".join(pairs)


def begin(stage, length, who=WHO, **values):
    values = {"filename": "exam.dcm"} | values
    sent = {"upload_length": str(length), "upload_metadata": metadata(**values)}
    return stage.ask(who, "POST", "/uploads", **TUS, **sent)


def put(stage, place, offset, content, who=WHO):
    headers = stage.headers(who) | {"tus-resumable": "1.0.0", "upload-offset": str(offset)}
    headers["content-type"] = KIND["content_type"]
    stage.client.cookies.clear()
    return stage.client.patch(place, content=content, headers=headers)


def head(stage, place, who=WHO):
    return stage.ask(who, "HEAD", place.removeprefix("/api/v1"), **TUS)


def result(stage, place, who=WHO):
    return stage.ask(who, "GET", place.removeprefix("/api/v1") + "/result").json()


def upload(stage, content, **values):
    place = begin(stage, len(content), **values).headers["location"]
    assert put(stage, place, 0, content).status_code == 204
    return result(stage, place)


def zipped(files, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_film_comes_in_pieces_and_is_received_as_any_other(stage, mammogram):
    film = mammogram(0)
    begun = begin(stage, len(film))
    assert begun.status_code == 201
    place, third = begun.headers["location"], len(film) // 3
    assert put(stage, place, 0, film[:third]).headers["upload-offset"] == str(third)
    assert head(stage, place).headers["upload-offset"] == str(third)
    assert head(stage, place).headers["upload-length"] == str(len(film))
    assert result(stage, place)["state"] == "coming"
    for wrong in (0, third - 1, third + 1, len(film)):
        done = put(stage, place, wrong, film[wrong:])
        assert (done.status_code, done.json()["code"]) == (409, "offset")
    assert put(stage, place, third, film[third:]).status_code == 204
    (member,) = result(stage, place)["members"]
    assert member["outcome"] == "input"
    with stage.database.read() as connection:
        exam = connection.execute(sa.select(EXAMS)).one()
        (row,) = connection.execute(sa.select(INSTANCES)).all()
    assert exam.site_id == stage.cast.sites["north"]
    assert (member["exam_id"], row.sender) == (exam.id, "person:north-uploader")
    assert not list((stage.state.settings.data / "uploads").iterdir())


def test_a_piece_that_is_longer_than_was_said_is_refused(stage):
    place = begin(stage, 5).headers["location"]
    assert put(stage, place, 0, b"123456").status_code == 413
    assert head(stage, place).headers["upload-offset"] == "0"


def test_an_archive_says_of_each_file_what_became_of_it(stage, mammogram):
    films = {f"DISK/IM{n}.dcm": mammogram(n) for n in range(4)}
    others = {
        "DISK/again.dcm": mammogram(0),
        "DISK/readme.txt": b"hello",
        "DISK/DICOMDIR": b"x",
        "../../etc/passwd": mammogram(5),
        "/etc/cron.d/x": b"x",
        "C:\\windows\\x": b"x",
        "inner.zip": zipped({"a": b"b"}),
        "<img src=x>.dcm": b"",
    }
    found = upload(stage, zipped(films | others), filename="exam.zip")
    assert (found["state"], found["problem"]) == ("done", None)
    said = {m["name"]: (m["outcome"], m["reason"]) for m in found["members"]}
    assert [said[name][0] for name in films] == ["input"] * 4
    assert said["DISK/again.dcm"] == ("input", None)
    assert said["DISK/DICOMDIR"] == ("passed_over", None)
    assert said["../../etc/passwd"] == ("rejected", "bad_path")
    assert said["/etc/cron.d/x"] == ("rejected", "bad_path")
    assert said["C:\\windows\\x"] == ("rejected", "bad_path")
    assert said["DISK/readme.txt"][0] == said["inner.zip"][0] == "rejected"
    with stage.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count(EXAMS.c.id))).scalar_one() == 1


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: b"", "empty"),
        (lambda: b"PK\x03\x04" + b"\0" * 100, "damaged"),
        (lambda: zipped({"a": b"b"})[:-5], "damaged"),
        (lambda: zipped({str(n): b"" for n in range(30)}), "too_many_files"),
    ],
)
def test_archives_that_cannot_be_read_say_so(make_stage, make, problem):
    stage = make_stage(uploads={"max_files": 20})
    content = make()
    place = begin(stage, len(content)).headers["location"]
    if content:
        put(stage, place, 0, content)
    found = result(stage, place)
    assert (found["state"], found["problem"]) == ("done", problem)


def with_record(content, *, hides):
    """Add zip64 records: the one that is pointed to is harmless, the one before the locator not."""
    end = content.rindex(b"PK\x05\x06")
    fields = struct.unpack_from("<4s4H2LH", content, end)

    def record(size):
        rest = (44, 45, 45, 0, 0, 1, 1, size, fields[6])
        return struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", *rest)

    said, true = (record(46), record(1 << 40)) if hides else (record(fields[5]),) * 2
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    return content[:end] + said + true + locator + content[end:]


def many_entries(count):
    """Write a directory that holds many more entries than it says."""
    content = zipped({"a": b""})
    end = content.rindex(b"PK\x05\x06")
    size, place = struct.unpack_from("<2L", content, end + 12)
    entries = content[place : place + size] * count
    last = bytearray(content[end:])
    struct.pack_into("<L", last, 12, len(entries))
    return content[:place] + entries + bytes(last)


def of_a_later_version():
    content = bytearray(zipped({"a": b"b"}))
    content[content.index(b"PK\x01\x02") + 6] = 255
    return bytes(content)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: with_record(zipped({"a": b"b"}), hides=True), "too_many_files"),
        (lambda: many_entries(21), "too_many_files"),
        (of_a_later_version, "damaged"),
    ],
)
def test_a_hostile_directory_is_refused_before_it_is_read(make_stage, make, problem):
    stage = make_stage(uploads={"max_files": 10})
    assert upload(stage, make(), filename="x.zip")["problem"] == problem


def test_a_bomb_is_not_unpacked(make_stage):
    stage = make_stage(uploads={"max_unpacked_mb": 8})
    bomb = zipped({"a.dcm": b"\0" * (12 << 20), "b.dcm": b"x"})
    found = upload(stage, bomb)
    assert found["problem"] == "bomb"
    assert [m["reason"] for m in found["members"]] == ["bomb"]


def test_what_an_archive_says_of_a_length_is_not_believed(make_stage):
    stage = make_stage(intake={"max_mb": 1})
    content = bytearray(zipped({"a.dcm": b"\0" * (3 << 20)}))
    at = content.rfind(b"PK\x01\x02")
    struct.pack_into("<L", content, at + 24, 5)  # its length, in the directory
    found = upload(stage, bytes(content))
    assert found["members"][0]["outcome"] == "rejected"


def test_links_and_encrypted_files_are_refused(stage):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.dcm")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert upload(stage, out.getvalue())["members"][0]["reason"] == "not_a_file"
    content = bytearray(zipped({"a.dcm": b"x"}))
    content[content.rfind(b"PK\x01\x02") + 8] |= 1
    assert upload(stage, bytes(content))["members"][0]["reason"] == "encrypted"


def test_limits(make_stage):
    stage = make_stage(uploads={"max_mb": 1, "max_open": 2})
    assert begin(stage, (1 << 20) + 1).status_code == 413
    assert begin(stage, 1 << 60).status_code == 422
    assert [begin(stage, 5).status_code for _ in range(3)] == [201, 201, 422]
    assert stage.ask(WHO, "POST", "/uploads", upload_length="5").status_code == 412


@pytest.mark.parametrize("text", ["filename !!", "filename /w==", "a b c"])
def test_metadata_that_cannot_be_read(stage, text):
    sent = {"upload_length": "5", "upload_metadata": text}
    assert stage.ask(WHO, "POST", "/uploads", **TUS, **sent).status_code == 422


def test_the_site_is_one_where_the_person_uploads(stage):
    for site, status in (("north", 201), ("1", 201), ("south", 403), ("nowhere", 403)):
        given = str(stage.cast.sites["north"]) if site == "1" else site
        assert begin(stage, 5, site=given).status_code == status
    assert begin(stage, 5, "north-reader").status_code == 403
    with stage.database.write() as connection:
        role = {"person_id": stage.cast.people[WHO], "site_id": stage.cast.sites["south"]}
        connection.execute(ROLES.insert().values(**role, role=PersonRole.UPLOADER.value))
    assert begin(stage, 5).json()["code"] == "site"
    assert begin(stage, 5, site="south").status_code == 201


def test_who_may_not_upload_any_more_cannot_go_on(stage):
    place = begin(stage, 5).headers["location"]
    with stage.database.write() as connection:
        connection.execute(ROLES.delete().where(ROLES.c.role == PersonRole.UPLOADER.value))
    assert put(stage, place, 0, b"12345").status_code == 403


def test_an_upload_is_of_its_person_alone(stage):
    place = begin(stage, 5).headers["location"]
    for who in ("north-head", "admin", "south-head"):
        assert put(stage, place, 0, b"12345", who).status_code == 404
        assert head(stage, place, who).status_code == 404
        assert stage.ask(who, "DELETE", place.removeprefix("/api/v1"), **TUS).status_code == 404


def test_an_upload_that_was_given_up_is_gone(stage):
    place = begin(stage, 5).headers["location"]
    put(stage, place, 0, b"123")
    assert stage.ask(WHO, "DELETE", place.removeprefix("/api/v1"), **TUS).status_code == 204
    assert head(stage, place).status_code == 404
    assert not list((stage.state.settings.data / "uploads").iterdir())


def test_a_header_does_not_change_the_method(stage):
    place = begin(stage, 5).headers["location"]
    path = place.removeprefix("/api/v1")
    done = stage.ask(WHO, "POST", path, x_http_method_override="DELETE", **TUS)
    assert done.status_code == 405
    assert head(stage, place).status_code == 200


def person_of(stage, name=WHO):
    with stage.database.read() as connection:
        return find_person(connection, stage.cast.people[name])


def test_of_two_connections_the_second_goes_on(stage):
    place = begin(stage, 6).headers["location"]
    number, person = place.rpartition("/")[2], person_of(stage)
    dead = open_writer(stage.state, person, number, 0)
    dead.write(b"123")
    with pytest.raises(Refused):
        open_writer(stage.state, person, number, 0)
    alive = open_writer(stage.state, person, number, 3)
    with pytest.raises(Refused):
        dead.write(b"xxx")
    alive.write(b"456")
    assert (dead.close(), alive.close()) == (False, True)


def test_what_was_not_noted_before_a_crash_comes_again(stage):
    place = begin(stage, 6).headers["location"]
    number, person = place.rpartition("/")[2], person_of(stage)
    writer = open_writer(stage.state, person, number, 0)
    writer.write(b"123")
    writer.file.close()  # the process dies
    writer._is_closed = True
    assert head(stage, place).headers["upload-offset"] == "0"
    assert put(stage, place, 0, b"abcdef").status_code == 204


def test_many_pieces_at_once_are_taken_once(stage, mammogram):
    film = mammogram(0)
    place = begin(stage, len(film)).headers["location"]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: put(stage, place, 0, film).status_code, range(8)))
    assert done.count(204) == 1
    assert {*done} <= {204, 409, 423, 503}
    receive_whole(stage.state, threading.Event())  # where a late piece held the file just then
    assert result(stage, place)["members"][0]["outcome"] == "input"


def test_a_reception_that_was_interrupted_goes_on(stage, mammogram, monkeypatch):
    content = zipped({f"{n}.dcm": mammogram(n) for n in range(4)})
    place = begin(stage, len(content)).headers["location"]
    stop = threading.Event()
    real, taken = receiving._take, []

    def take(*given):
        taken.append(1)
        if len(taken) == 2:
            stop.set()
        return real(*given)

    monkeypatch.setattr(receiving, "_take", take)
    monkeypatch.setattr(type(stage.client.app.app.state.portal.receiver), "wake", lambda *_: None)
    put(stage, place, 0, content)
    receive_whole(stage.state, stop)
    assert result(stage, place)["state"] == "whole"
    assert len(result(stage, place)["members"]) == 2
    receive_whole(stage.state, threading.Event())
    assert len(taken) == 4
    found = result(stage, place)
    assert [m["outcome"] for m in found["members"]] == ["input"] * 4
    assert found["state"] == "done"


def test_what_nobody_goes_on_with_is_given_up(stage):
    place = begin(stage, 5).headers["location"]
    stage.clock.turn(47 * 3600)
    tidy(stage.state)
    with stage.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count(UPLOADS.c.id))).scalar_one() == 1
    stage.clock.turn(2 * 3600)
    tidy(stage.state)
    with stage.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count(UPLOADS.c.id))).scalar_one() == 0
    assert not (stage.state.settings.data / "uploads" / place.rpartition("/")[2]).exists()


def test_no_name_of_a_file_gets_into_the_trail(stage, mammogram):
    upload(stage, mammogram(0), filename="Secret^Person.dcm")
    with stage.database.read() as connection:
        assert "ecret" not in str(connection.execute(sa.select(AUDIT)).all())


PHOTOGRAPH = {"filename": "a.jpg", "patient": "P 1", "examDate": "2026-11-02"}


@pytest.fixture(scope="module")
def photographs(sample_dir) -> dict[str, bytes]:
    """A good photograph of a film, and one with a reflection, as JPEG."""
    pixels = np.asarray(read_image(next(sample_dir.rglob("*.dcm"))).pixels, np.float32)
    film = cv2.resize(pixels / pixels.max(), None, fx=0.35, fy=0.35, interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(5)
    made = {
        "good": photograph_of(film, rng, LEVELS["light"]),
        "glare": bad_photograph("glare", film, rng),
    }
    return {name: cv2.imencode(".jpg", one[..., ::-1])[1].tobytes() for name, one in made.items()}


def test_a_photograph_of_a_film_becomes_an_object_of_its_view(make_stage, photographs):
    stage = make_stage(intake={"film": True, "min_free_mb": 0})
    (member,) = upload(stage, photographs["good"], photograph="RMLO", **PHOTOGRAPH)["members"]
    assert (member["outcome"], member["reason"]) == ("input", None)
    with stage.database.read() as connection:
        (row,) = connection.execute(sa.select(INSTANCES)).all()
        exam = connection.execute(sa.select(EXAMS)).one()
        kept = connection.execute(sa.select(UPLOADS.c.photograph)).scalars().all()
    assert (row.view, exam.patient_id) == ("RMLO", "P 1")
    assert kept == [None]  # the name of the patient does not stay beside the upload
    image = read_dicom(stage.state.received.read(row.digest), "a", None)
    assert [c.name for c in image.cautions if c.doubt] == ["film_photograph"]
    again = upload(stage, photographs["good"], photograph="RMLO", **PHOTOGRAPH)["members"]
    assert again[0]["exam_id"] == exam.id
    with stage.database.read() as connection:
        assert len(connection.execute(sa.select(INSTANCES)).all()) == 1


def test_a_bad_photograph_says_why(make_stage, photographs):
    stage = make_stage(intake={"film": True, "min_free_mb": 0})
    (glare,) = upload(stage, photographs["glare"], photograph="RCC", **PHOTOGRAPH)["members"]
    assert (glare["outcome"], glare["reason"], glare["exam_id"]) == ("rejected", "glare", None)
    for content, reason in (
        (b"\0\0\0\x18ftypheic" + bytes(99), "HEIC"),
        (b"PK\3\4zip", "not read"),
    ):
        (member,) = upload(stage, content, photograph="RCC", **PHOTOGRAPH)["members"]
        assert member["outcome"] == "rejected"
        assert reason in member["reason"]
    (plain,) = upload(stage, photographs["good"], filename="a.jpg")["members"]
    assert plain["outcome"] == "rejected"


def test_side_view_patient_and_date_are_never_guessed(make_stage):
    stage = make_stage(intake={"film": True, "min_free_mb": 0})
    for wrong in ({"photograph": "CC"}, {"photograph": "RCC", "patient": " "}):
        done = begin(stage, 9, **{**PHOTOGRAPH, **wrong})
        assert (done.status_code, done.json()["code"]) == (422, "incomplete")
    done = begin(stage, 9, photograph="RCC", patient="P", examDate="2.11.2026")
    assert done.json()["code"] == "incomplete"


@pytest.mark.parametrize("day", ["1899-12-31", "2199-01-01", "0001-01-01"])
def test_films_are_neither_of_the_future_nor_older_than_mammography(make_stage, day):
    stage = make_stage(intake={"film": True, "min_free_mb": 0})
    for said in ({"photograph": "RCC"}, {}):
        done = begin(stage, 9, **{**PHOTOGRAPH, **said, "examDate": day})
        assert (done.status_code, done.json()["code"]) == (422, "exam_date")
    today = begin(stage, 9, **{**PHOTOGRAPH, "photograph": "RCC", "examDate": str(date.today())})
    assert today.status_code == 201


def test_a_photograph_is_of_the_patient_who_agreed(make_stage):
    stage = make_stage(intake={"film": True, "min_free_mb": 0})
    given = json.dumps(
        {
            "id": "consent-0123456789abcdef",
            "text_version": "1",
            "text_digest": "a" * 64,
            "language": "en",
            "name": "Jane Doe",
            "patient_id": "P 2",
            "birth_year": 1960,
            "given_at": "2026-01-01T08:00:00Z",
        }
    )
    done = begin(stage, 9, photograph="RCC", consent=given, **PHOTOGRAPH)
    assert (done.status_code, done.json()["code"]) == (422, "other_patient")


def test_a_node_without_films_takes_no_photograph_of_one(make_stage):
    stage = make_stage(intake={"film": False, "min_free_mb": 0})
    done = begin(stage, 9, photograph="RCC", **PHOTOGRAPH)
    assert (done.status_code, done.json()["code"]) == (422, "no_film")
