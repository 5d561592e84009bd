"""Folder trees in the layout of each source, with drawn pictures that show no patient."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]


def drawn(rows: int = 96, columns: int = 80, seed: int = 0, wall: str = "left") -> Grey:
    """An oblique view: a half disc at the wall, its muscle a bright corner at the upper end."""
    y, x = np.mgrid[:rows, :columns]
    across = x if wall == "left" else columns - 1 - x
    inside = np.hypot((y - rows / 2) / (rows / 2), across / columns) < 0.95
    muscle = y / rows + across / columns < 0.45
    noise = np.random.default_rng(seed).integers(0, 20, (rows, columns))
    return np.where(muscle, 220, np.where(inside, 90 + noise, 0)).astype(np.uint8)


def save(path: Path, pixels: Grey | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), drawn() if pixels is None else pixels)
    return path


def table(path: Path, head: str, rows: Iterable[Sequence[object]], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(head.split(","))
        writer.writerows(rows)
    return path


def mias(root: Path, _dicom: ModuleType, _ljpeg: ModuleType) -> None:
    lines = [
        "INFORMATION:",
        "mdb001 G CIRC B 535 425 197",
        "mdb002 G NORM ",
        "mdb003 D CIRC B 100 900 20",
        "mdb003 D SPIC M 300 424 30",
        "mdb004 D CALC M *NOTE 3* ",
        "mdb005 F CIRC B",
        "mdb006 F NORM ",
    ]
    root.mkdir(exist_ok=True)
    (root / "Info.txt").write_text("\n".join(lines) + "\n", encoding="latin-1")
    for number in (1, 2, 3, 4, 5):
        save(root / f"mdb{number:03d}.pgm", drawn(1024, 1024, number))


RSNA_HEAD = (
    "site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,"
    "density,machine_id,difficult_negative_case"
)
RSNA_ROWS = [
    (2, 10006, 462822612, "L", "CC", 61.0, 0, 0, 0, "", 0, "", 29, False),
    (2, 10006, 1459541791, "L", "MLO", 61.0, 0, 0, 0, 0.0, 0, "B", 29, False),
    (1, 10130, 388811999, "R", "AT", "", 1, 1, 1, "", 0, "C", 49, False),
]


def rsna(root: Path, dicom: ModuleType, _ljpeg: ModuleType) -> None:
    table(root / "train.csv", RSNA_HEAD, RSNA_ROWS)
    for row in RSNA_ROWS:
        dicom.save(root / "train_images" / str(row[1]) / f"{row[2]}.dcm", PatientID=str(row[1]))


VINDR_HEAD = (
    "study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,"
    "breast_density,split"
)
VINDR_ROWS = [
    ("s1", "e1", "a1", "L", "CC", 96, 80, "BI-RADS 4", "DENSITY C", "training"),
    ("s1", "e1", "a2", "R", "MLO", 96, 80, "BI-RADS 1", "DENSITY C", "training"),
    ("s2", "e2", "a3", "L", "MLO", 96, 80, "BI-RADS 3", "DENSITY B", "test"),
    ("s2", "e2", "a4", "R", "MLO", 96, 80, "BI-RADS 2", "DENSITY B", "test"),
]


def vindr(root: Path, dicom: ModuleType, _ljpeg: ModuleType) -> None:
    table(root / "breast-level_annotations.csv", VINDR_HEAD, VINDR_ROWS)
    findings = [
        (*VINDR_ROWS[0], "['Skin Thickening', 'Mass']", "BI-RADS 4", 10.5, 20.0, 30.5, 50.0),
        (*VINDR_ROWS[1], "['No Finding']", "", "", "", "", ""),
        (*VINDR_ROWS[2], "['Focal Asymmetry']", "BI-RADS 3", 1.0, 2.0, 3.0, 4.0),
    ]
    head = f"{VINDR_HEAD},finding_categories,finding_birads,xmin,ymin,xmax,ymax"
    table(root / "finding_annotations.csv", head, findings)
    for study, _, image, *_ in VINDR_ROWS:
        dicom.save(root / "images" / study / f"{image}.dicom", PatientID=None)


CMMD_HEAD = "ID1,LeftRight,Age,number,abnormality,classification,subtype"
CMMD_ROWS = [
    ("D1-0001", "R", 44, 2, "calcification", "Benign", ""),
    ("D2-0001", "L", 60, 2, "both", "Malignant", "Luminal A"),
    ("D2-0009", "L", 60, 2, "mass", "Malignant", "HER2-enriched"),
]


def cmmd(root: Path, dicom: ModuleType, _ljpeg: ModuleType) -> None:
    sheet(root / "CMMD_clinicaldata_revision.xlsx", CMMD_HEAD, CMMD_ROWS)
    views = [("D1-0001", "R", "CC"), ("D2-0001", "L", "MLO"), ("D2-0001", "R", "MLO")]
    for number, (patient, side, view) in enumerate(views, start=1):
        study = f"1.3.6.1.4.1.14519.5.2.1.{patient[1]}{patient[-1]}"
        dicom.save(
            root / "CMMD" / patient / study / f"{study}.7" / f"1-{number}.dcm",
            PatientID=patient,
            ImageLaterality=side,
            ViewPosition=view,
            SOPInstanceUID=f"{study}.{number}",
            StudyInstanceUID=study,
        )


def sheet(path: Path, head: str, rows: Iterable[Sequence[object]]) -> Path:
    from openpyxl import Workbook

    path.parent.mkdir(parents=True, exist_ok=True)
    book = Workbook()
    book.active.append(head.split(","))
    for row in rows:
        book.active.append(list(row))
    book.save(path)
    return path


CESM_HEAD = (
    "Image_name,Patient_ID,Side,Type,Age,Breast density (ACR),View,BIRADS,Findings,"
    "Pathology Classification/ Follow up,Tags,Machine"
)


def cesm(root: Path, _dicom: ModuleType, _ljpeg: ModuleType) -> None:
    rows = [
        ("P1_L_DM_MLO", 1, "L", "DM", 63, "B", "MLO", 4, "mass", "Benign", "", 1),
        ("P1_L_DM_MLO ", 1, "L", "DM", 63, "B", "MLO", 4, "mass", "Malignant", "", 1),
        ("P1_L_CM_MLO", 1, "L", "CM", 63, "B", "MLO", 4, "mass", "Malignant", "", 1),
        ("P2_R_DM_CC", 2, "R", "DM", 40, "C", "CC", 1, "normal", "Normal", "", 2),
        ("P3_R_DM_CC", 3, "R", "DM", 50, "C", "CC", 2, "mass", "Benign", "", 2),
    ]
    sheet(root / "Radiology-manual-annotations.xlsx", CESM_HEAD, rows)
    square = {"name": "polygon", "all_points_x": [10, 30, 30], "all_points_y": [20, 20, 49]}
    turned = {"name": "ellipse", "cx": 40, "cy": 50, "rx": 20, "ry": 10, "theta": np.pi / 2}
    head = (
        "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
        "region_attributes"
    )
    outlines = [
        ("P1_L_DM_MLO .jpg", 1, "{}", 2, 0, json.dumps(square), "{}"),
        ("P1_L_DM_MLO .jpg", 1, "{}", 2, 1, json.dumps(turned), "{}"),
        ("P2_R_DM_CC.jpg", 1, "{}", 0, 0, "{}", "{}"),
    ]
    table(root / "Radiology_hand_drawn_segmentations_v2.csv", head, outlines)
    save(root / "Low energy images of CDD-CESM" / "P1_L_DM_MLO.jpg")
    save(root / "Low energy images of CDD-CESM" / "P2_R_DM_CC.jpg")
    save(root / "Subtracted images of CDD-CESM" / "P1_L_CM_MLO.jpg")


def mendeley(root: Path, _dicom: ModuleType, _ljpeg: ModuleType) -> None:
    ddsm, inbreast, films = root / "DDSM Dataset", root / "INbreast Dataset", root / "MIAS Dataset"
    for copy in (1, 2, 6):
        for number, wall in enumerate(("left", "right", "left"), start=1):
            upright = drawn(227, 227, number, wall)
            name = f"D1_A_11{number:02d}_1.RIGHT_MLO ({copy}).png"
            save(ddsm / "Benign Masses" / name, upright)
            name = f"D2_C_00{number:02d}_1.LEFT_MLO ({copy}).png"
            save(ddsm / "Malignant Masses" / name, np.rot90(upright))
        save(ddsm / "Malignant Masses" / f"D2_C_0001_1.LEFT_CC ({copy}).png")
        for film in (20586908, 20586934, 53580804):
            save(inbreast / "Benign Masses" / f"{film} ({copy}).png", drawn(227, 227))
        save(films / "Malignant Masses" / f"mdb028 ({copy}).png", drawn(227, 227))


def folder(root: Path, _dicom: ModuleType, _ljpeg: ModuleType) -> None:
    for split in ("train", "test"):
        labels = {"Normal": "nor", "benign": "ben", "No Cancer": "NC", "malignant": "mal"}
        for label, short in labels.items():
            for number in (1, 2):
                save(root / split / label / f"{split}{short}-{number}_L_CC.png")


def own_table(root: Path, _dicom: ModuleType, _ljpeg: ModuleType) -> None:
    save(root / "images" / "1.png")
    save(root / "images" / "2.png")
    head = "dataset,image_id,patient_id,path,laterality,view,tumour,malignant,split"
    rows = [
        ("mine", 1, "anna", "images/1.png", "L", "CC", 1, "", "train"),
        ("mine", 2, "bea", "images/2.png", "", "", "", 0, "test"),
    ]
    table(root / "manifest.csv", head, rows)
    head = "dataset,image_id,kind,malignant,row0,col0,row1,col1,row,col,radius,mask_path"
    mark = ("mine", 1, "mass", "", 1, 2, 3, 4, "", "", "", "")
    table(root / "lesions.csv", head, [mark])


def cbis_ddsm(root: Path, _dicom: ModuleType, _ljpeg: ModuleType) -> None:
    head = (
        "patient_id,{density},left or right breast,image view,abnormality id,abnormality type,"
        "{what},assessment,pathology,subtlety,image file path,cropped image file path,"
        "ROI mask file path"
    )
    whats = {"mass": "mass shape,mass margins", "calc": "calc type,calc distribution"}
    for n, (kind, part) in enumerate((k, p) for k in whats for p in ("train", "test")):
        where = "Training" if part == "train" else "Test"
        case = f"{kind.title()}-{where}_P_0000{n}_LEFT_CC"
        paths = (f"{case}/1/2/000000.dcm", f"{case}_1/1/3/000000.dcm", f"{case}_1/1/3/000001.dcm")
        pathology = "MALIGNANT" if n % 2 else "BENIGN"
        lesion = ("mass" if kind == "mass" else "calcification", "OVAL", "N/A")
        row = (f"P_0000{n}", 3, "LEFT", "CC", 1, *lesion, 4, pathology, 4, *paths)
        density = "breast_density" if kind == "mass" else "breast density"
        name = f"{kind}_case_description_{part}_set.csv"
        table(root / name, head.format(density=density, what=whats[kind]), [row])
        save(root / f"{case}.png", drawn(seed=n))


def ddsm(root: Path, _dicom: ModuleType, ljpeg: ModuleType) -> None:
    films = dict.fromkeys(("LEFT_CC", "RIGHT_MLO"), ljpeg.film())
    normal = root / "normals" / "normal_01" / "case0200"
    ljpeg.save_case(normal, "A_0200_1", films, digitizer="DBA 21")
    cancer = root / "cancers" / "cancer_06" / "case1141"
    ljpeg.save_case(cancer, "A_1141_1", films, digitizer="HOWTEK", marked=frozenset(["LEFT_CC"]))
    (cancer / "A_1141_1.LEFT_CC.OVERLAY").write_text(
        "TOTAL_ABNORMALITIES 1\nABNORMALITY 1\nLESION_TYPE MASS SHAPE OVAL MARGINS SPICULATED\n"
        "ASSESSMENT 5\nSUBTLETY 4\nPATHOLOGY MALIGNANT\nTOTAL_OUTLINES 1\nBOUNDARY\n"
        "40 30 2 2 4 4 6 6 0 0 #\n"
    )


def inbreast(root: Path, dicom: ModuleType, _ljpeg: ModuleType) -> None:
    woman = "6c613a14b80a8591"
    lines = [
        "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads",
        "removed;removed;R;CC;200901;20000001;1;1",
        "removed;removed;L;MLO;200901;20000002;1;3",
    ]
    root.mkdir(exist_ok=True)
    (root / "INbreast.csv").write_text("\n".join(lines) + "\n")
    dicom.save(root / "AllDICOMs" / f"20000001_{woman}_MG_R_CC_ANON.dcm")
    dicom.save(root / "AllDICOMs" / f"20000002_{woman}_MG_L_ML_ANON.dcm")
    (root / "AllXML").mkdir()


TREES: dict[str, Callable[[Path, ModuleType, ModuleType], None]] = {
    "cbis-ddsm": cbis_ddsm,
    "cesm": cesm,
    "cmmd": cmmd,
    "ddsm": ddsm,
    "folder": folder,
    "inbreast": inbreast,
    "mendeley": mendeley,
    "mias": mias,
    "rsna": rsna,
    "table": own_table,
    "vindr": vindr,
}
