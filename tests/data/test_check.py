"""Every trap is planted in synthetic pictures and found; a clean table yields nothing."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens import DISCLAIMER, cli
from mammolens.core import Laterality, ViewPosition
from mammolens.data import _check_report
from mammolens.data._same_pictures import TURNS, describe_texture, find_same_pictures
from mammolens.data.check import CheckReport, Severity, check_manifest, write_report
from mammolens.data.lesions import Lesion
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.errors import StorageError
from mammolens.preprocess import find_breast

ROWS, COLS = 192, 144
PATIENTS = 24


def breast(seed: int, laterality: Laterality = Laterality.LEFT, size: int = ROWS) -> np.ndarray:
    """A half ellipse of tissue on black, chest wall at the side's edge: uint8 (rows, columns)."""
    rng = np.random.default_rng(seed)
    rows, cols = size, size * COLS // ROWS
    row, col = np.indices((rows, cols))
    centre, tall, wide = rng.uniform(0.46, 0.54), rng.uniform(0.3, 0.38), rng.uniform(0.6, 0.75)
    inside = ((row / rows - centre) / tall) ** 2 + (col / cols / wide) ** 2 < 1
    grain = sum(
        weight * cv2.GaussianBlur(rng.standard_normal((rows, cols)), (0, 0), sigma) * sigma
        for weight, sigma in ((12.0, 1.5), (14.0, 4.0), (14.0, 10.0))
    )
    picture = np.where(inside, np.clip(120 + 2.0 * grain, 45, 240), 3 + rng.integers(0, 3))
    picture = cv2.GaussianBlur(picture.astype(np.uint8), (0, 0), 0.7)
    return picture if laterality is Laterality.LEFT else np.ascontiguousarray(picture[:, ::-1])


def save(path: Path, picture: np.ndarray, *options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture, list(options))
    return path


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> tuple[Record, ...]:
    """24 patients, a left and a right picture each; a third of the patients have cancer, in both
    breasts, so that nothing but the label differs."""
    folder = tmp_path_factory.mktemp("clean")
    records = []
    for number in range(PATIENTS):
        for laterality in Laterality:
            name = f"p{number:02d}_{laterality.value}_CC"
            path = save(folder / f"{name}.png", breast(len(records), laterality))
            malignant = number % 3 == 0
            records.append(
                Record(
                    "plain",
                    name,
                    f"p{number:02d}",
                    path,
                    laterality,
                    ViewPosition.CC,
                    tumour=malignant,
                    malignant=malignant,
                    age_years=40.0 + number,
                    machine=("one", "two")[number // 12],
                    split=(Split.TRAIN, Split.TEST)[number % 4 == 3],
                )
            )
    return tuple(records)


def check(records: Iterable[Record], **options: object) -> CheckReport:
    return check_manifest(Manifest.of(records), **options)


def codes(report: CheckReport) -> dict[str, Severity]:
    return {found.code: found.severity for found in report.findings}


def the(report: CheckReport, code: str):
    (found,) = [f for f in report.findings if f.code == code]
    return found


def repainted(
    records: Iterable[Record],
    folder: Path,
    change: Callable[[np.ndarray], np.ndarray],
    suffix: str = ".png",
) -> tuple[Record, ...]:
    """The same rows, with changed pictures of the malignant ones."""
    changed = []
    for record in records:
        if record.malignant:
            picture = change(cv2.imread(str(record.path), cv2.IMREAD_GRAYSCALE))
            record = replace(record, path=save(folder / f"{record.image_id}{suffix}", picture))
        changed.append(record)
    return tuple(changed)


def test_a_clean_table_yields_nothing(clean) -> None:
    report = check(clean, jobs=2)
    assert report.findings == ()
    assert (report.n_read, report.n_images, report.n_patients) == (48, 48, 24)
    assert report.sound
    assert report.exit_code == 0
    assert {p.trait for p in report.probes} >= {"border brightness", "orientation", "machine"}
    assert all(p.auc.low is not None and p.auc.low < 0.6 for p in report.probes)


def test_progress_is_reported(clean) -> None:
    told: list[tuple[int, int]] = []
    check(clean[:3], on_progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def frame(picture: np.ndarray) -> np.ndarray:
    picture = picture.copy()
    picture[:4], picture[-4:] = 200, 200
    return picture


@pytest.mark.parametrize(
    ("change", "suffix", "code"),
    [
        (frame, ".png", "border_tells_label"),
        (lambda p: np.ascontiguousarray(np.rot90(p)), ".png", "orientation_tells_label"),
        (lambda p: cv2.resize(p, None, fx=1.5, fy=1.5), ".png", "size_tells_label"),
        (lambda p: cv2.resize(p, None, fx=1.0, fy=1.2), ".png", "size_tells_label"),
        (lambda p: p, ".jpg", "file_form_tells_label"),
        (lambda p: p.astype(np.uint16) * 257, ".png", "file_form_tells_label"),
        (lambda p: 255 - p, ".png", "inversion_tells_label"),
    ],
    ids=["border", "turned", "larger", "aspect", "compressed", "deeper", "inverted"],
)
def test_a_trait_that_tells_the_label_is_an_error(clean, tmp_path, change, suffix, code) -> None:
    report = check(repainted(clean, tmp_path, change, suffix))
    found = the(
        replace(report, findings=tuple(f for f in report.findings if "malignant" in f.message)),
        code,
    )
    assert found.severity is Severity.ERROR
    assert found.figures["low"] > 0.75
    assert report.exit_code == 2


def test_a_rotation_in_the_table_is_not_a_leak(clean, tmp_path) -> None:
    turned = repainted(clean, tmp_path, lambda p: np.ascontiguousarray(np.rot90(p)))
    upright = [replace(r, rotation_deg=90) if r.malignant else r for r in turned]
    assert "orientation_tells_label" not in codes(check(upright))
    assert "border_tells_label" not in codes(check(upright))


def test_inverted_pictures_are_counted_and_still_compared(clean, tmp_path) -> None:
    picture = cv2.imread(str(clean[0].path), cv2.IMREAD_GRAYSCALE)
    path = save(tmp_path / "dark.png", 255 - picture)
    report = check([*clean, replace(clean[0], image_id="dark", path=path)])
    assert codes(report) == {
        "inverted_pictures": Severity.NOTE,
        "copy_within_patient": Severity.WARNING,
    }
    assert the(report, "inverted_pictures").images == ("plain/dark",)


def test_a_patient_on_two_sides(clean) -> None:
    moved = replace(clean[0], split=Split.VALIDATION)
    report = check([moved, *clean[1:]])
    assert codes(report) == {"patient_on_two_sides": Severity.ERROR}
    assert the(report, "patient_on_two_sides").patients == ("plain/p00",)
    partly = check([replace(clean[0], split=None), *clean[1:]])
    assert codes(partly) == {"patient_partly_split": Severity.ERROR}


TURNED = [
    lambda p, k=k, m=m: np.ascontiguousarray(np.rot90(p[:, ::-1] if m else p, k))
    for m in (False, True)
    for k in range(4)
]
PROCESSED = {
    "smaller": lambda p: cv2.resize(p, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    "squeezed": lambda p: cv2.resize(p, (150, 150), interpolation=cv2.INTER_AREA),
    "darker": lambda p: (255 * (p / 255.0) ** 1.5).astype(np.uint8),
    "equalised": lambda p: cv2.createCLAHE(2.0, (4, 4)).apply(p),
    "cropped": lambda p: np.ascontiguousarray(p[9:-5, :-12]),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [*TURNED, *PROCESSED.values()],
    ids=[*(turn.replace("°", "") for turn in TURNS), *PROCESSED],
)
def test_a_patient_in_two_data_sets_is_found_by_the_picture(clean, tmp_path, change) -> None:
    original = clean[4]
    picture = change(cv2.imread(str(original.path), cv2.IMREAD_GRAYSCALE))
    path = save(tmp_path / "x.jpg", picture, cv2.IMWRITE_JPEG_QUALITY, 70)
    twin = Record("other", "x", "w9", path, tumour=False, malignant=False, split=Split.TRAIN)
    report = check([*clean, twin])
    found = the(report, "copy_across_patients")
    assert found.severity is Severity.ERROR
    assert found.images == ("plain/p02_L_CC", "other/x")
    assert found.patients == ("plain/p02", "other/w9")
    known = {("plain", "p02"): "anna", ("other", "w9"): "anna"}
    assert "copy_across_patients" not in codes(check([*clean, twin], same_person=known))


def test_copies_across_sides_and_with_other_labels(clean) -> None:
    twin = replace(clean[4], image_id="x", patient_id="w9", split=Split.TEST)
    report = check([*clean, twin])
    assert the(report, "copy_across_sides").details == ("plain/p02_L_CC = plain/x: the same file",)
    contrary = replace(clean[4], image_id="x", patient_id="w9", tumour=True, malignant=True)
    assert codes(check([*clean, contrary]))["copy_with_other_label"] is Severity.ERROR


@pytest.mark.slow
def test_different_pictures_are_not_reported_as_copies() -> None:
    textures = []
    for seed in range(1000, 1250):
        grey = (breast(seed, size=128) / 255.0).astype(np.float32)
        textures.append(describe_texture(grey, find_breast(grey)))
    assert find_same_pictures(textures) == ()
    assert find_same_pictures([]) == ()
    (same,) = find_same_pictures([*textures, textures[7]])
    assert (same.first, same.second, same.turn, same.bits) == (7, 250, TURNS[0], 0)
    assert same.correlation == pytest.approx(1.0)


def test_copies_by_name(clean, tmp_path) -> None:
    path = save(tmp_path / "p01_L_CC (2).png", breast(999))
    report = check([*clean, replace(clean[2], image_id="again", path=path)])
    assert codes(report) == {"numbered_copies": Severity.WARNING}
    assert the(report, "numbered_copies").images == ("plain/again",)


def test_a_machine_of_one_class(clean) -> None:
    bound = [replace(r, machine="DBA" if r.malignant else "other") for r in clean]
    report = check(bound)
    found = [f for f in report.findings if f.code == "machine_of_one_class"]
    assert [(f.severity, f.message.split("'")[1]) for f in found] == [
        (Severity.ERROR, "DBA"),
        (Severity.WARNING, "other"),
    ]
    assert codes(report)["machine_tells_label"] is Severity.ERROR


def test_a_small_machine_of_one_class_may_be_chance(clean) -> None:
    rare = [replace(r, machine="rare") if r.patient_id == "p00" else r for r in clean]
    assert check(rare).findings == ()
    chosen = ("p00", "p03", "p06", "p09")
    odd = [replace(r, machine="odd" if r.patient_id in chosen else "one") for r in clean]
    assert codes(check(odd))["machine_of_one_class"] is Severity.WARNING


def test_the_label_is_the_source(clean) -> None:
    report = check([replace(r, dataset="ill" if r.malignant else "well") for r in clean])
    assert codes(report)["label_is_source"] is Severity.ERROR
    assert codes(report)["source_tells_label"] is Severity.WARNING
    assert codes(report)["one_class"] is Severity.WARNING


def test_one_class_and_unknown_labels(clean) -> None:
    report = check(replace(r, malignant=None, tumour=True) if r.malignant else r for r in clean)
    assert codes(report) == {"one_class": Severity.WARNING}
    report = check(replace(r, malignant=None, tumour=None) for r in clean)
    assert codes(report) == {"labels_unknown": Severity.NOTE}
    assert report.exit_code == 0


def test_breasts_with_two_labels_and_impossible_ages(clean) -> None:
    second = replace(clean[0], image_id="second", path=clean[0].path.with_name("second.png"))
    second = replace(second, tumour=True, malignant=False, view_position=ViewPosition.MLO)
    save(second.path, breast(998))
    assert codes(check([*clean, second])) == {"breast_with_two_labels": Severity.WARNING}
    old = replace(clean[0], age_years=450.0)
    assert the(check([old, *clean[1:]]), "impossible_age").details == ("plain/p00_L_CC: 450",)


def marked(tmp_path: Path) -> dict[str, tuple[Record, str]]:
    """A row with an impossible lesion for each code."""
    path = save(tmp_path / "own.png", breast(997))
    sick = Record("plain", "own", "w", path, tumour=True, malignant=True)
    other = np.zeros((ROWS, COLS), np.uint8)
    other[50:60, 20:30] = 255
    small = save(tmp_path / "small.png", cv2.resize(other, (70, 90)))
    empty = save(tmp_path / "empty.png", np.zeros_like(other))
    full = save(tmp_path / "full.png", np.full_like(other, 255))
    good = Lesion(box_source_px=(50.0, 20.0, 60.0, 30.0))
    flat = Lesion(box_source_px=(5.0, 5.0, 5.0, 9.0))
    far = Lesion(box_source_px=(900.0, 10.0, 950.0, 20.0))
    well = replace(sick, malignant=False)
    return {
        "lesion_outside": replace(sick, lesions=(good, far)),
        "lesion_outside ": replace(sick, lesion_centre_px=(90.0, 700.0)),
        "lesion_without_extent": replace(sick, lesions=(flat,)),
        "lesion_without_extent ": replace(sick, lesions=(Lesion(circle_source_px=(9, 9, 0)),)),
        "lesion_on_normal": replace(sick, tumour=False, malignant=False, lesions=(good,)),
        "lesion_contradicts_label": replace(well, lesions=(replace(good, malignant=True),)),
        "mask_unreadable": replace(sick, lesions=(Lesion(mask_path=tmp_path / "no.png"),)),
        "mask_of_other_size": replace(sick, lesions=(Lesion(mask_path=small),)),
        "mask_empty": replace(sick, lesions=(Lesion(mask_path=empty),)),
        "mask_covers_all": replace(sick, lesions=(Lesion(mask_path=full),)),
    }


def test_impossible_lesions(tmp_path) -> None:
    for code, record in marked(tmp_path).items():
        found = [f for f in check([record]).findings if f.code != "one_class"]
        assert [f.code for f in found] == [code.strip()], code
        mild = code == "mask_covers_all"
        assert found[0].severity is (Severity.WARNING if mild else Severity.ERROR)
        assert found[0].details[0].startswith("plain/own: ")


def test_possible_lesions(tmp_path) -> None:
    mask = np.zeros((ROWS, COLS), np.uint8)
    mask[50:60, 20:30] = 255
    lesions = (
        Lesion(box_source_px=(50.0, 20.0, 60.0, 30.0), malignant=True),
        Lesion(circle_source_px=(4.0, 30.0, 9.0)),
        Lesion(mask_path=save(tmp_path / "mask.png", mask)),
    )
    path = save(tmp_path / "own.png", breast(997))
    record = Record("plain", "own", "w", path, malignant=True, lesions=lesions)
    assert set(codes(check([record]))) == {"one_class"}


def test_missing_and_damaged_files_are_listed_and_the_rest_is_checked(clean, tmp_path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    gone = replace(clean[0], image_id="gone", path=tmp_path / "gone.png")
    text = replace(clean[1], image_id="text", path=tmp_path / "text.png")
    blank = save(tmp_path / "blank.png", np.full((ROWS, COLS), 9, np.uint8))
    flat = replace(clean[2], image_id="flat", path=blank)
    report = check([*clean, gone, text, flat])
    assert the(report, "missing_file").images == ("plain/gone",)
    assert the(report, "unreadable_image").images == ("plain/text", "plain/flat")
    assert "empty" in the(report, "unreadable_image").details[1]
    assert (report.n_read, report.exit_code) == (48, 3)
    with_error = check([*clean, gone, replace(clean[0], image_id="again")])
    assert set(codes(with_error)) == {"missing_file", "copy_within_patient"}


def test_a_picture_without_a_breast(clean, tmp_path) -> None:
    rng = np.random.default_rng(0)
    specks = np.where(rng.random((ROWS, COLS)) < 0.02, rng.integers(60, 255, (ROWS, COLS)), 4)
    specks = specks.astype(np.uint8)
    path = save(tmp_path / "specks.png", specks)
    report = check([*clean, replace(clean[0], image_id="specks", path=path)])
    assert codes(report) == {"no_breast": Severity.WARNING}


@pytest.mark.slow
def test_sides_against_pictures_and_names(clean) -> None:
    opposite = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT}
    wrong = replace(clean[0], laterality=Laterality.RIGHT)
    report = check([wrong, *clean[1:]])
    assert codes(report) == {
        "laterality_contradicts_file": Severity.WARNING,
        "side_contradicts_picture": Severity.WARNING,
    }
    assert the(report, "side_contradicts_picture").images == ("plain/p00_L_CC",)
    swapped = [replace(r, laterality=opposite[r.laterality], machine=None) for r in clean]
    assert the(check(swapped), "mirrored_set").figures["share"] == 1.0
    partly = check([*(r for r in swapped if r.age_years < 52), *clean[24:]])
    assert the(partly, "mirrored_set").figures["n"] == 24
    half = [replace(r, laterality=Laterality.LEFT) for r in clean]
    assert codes(check(half))["sides_unrelated"] is Severity.NOTE
    view = check([replace(clean[0], view_position=ViewPosition.MLO), *clean[1:]])
    assert codes(view) == {"view_contradicts_file": Severity.WARNING}


def test_one_case_number_under_two_patients(clean, tmp_path) -> None:
    records = []
    for n, dataset in enumerate(("mass-train", "calc-test")):
        name = ("Mass-Training", "Calc-Test")[n] + "_P_00038_LEFT_CC"
        path = save(tmp_path / dataset / f"{name}.png", breast(2000 + n))
        record = Record(dataset, name, "P_00038", path, malignant=False)
        records.append(replace(record, split=(Split.TRAIN, Split.TEST)[n]))
    found = the(check([*clean, *records]), "one_case_two_patients")
    assert found.severity is Severity.ERROR
    assert found.details == ("P_00038: calc-test/P_00038, mass-train/P_00038",)
    same_side = [replace(r, split=Split.TRAIN) for r in records]
    assert codes(check([*clean, *same_side]))["one_case_two_patients"] is Severity.WARNING
    known = {(r.dataset, r.patient_id): "eve" for r in same_side}
    assert "one_case_two_patients" not in codes(check([*clean, *same_side], same_person=known))


def test_sources_that_show_the_same_patients(clean) -> None:
    named = [replace(r, dataset=("ddsm", "cbis_masses")[r.age_years > 50]) for r in clean]
    found = the(check(named), "same_women_in_two_sources")
    assert found.message == "cbis_masses and ddsm show the same patients under other numbers"


@pytest.fixture
def call(capsys, monkeypatch):
    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mammolens", "datasets", "check", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        code = stop.value.code
        return (code if isinstance(code, int) else 0), capsys.readouterr().out

    return run


def write_table(path: Path, records: Iterable[Record]) -> Path:
    rows = ["dataset,image_id,patient_id,path,laterality,view,malignant,age,split"]
    for r in records:
        side, view = r.laterality.value, r.view_position.value
        label, split = int(r.malignant), r.split.value
        rows.append(f"plain,{r.image_id},{r.patient_id},{r.path},{side},{view},{label},50,{split}")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_the_command_shows_and_writes_what_was_found(clean, tmp_path, call) -> None:
    leaking = [replace(clean[0], split=Split.TEST), *clean[1:]]
    table, out = write_table(tmp_path / "t.csv", leaking), tmp_path / "out" / "found.json"
    code, shown = call(table, "--json", out, "--jobs", 2)
    assert code == 2
    assert "patient_on_two_sides" in shown
    assert "1 error, no warnings, no notes" in shown
    assert DISCLAIMER in shown
    report = json.loads(out.read_text())
    assert report["findings"][0]["patients"] == ["plain/p00"]
    assert report["disclaimer"] == DISCLAIMER
    assert len(report["probes"]) >= 4
    code, shown = call(write_table(tmp_path / "clean.csv", clean))
    assert code == 0
    assert "no errors, no warnings, no notes" in shown


def test_the_command_takes_a_table_of_persons(clean, tmp_path, call) -> None:
    twin = replace(clean[0], image_id="x", patient_id="w9")
    table = write_table(tmp_path / "t.csv", [*clean, twin])
    persons = tmp_path / "persons.csv"
    persons.write_text("dataset,patient_id,person_id\nplain,p00,anna\nplain,w9,anna\n")
    assert call(table)[0] == 2
    assert call(table, "--persons", persons)[0] == 0


def test_a_report_that_cannot_be_written_is_an_error(clean, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(check(clean[:2]), tmp_path / "file" / "r.json")


def test_every_entry_of_the_findings_is_used_and_whole():
    folder = Path(_check_report.__file__).parent
    entries = tomllib.loads((folder / "check_findings.toml").read_text("utf-8"))
    source = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    for code, entry in entries.items():
        assert set(entry) == {"severity", "message", "remedy"}, code
        Severity(entry["severity"])
        assert f'"{code}"' in source.replace("{code}_contradicts_file", code), code
    for code in re.findall(r'finding\(\s*"(\w+)"', source):
        assert code in entries
