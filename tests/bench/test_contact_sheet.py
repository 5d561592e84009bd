"""The contact sheet: every label in turn, upright, and unreadable images said to be so."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammolens.bench.contact_sheet import draw_sheet, sample_records, write_sheet
from mammolens.data.manifest import Manifest, Record
from mammolens.data.summary import count_images, label_word
from mammolens.errors import StorageError


@pytest.fixture
def records(tmp_path, make_sources):
    made = []
    for n in range(12):
        path = make_sources.save(tmp_path / f"{n}.png", make_sources.drawn(120, 90, n))
        made.append(Record("mine", str(n), f"p{n // 2}", path, tumour=n > 9))
    return made


def test_rare_labels_come_in_turn_with_frequent_ones(records):
    manifest = Manifest.of(records)
    chosen = sample_records(manifest, 4, seed=3)
    assert Counter(map(label_word, chosen)) == {"normal": 2, "tumour, kind unknown": 2}
    assert chosen == sample_records(manifest, 4, seed=3)
    assert chosen != sample_records(manifest, 4, seed=4)
    assert len(sample_records(manifest, 400, seed=1)) == 12


def test_pictures_stand_upright_on_the_sheet(tmp_path, make_sources):
    upright = make_sources.drawn(120, 90)
    plain = make_sources.save(tmp_path / "plain.png", upright)
    turned = make_sources.save(tmp_path / "turned.png", np.rot90(upright))
    first = draw_sheet([Record("d", "1", "p", plain)], 1)
    second = draw_sheet([Record("d", "1", "p", turned, rotation_deg=90)], 1)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, draw_sheet([Record("d", "1", "p", turned)], 1))


def test_a_squeezed_picture_is_stretched(records):
    narrow = draw_sheet([Record("d", "1", "p", records[0].path, pixel_aspect=2.0)], 1)
    plain = draw_sheet([Record("d", "1", "p", records[0].path)], 1)
    assert np.count_nonzero(narrow > 60) < np.count_nonzero(plain > 60)


def test_an_unreadable_image_gets_a_panel_of_its_own(records):
    missing = Record("mine", "gone", "p", Path("gone.png"))
    sheet = draw_sheet([records[0], missing], 2)
    alone = draw_sheet([records[0]], 2)
    assert sheet.shape[1] == 2 * alone.shape[1]
    assert sheet[:, alone.shape[1] :].max() > 100


def test_the_sheet_is_written_whole(records, tmp_path):
    seen = []
    path = write_sheet(
        Manifest.of(records),
        tmp_path / "out" / "sheet.png",
        images=9,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    picture = cv2.imread(str(path))
    assert picture.shape[1] == 8 * 200
    assert seen[-1] == (9, 9)
    with pytest.raises(StorageError, match="sheet cannot be written"):
        write_sheet(Manifest.of(records), path / "below.png", images=1)


def test_counts_add_up(records):
    rows = count_images(Manifest.of(records))
    assert [(row.label, row.images, row.patients) for row in rows] == [
        ("normal", 10, 5),
        ("tumour, kind unknown", 2, 1),
    ]
