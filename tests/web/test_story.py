"""The whole application in a browser, step by step, as its people use it.

The steps follow each other and share the screens of five people; after one that failed the rest is
skipped. Each leaves a picture in out/web-shots, to be looked at.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO, StringIO

import pytest

from .conftest import ROOT, SHOTS, loopback
from .desk import one_step
from .story import HIGH, Story, read_the_rest, wait_analysed

UPLOADED = "Uploaded"


@pytest.fixture(scope="session")
def story(chromium, service, axe) -> Iterator[Story]:
    shots = SHOTS / service.folder.name.rstrip("0123456789")
    shutil.rmtree(shots, ignore_errors=True)
    made = Story(chromium, service, axe, shots)
    yield made
    for desk in made.desks.values():
        desk.context.close()


@pytest.fixture(autouse=True)
def step(request, story) -> Iterator[None]:
    yield from one_step(request, story, lambda: list(story.desks.values()))


def test_first_sign_in_with_a_new_password_and_a_second_factor(story) -> None:
    admin = story.desk("admin")
    assert "Research use only, not a medical device" in admin.page.inner_text("body")
    assert len(admin.rows()) == 4
    story.look(admin, "worklist")


def test_a_code_counts_once_and_a_session_can_end(story) -> None:
    admin = story.desk("admin")
    admin.page.get_by_role("button", name="Sign out").click()
    admin.page.get_by_role("heading", name="Sign in").wait_for()
    admin.sign_in()


def test_the_administrator_sets_how_a_site_reads(story) -> None:
    admin = story.desk("admin")
    admin.go("Sites")
    story.look(admin, "sites")
    admin.page.get_by_role("button", name="North Clinic (demonstration)").click()
    dialog = admin.page.get_by_role("dialog")
    dialog.get_by_label("Mode of reading").select_option("second_reader")
    dialog.get_by_label("Order of the worklist").select_option("triage")
    dialog.get_by_label("Double reading: two readers").check()
    story.look(admin, "site")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="hidden")


def test_every_page_of_administration(story) -> None:
    admin = story.desk("admin")
    for page in ("People", "Audit", "Upload", "Urgent", "Recalls"):
        admin.go(page)
        story.look(admin, page.lower())
    admin.page.get_by_role("link", name="Administrator").click()
    admin.page.get_by_role("heading", name="My account").wait_for()
    story.look(admin, "account")


def test_an_exam_is_uploaded_and_appears_on_the_worklist(story, tmp_path) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    try:
        from make_exam import make_exam
    finally:
        del sys.path[0]
    import mammolens

    case = mammolens.sample_exams() / "sfm-benign-0"
    files = make_exam(
        case,
        tmp_path / "exam",
        2,
        PatientName=f"{UPLOADED}^P_00173",
        PatientID="P_00173-2",
        StudyInstanceUID=f"2.25.{2**80 + 1}",
        AccessionNumber="UP-1",
        PatientBirthDate="",
        PatientAge=None,
    )
    reader = story.desk("north.reader")
    reader.go("Upload")
    reader.page.get_by_label("Choose files", exact=True).last.set_input_files(
        [str(file) for file in files]
    )
    reader.page.get_by_text("finished: 4").wait_for()
    story.look(reader, "upload")
    reader.go("Worklist")
    reader.page.get_by_role("link", name=UPLOADED).wait_for()
    story.look(reader, "worklist-with-upload")


def test_the_high_exam_is_at_the_top_and_hides_its_ai(story) -> None:
    reader = story.desk("north.reader")
    wait_analysed(story, reader)
    first = reader.rows()[0]
    assert HIGH in first
    assert "High" not in first.split("\t")[0]
    assert "hidden until your first answer" in first
    assert not any("P_00820" in row for row in reader.rows())  # that is an exam of South
    reader.open_exam(HIGH)
    story.exam = reader.page.url.rpartition("/")[2]
    said = reader.page.locator("body").inner_text()
    assert "CONSTRUCTED" in said
    assert "Research use only" in said
    for word in ("High at", "% at", "Highest"):
        assert word not in said
    story.look(reader, "high-exam-blinded")


def test_nothing_tells_a_blinded_reader_of_the_ai(story) -> None:
    reader = story.desk("north.reader")
    ask = reader.context.request
    exam = f"/api/v1/exams/{story.exam}"
    assert ask.get(f"{exam}/ai").status == 403
    for path in (exam, f"{exam}/viewer", f"{exam}/artefacts", "/api/v1/exams"):
        text = ask.get(path).text()
        assert '"malignant"' not in text
        assert '"category":"high"' not in text.replace(" ", "")


def test_the_hanging_steps_by_keyboard(story) -> None:
    reader = story.desk("north.reader")
    for key, title, panes in (("2", "right-pair", 2), ("4", "cc-pair", 2), ("5", "mlo-pair", 2)):
        reader.key(key)
        reader.wait_drawn(panes)
        story.look(reader, title)
    reader.key("c")
    reader.wait_drawn(2)
    story.look(reader, "prior-beside-current")
    reader.key("c", "6")
    reader.wait_drawn(1)
    story.look(reader, "one-to-one")
    reader.key("1")
    reader.wait_drawn(4)


def test_a_length_names_where_its_spacing_comes_from(story) -> None:
    reader = story.desk("north.reader")
    reader.key("2")
    reader.wait_drawn(2)
    reader.key("l")
    reader.drag(reader.panes()[0], (0.80, 0.40), (0.90, 0.48))
    length = re.compile(r"\d+\.\d mm \(stated spacing\)")
    reader.panes()[0].get_by_text(length).wait_for()
    reader.page.get_by_text("0.050 mm per pixel, stated: Lumisys Laser").first.wait_for()
    story.look(reader, "length")


def test_marks_with_descriptors(story) -> None:
    reader = story.desk("north.reader")
    reader.key("e")
    reader.drag(reader.panes()[0], (0.77, 0.36), (0.93, 0.52))
    panel = reader.page.get_by_role("region", name="Mark")
    panel.get_by_label("Finding").select_option("mass")
    panel.get_by_label("Margin").select_option("spiculated")
    story.look(reader, "mark")
    reader.page.locator(".findings").get_by_text("mass").wait_for()


def test_the_first_answer_is_locked_before_the_ai_is_shown(story) -> None:
    reader = story.desk("north.reader")
    reader.answer("4", "1", recall=True, comment="Spiculated mass in the right breast.")
    story.look(reader, "answer")
    reader.press("Lock my answer, show the AI", sure=True)
    reader.page.get_by_text("Your first answer is locked. The AI is shown now.").wait_for()
    reader.key("1")
    reader.wait_drawn(4)
    reader.page.locator(".exam-bar").get_by_text("High", exact=True).wait_for()
    story.look(reader, "ai-shown")


def test_outlines_and_map_are_shown_and_hidden(story) -> None:
    reader = story.desk("north.reader")
    strengths = reader.page.get_by_text(re.compile(r"^AI \d+\.\d×$"))
    reader.wait_count(strengths, 2)  # the lesion is found in both views of the right breast
    reader.key("a")
    reader.wait_count(strengths, 0)
    reader.key("a", "h")
    story.look(reader, "map-as-tint")
    reader.key("h", "n")
    story.look(reader, "map-as-contours")
    reader.key("n")


def test_the_reading_is_signed(story) -> None:
    reader = story.desk("north.reader")
    reader.press("Keep my answer and sign")
    reader.page.get_by_text("Signed by Nora North").wait_for()
    story.look(reader, "signed")


def test_a_second_reader_disagrees(story) -> None:
    second = story.desk("south.reader")
    second.page.get_by_role("link", name="P_00820").wait_for()  # of both sites
    story.look(second, "worklist")
    second.opening(lambda: second.page.goto(f"/#/exams/{story.exam}"))
    assert "Nora" not in second.page.locator(".reading").inner_text()
    second.answer("2", "1", recall=False, comment="I see a benign mass.")
    second.press("Lock my answer, show the AI", sure=True)
    second.press("Keep my answer and sign")
    second.page.get_by_text("Signed by Sam South").wait_for()
    second.page.locator(".exam-bar").get_by_text("Arbitration", exact=True).wait_for()
    story.look(second, "signed")


def test_an_arbiter_decides(story) -> None:
    arbiter = story.desk("arbiter")
    arbiter.go("Arbitration")
    story.look(arbiter, "arbitration-list")
    arbiter.open_exam(HIGH)
    both = arbiter.page.locator(".comparison").inner_text()
    assert "Nora North" in both
    assert "Sam South" in both
    assert "The readers disagree about the recall." in both
    story.look(arbiter, "arbitration")
    arbiter.press("Take the case")
    arbiter.answer("4", "1", recall=True, comment="Recall: spiculated mass, right.")
    arbiter.press("Sign", sure=True)
    arbiter.page.get_by_text("Signed by Ada Arbiter").wait_for()
    arbiter.page.locator(".exam-bar").get_by_text("Signed", exact=True).wait_for()
    story.look(arbiter, "decided")


def test_the_recall_is_listed(story) -> None:
    reader = story.desk("north.reader")
    reader.go("Recalls")
    assert HIGH in reader.page.locator("main").inner_text()
    story.look(reader, "recalls")


def test_the_referring_doctor_gets_a_pdf(story, tmp_path) -> None:
    pypdf = pytest.importorskip("pypdf")
    arbiter = story.desk("arbiter")
    link = arbiter.page.get_by_role("link", name="PDF")
    answer = arbiter.context.request.get(str(link.get_attribute("href")))
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/pdf"
    pages = pypdf.PdfReader(BytesIO(answer.body())).pages
    said = " ".join(page.extract_text() for page in pages)
    for words in ("Research use only", "CONSTRUCTED", "Ada Arbiter", "BI-RADS"):
        assert words in said
    (tmp_path / "report.pdf").write_bytes(answer.body())
    if draw := shutil.which("pdftoppm"):
        place = story.shots / "report"
        command = [draw, "-png", "-r", "70", str(tmp_path / "report.pdf"), str(place)]
        subprocess.run(command, check=True)


def test_readings_are_exported_and_evaluated(story, tmp_path) -> None:
    for name in ("north.reader", "south.reader"):
        read_the_rest(story.desk(name))
    admin = story.desk("admin")
    admin.go("Sites")
    row = admin.page.get_by_role("row", name="North Clinic")
    address = str(row.get_by_role("link", name="Table (CSV)").get_attribute("href"))
    answer = admin.context.request.get(f"{address}?paths=store&readers=first&answer=first")
    assert answer.status == 200
    rows = list(csv.DictReader(StringIO(answer.text())))
    assert len(rows) == 16  # four exams of North with four views
    graded = {(r["study_id"], r["laterality"]): r["birads"] for r in rows}
    assert sorted(graded.values()) == ["1"] * 7 + ["4"]
    # What pathology would say: of the constructed exam that the lesion was drawn in.
    for one in rows:
        one |= {"malignant": "1" if one["birads"] == "4" else "0", "split": "test"}
    table = tmp_path / "readings.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    command = loopback("served").run_mammolens(
        *("evaluate", "mammolens-2", "--manifest", table, "--split", "test"),
        *("--out", tmp_path / "evaluation"),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((tmp_path / "evaluation" / "metrics.json").read_text("utf-8"))
    readers = metrics["readers"]["birads"]["breast"]
    assert (readers["n"], readers["n_positive"], readers["n_without_reading"]) == (6, 1, 0)
    assert readers["readers"]["sensitivity"]["value"] == 1.0


def test_a_session_that_ends_in_the_viewer_loses_nothing(story) -> None:
    admin, reader = story.desk("admin"), story.desk("south.reader")
    reader.page.goto("/#/worklist")
    reader.open_exam("P_00820")
    reader.answer("1", "2", recall=False, comment="Before the end.")
    ask = admin.context.request
    csrf = ask.get("/api/v1/session").json()["csrf_token"]
    people = ask.get("/api/v1/people").json()
    number = next(one["id"] for one in people if one["name"] == reader.name)
    ended = ask.delete(f"/api/v1/people/{number}/sessions", headers={"x-csrf-token": csrf})
    assert ended.json() == {"ended": 1}
    words = "Written after the session had ended."
    reader.page.locator(".reading").get_by_label("Comment").fill(words)
    reader.page.get_by_role("dialog", name="Your session has ended").wait_for()
    story.look(reader, "session-ended")
    reader.come_back()
    reader.page.locator(".reading").get_by_text("Draft saved").wait_for()
    reader.opening(reader.page.reload)
    assert reader.page.locator(".reading").get_by_label("Comment").input_value() == words
    story.look(reader, "session-begun-again")


def test_the_audit_trail_holds_all_of_it(story) -> None:
    admin = story.desk("admin")
    admin.go("Audit")
    admin.page.get_by_role("button", name="Verify the chain").click()
    admin.page.get_by_text("The chain is whole").wait_for()
    story.look(admin, "audit-verified")
    admin.go("Worklist")
    assert "High" in admin.rows()[0]
    story.look(admin, "worklist-at-the-end")


def test_nobody_is_kept_out(story) -> None:
    assert story.barriers == {}


def test_no_page_made_an_error_or_asked_another_host(story) -> None:
    for desk in story.desks.values():
        assert desk.errors == []
        assert desk.strangers == []
