"""INbreast: names, tables, outlines, and labels that are BI-RADS."""

from __future__ import annotations

import csv
import plistlib
import sys
from pathlib import Path

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.data.lesions import LesionKind
from mammolens.data.sources import build_source
from mammolens.data.sources.inbreast import build
from mammolens.errors import ConfigError, InvalidManifest

SHARED = Path(__file__).parents[4] / "shared" / "data"
NATIVE = SHARED / "native" / "inbreast"
WOMAN, OTHER = "6c613a14b80a8591", "8d0b9620c53c0268"
HEAD = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
ROWS = [
    ("R", "CC", "20000001", "1", "1", WOMAN, "CC"),
    ("L", "CC", "20000002", "1", "2", WOMAN, "CC"),
    ("R", "MLO", "20000003", "4", "3", WOMAN, "ML"),
    ("L", "MLO", "20000004", "   ", "4a", WOMAN, "ML"),
    ("L", "FB", "20000005", "2", "6", OTHER, "CC"),
]


def table(rows=ROWS) -> str:
    lines = [f"removed;removed;{r[0]};{r[1]};200901;{r[2]};{r[3]};{r[4]}" for r in rows]
    return "\r\n".join([HEAD, *lines]) + "\r\n"


def outlines(*marks: tuple[str, list[tuple[float, float]]]) -> bytes:
    """An OsiriX property list, as INbreast's: points are (x, y)."""
    regions = [
        {
            "Area": 0.1,
            "Center": "(0.0, 0.0, 0.0)",
            "IndexInImage": index,
            "Name": name,
            "NumberOfPoints": len(points),
            "Point_mm": ["(0.0, 0.0, 0.0)"] * len(points),
            "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
            "Type": 15 if len(points) > 1 else 19,
        }
        for index, (name, points) in enumerate(marks)
    ]
    image = {"ImageIndex": 0, "NumberOfROIs": len(regions), "ROIs": regions}
    return plistlib.dumps({"Images": [image]}, fmt=plistlib.FMT_XML)


@pytest.fixture
def tree(tmp_path, make_dicom) -> Path:
    root = tmp_path / "INbreast Release 1.0"
    for side, _, image, _, _, woman, named in ROWS:
        name = f"{image}_{woman}_MG_{side}_{named}_ANON.dcm"
        make_dicom.save(root / "AllDICOMs" / name)
    (root / "INbreast.csv").write_text(table())
    (root / "AllXML").mkdir()
    polygon = ("Mass", [(30.2, 10.5), (50.7, 12.0), (41.0, 40.9)])
    point = ("Calcification", [(5.5, 6.5)])
    (root / "AllXML" / "20000002.xml").write_bytes(outlines(polygon, point))
    (root / "AllXML" / "20000005.xml").write_bytes(outlines(("Espiculated Region", polygon[1])))
    unnamed = ("Unnamed", [(1.0, 2.0)])
    (root / "AllXML" / "20000004.xml").write_bytes(outlines(polygon, unnamed))
    return root


def by_id(manifest):
    return {record.image_id: record for record in manifest.records}


def test_the_release_as_it_is_unpacked(tree):
    manifest = build_source("inbreast", tree)
    found = by_id(manifest)
    assert manifest.cautions == ()
    labels = [(r.tumour, r.malignant, r.birads, r.density) for r in found.values()]
    assert labels == [
        (False, False, "1", "1"),
        (True, False, "2", "1"),
        (True, None, "3", "4"),
        (True, True, "4a", None),
        (True, True, "6", "2"),
    ]
    third = found["20000003"]
    assert (third.laterality, third.view_position) == (Laterality.RIGHT, ViewPosition.MLO)
    assert found["20000005"].view_position is ViewPosition.FB
    assert {r.patient_id for r in found.values()} == {WOMAN, OTHER}
    assert third.study_id == f"{WOMAN}_200901"
    assert third.path.is_file()


def test_outlines_become_boxes(tree):
    found = by_id(build(tree))
    mass, calcification = found["20000002"].lesions
    assert (mass.kind, mass.malignant) == (LesionKind.MASS, False)
    assert mass.box_source_px == (10, 30, 41, 51)
    assert calcification.box_source_px == (6, 5, 7, 6)
    assert calcification.kind is LesionKind.CALCIFICATION
    assert found["20000001"].lesions == ()


def test_of_several_lesions_on_a_suspicious_image_none_is_called_malignant(tree):
    found = by_id(build(tree))
    assert [lesion.malignant for lesion in found["20000005"].lesions] == [True]
    assert [(x.kind, x.malignant) for x in found["20000004"].lesions] == [
        (LesionKind.MASS, None),
        (None, None),
    ]


def test_missing_files_are_counted_and_named(tree):
    dicoms = tree / "AllDICOMs"
    (dicoms / f"20000001_{WOMAN}_MG_R_CC_ANON.dcm").unlink()
    (dicoms / f"20000009_{WOMAN}_MG_R_CC_ANON.dcm").write_bytes(b"-")
    (dicoms / "20000003.png").write_bytes(b"-")
    (tree / "AllXML" / "20000004.xml").write_text("<plist>")
    manifest = build(tree)
    assert {c.name: c.message.split()[0] for c in manifest.cautions} == {
        "women_unknown": "1",
        "images_unlisted": "1",
        "images_missing": "1",
        "outlines_unreadable": "1",
    }
    assert "20000001" in " ".join(map(str, manifest.cautions))
    assert len(manifest.records) == 4


def test_a_normal_image_with_an_outline_is_not_called_normal(tree):
    (tree / "AllXML" / "20000001.xml").write_bytes(outlines(("Mass", [(1, 1), (2, 2), (3, 1)])))
    manifest = build(tree)
    record = by_id(manifest)["20000001"]
    assert (record.tumour, record.malignant, len(record.lesions)) == (None, None, 1)
    assert "normal_with_outlines" in [caution.name for caution in manifest.cautions]


def test_a_side_that_name_and_table_dispute_is_unknown(tree):
    (tree / "INbreast.csv").write_text(table().replace("R;CC", "L;CC"))
    manifest = build(tree)
    assert by_id(manifest)["20000001"].laterality is None
    assert "laterality_disagrees" in [caution.name for caution in manifest.cautions]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (table().replace(";4a", ";7x"), r"INbreast\.csv.*7x.*\[Bi-Rads\].*20000004"),
        (table().replace("Bi-Rads", "BR"), "columns are missing: Bi-Rads"),
        (table([*ROWS, (*ROWS[0][:4], "5", *ROWS[0][5:])]), "contradict"),
        ("", "columns are missing"),
    ],
)
def test_a_faulty_table_is_refused_by_name(tree, text, words):
    (tree / "INbreast.csv").write_text(text)
    with pytest.raises(InvalidManifest, match=words):
        build(tree)


def test_without_table_or_images_there_is_no_manifest(tree, tmp_path):
    (tree / "INbreast.csv").unlink()
    with pytest.raises(InvalidManifest, match=r"INbreast\.xls"):
        build(tree)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "INbreast.csv").write_text(table())
    with pytest.raises(InvalidManifest, match="none of the source"):
        build(empty)


def test_an_xls_without_xlrd_says_what_to_do(tree, monkeypatch):
    (tree / "INbreast.csv").rename(tree / "INbreast.xls")
    monkeypatch.setitem(sys.modules, "xlrd", None)
    with pytest.raises(ConfigError, match=r"xlrd.*mammolens\[data\]"):
        build(tree)


def test_a_damaged_xls_is_refused(tree):
    pytest.importorskip("xlrd", reason="xlrd is not installed: pip install 'mammolens[data]'")
    (tree / "INbreast.csv").rename(tree / "INbreast.xls")
    with pytest.raises(InvalidManifest, match=r"INbreast\.xls.*cannot be read"):
        build(tree)


@pytest.mark.skipif(not NATIVE.is_dir(), reason="INbreast's own tables are not here")
@pytest.mark.parametrize("name", ["INbreast.csv", "INbreast.xls"])
def test_the_real_tables_say_what_was_derived_from_them(tmp_path, name):
    if name.endswith(".xls"):
        pytest.importorskip("xlrd", reason="xlrd is not installed: pip install 'mammolens[data]'")
    with (SHARED / "inbreast" / "manifest.csv").open(newline="") as stream:
        wanted = {row["image_id"]: row for row in csv.DictReader(stream)}
    (tmp_path / name).symlink_to(NATIVE / name)
    for image, row in wanted.items():
        view = {"MLO": "ML"}.get(row["view"], row["view"])
        picture = f"{image}_{row['patient_id']}_MG_{row['laterality']}_{view}_ANON.dcm"
        (tmp_path / picture).touch()
    manifest = build(tmp_path)
    assert len(manifest.records) == len(wanted) == 211
    assert str(manifest.cautions[0]).startswith("images_missing: 199 ")
    for record in manifest.records:
        row = wanted[record.image_id]
        flags = {None: "", True: "1", False: "0"}
        assert (flags[record.tumour], flags[record.malignant]) == (row["tumour"], row["malignant"])
        assert (record.laterality.value, record.view_position.value) == (
            *(row["laterality"], row["view"]),
        )
        assert (record.birads, record.density or "") == (row["birads"].lower(), row["density"])
