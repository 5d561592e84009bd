"""The cache: never outdated, whole after a kill, safe with several processes and a full disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import mammolens.data.cache as cache_module
from mammolens.core import Laterality
from mammolens.data.cache import build_cache, build_side, prepare_record
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.errors import InvalidManifest, StorageError
from mammolens.preprocess import PreprocessConfig

CONFIG = PreprocessConfig(height=96, width=64)
PICTURE_BYTES = 96 * 64

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and limits")

CHILD = """
import resource, sys
from pathlib import Path
from mammolens.data.cache import build_cache
from mammolens.data.manifest import Manifest
from mammolens.preprocess import PreprocessConfig

table, root, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
made = []
build_cache(
    Manifest.read(table),
    PreprocessConfig(height=96, width=64),
    root,
    jobs=2,
    on_progress=lambda done, n: (made.append(done), print(done, flush=True)),
)
print("made", len(made), flush=True)
"""


def draw(path, seed):
    """Draw a breast: noise within half an ellipse, different for each file."""
    rng = np.random.default_rng(seed)
    row, col = np.mgrid[:256, :192]
    inside = ((row - 128) / 110) ** 2 + (col / 150) ** 2 < 1
    image = np.where(inside, rng.normal(120, 25, inside.shape), 0)
    assert cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))


@pytest.fixture
def make_table(tmp_path):
    def make(n):
        rows = ["dataset,image_id,patient_id,path,laterality,view"]
        for number in range(n):
            draw(tmp_path / f"{number}.pgm", number)
            rows.append(f"drawn,{number},{number},{number}.pgm,L,CC")
        (tmp_path / "table.csv").write_text("\n".join(rows))
        return tmp_path / "table.csv"

    return make


def build(table, root, jobs=2, config=CONFIG):
    """The cache, and how many images were prepared for it."""
    made = []
    cache = build_cache(
        Manifest.read(table), config, root, jobs=jobs, on_progress=lambda *done: made.append(done)
    )
    return cache, len(made)


def folder_of(root):
    (folder,) = [path for path in root.iterdir() if path.is_dir()]
    return folder


def start_child(table, root, limit=0):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(table), str(root), str(limit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_pictures_are_those_of_prepare_and_come_from_the_disk_afterwards(make_table, tmp_path):
    table = make_table(5)
    first, made = build(table, tmp_path / "cache")
    assert made == 5
    for index, record in enumerate(first.records):
        assert (first.picture(index) == prepare_record(record, CONFIG).pixels).all()
    again, made = build(table, tmp_path / "cache")
    assert made == 0
    assert (again.pictures == first.pictures).all()
    assert not again.pictures.flags.writeable


def test_a_split_or_a_label_costs_nothing_and_a_side_is_selected(make_table, tmp_path):
    table = make_table(6)
    build(table, tmp_path / "cache")
    manifest = Manifest.read(table)
    sides = {
        r.patient: Split.TRAIN if int(r.patient_id) % 3 else Split.TEST for r in manifest.records
    }
    cache = build_cache(manifest.with_splits(sides), CONFIG, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    tested = cache.select(lambda record: record.split is Split.TEST)
    assert [record.image_id for record in tested.records] == ["0", "3"]
    assert (tested.picture(1) == cache.picture(3)).all()


def test_only_changed_images_are_prepared_again(make_table, tmp_path):
    table = make_table(5)
    before, _ = build(table, tmp_path / "cache")
    old = np.array(before.pictures)
    size = (tmp_path / "2.pgm").stat().st_size
    draw(tmp_path / "2.pgm", 99)
    assert (tmp_path / "2.pgm").stat().st_size == size
    after, made = build(table, tmp_path / "cache")
    assert made == 1
    assert [(old[i] == after.pictures[i]).all() for i in range(5)] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert (after.picture(2) == prepare_record(after.records[2], CONFIG).pixels).all()
    assert build(table, tmp_path / "cache")[1] == 0


def test_other_parameters_or_sides_have_a_cache_of_their_own(make_table, tmp_path):
    table = make_table(2)
    build(table, tmp_path / "cache")
    assert build(table, tmp_path / "cache", config=PreprocessConfig(height=96, width=96))[1] == 2
    table.write_text(table.read_text().replace(",L,", ",R,"))
    assert build(table, tmp_path / "cache")[1] == 2
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_another_preparation_is_noticed(make_table, tmp_path, monkeypatch):
    table = make_table(3)
    build(table, tmp_path / "cache")
    true_prepare = cache_module.prepare

    def prepare_without_contrast(mammogram, config):
        return true_prepare(mammogram, config.model_copy(update={"clahe_clip": 0.0}))

    monkeypatch.setattr(cache_module, "prepare", prepare_without_contrast)
    changed, made = build(table, tmp_path / "cache")
    assert made == 3
    plain = CONFIG.model_copy(update={"clahe_clip": 0.0})
    monkeypatch.undo()
    assert (changed.picture(0) == prepare_record(changed.records[0], plain).pixels).all()
    assert build(table, tmp_path / "cache")[1] == 3


def test_images_that_fail_are_listed_left_out_and_tried_again(make_table, tmp_path):
    table = make_table(5)
    (tmp_path / "1.pgm").write_bytes(b"P5 no picture")
    (tmp_path / "3.pgm").unlink()
    cache, _ = build(table, tmp_path / "cache")
    assert [record.image_id for record in cache.records] == ["0", "2", "4"]
    assert (cache.picture(1) == prepare_record(cache.records[1], CONFIG).pixels).all()
    assert set(cache.refused) == {str(tmp_path / "1.pgm"), str(tmp_path / "3.pgm")}
    listed = json.loads((folder_of(tmp_path / "cache") / "refused.json").read_text())
    assert listed == cache.refused
    draw(tmp_path / "3.pgm", 3)
    cache, made = build(table, tmp_path / "cache")
    assert (len(cache.records), made, len(cache.refused)) == (4, 2, 1)


def test_a_removed_file_keeps_its_picture(make_table, tmp_path):
    table = make_table(3)
    build(table, tmp_path / "cache")
    (tmp_path / "1.pgm").unlink()
    cache, made = build(table, tmp_path / "cache")
    assert (len(cache.records), made) == (3, 0)


def test_nothing_usable_is_an_error(make_table, tmp_path):
    table = make_table(2)
    for number in range(2):
        (tmp_path / f"{number}.pgm").unlink()
    with pytest.raises(InvalidManifest, match=r"none of 2 images can be used.*0\.pgm"):
        build(table, tmp_path / "cache")


def test_each_side_of_a_cache_lists_its_own_refused_images(make_table, tmp_path):
    manifest, root = Manifest.read(make_table(4)), tmp_path / "cache"
    on_side = {
        r.patient: Split.TRAIN if r.image_id in "01" else Split.TEST for r in manifest.records
    }
    manifest = manifest.with_splits(on_side)
    (tmp_path / "0.pgm").unlink()
    learned = build_side(manifest, Split.TRAIN, CONFIG, root)
    assert [record.image_id for record in learned.records] == ["1"]
    assert [Path(path).name for path in learned.refused] == ["0.pgm"]
    apart = build_side(manifest, Split.TEST, CONFIG, root)
    assert [record.image_id for record in apart.records] == ["2", "3"]
    assert not apart.refused
    assert len([folder for folder in root.iterdir() if folder.is_dir()]) == 1
    with pytest.raises(InvalidManifest, match="none of 0 images of the validation side"):
        build_side(manifest, Split.VALIDATION, CONFIG, root)
    (tmp_path / "1.pgm").write_bytes(b"no picture")
    with pytest.raises(InvalidManifest, match=r"none of 2 images of the train.* side.*\.pgm"):
        build_side(manifest, Split.TRAIN, CONFIG, root)


def test_an_unexpected_error_names_the_image_and_keeps_prepared_pictures(
    make_table, tmp_path, monkeypatch
):
    table = make_table(6)

    def prepare_with_a_bug(record, config):
        if record.image_id == "4":
            raise ZeroDivisionError
        return prepare_record(record, config)

    monkeypatch.setattr(cache_module, "prepare_record", prepare_with_a_bug)
    with pytest.raises(ZeroDivisionError) as caught:
        build(table, tmp_path / "cache", jobs=1)
    assert "4.pgm" in caught.value.__notes__[0]
    monkeypatch.undo()
    assert build(table, tmp_path / "cache")[1] == 2


def test_a_cache_of_an_older_release_is_taken_over(make_table, tmp_path):
    table = make_table(4)
    (tmp_path / "3.pgm").unlink()
    build(table, tmp_path / "cache")
    folder = folder_of(tmp_path / "cache")
    for name in ("files.i8", "phantom.u8"):
        (folder / name).unlink()
    cache, made = build(table, tmp_path / "cache")
    assert (len(cache.records), made) == (3, 1), "only the refused image is tried again"
    draw(tmp_path / "0.pgm", 50)
    assert build(table, tmp_path / "cache")[1] == 2


@pytest.mark.parametrize("name", ["pictures.u8", "done.u8", "files.i8", "phantom.u8"])
@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_damaged_files_are_made_again(make_table, tmp_path, name, damage):
    table = make_table(4)
    whole = np.array(build(table, tmp_path / "cache")[0].pictures)
    path = folder_of(tmp_path / "cache") / name
    if damage == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2)
    cache, made = build(table, tmp_path / "cache")
    assert made == (4 if name in ("pictures.u8", "done.u8") else 0)
    assert (cache.pictures == whole).all()


@pytest.mark.slow
@posix
@pytest.mark.parametrize("images_before_death", [1, 33, 70])
def test_a_killed_build_goes_on_where_it_stopped(make_table, tmp_path, images_before_death):
    table = make_table(96)
    with start_child(table, tmp_path / "cache") as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= images_before_death:
                break
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    folder = folder_of(tmp_path / "cache")
    kept = int((np.fromfile(folder / "done.u8", np.uint8) == 1).sum())
    assert images_before_death - 33 <= kept < 96
    cache, made = build(table, tmp_path / "cache")
    assert made == 96 - kept
    fresh, _ = build(table, tmp_path / "fresh")
    assert (cache.pictures == fresh.pictures).all()


def test_a_half_written_picture_does_not_count(make_table, tmp_path):
    table = make_table(4)
    whole = np.array(build(table, tmp_path / "cache")[0].pictures)
    folder = folder_of(tmp_path / "cache")
    with (folder / "done.u8").open("r+b") as stream:
        stream.seek(2)
        stream.write(b"\0")
    with (folder / "pictures.u8").open("r+b") as stream:
        stream.seek(2 * PICTURE_BYTES + 100)
        stream.write(b"\xff" * 500)
    cache, made = build(table, tmp_path / "cache")
    assert made == 1
    assert (cache.pictures == whole).all()


def test_a_row_counts_only_after_its_picture_and_stamp_are_on_the_disk(
    make_table, tmp_path, monkeypatch
):
    table = make_table(20)
    flushed = []
    true_fsync = os.fsync

    def noted(descriptor):
        true_fsync(descriptor)
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to tell files by their descriptors")
    monkeypatch.setattr(os, "fsync", noted)
    build(table, tmp_path / "cache", jobs=1)
    writes = [name for name in flushed if not name.endswith(".partial")]
    assert writes == ["pictures.u8", "files.i8", "done.u8"] * 2


@pytest.mark.slow
@posix
def test_two_processes_build_one_cache_together(make_table, tmp_path):
    table = make_table(40)
    children = [start_child(table, tmp_path / "cache") for _ in range(2)]
    outputs = [child.communicate(timeout=900) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    made = [int(out.splitlines()[-1].removeprefix("made ")) for out, _ in outputs]
    assert sorted(made) == [0, 40]
    cache, made_now = build(table, tmp_path / "cache")
    assert made_now == 0
    assert (cache.picture(7) == prepare_record(cache.records[7], CONFIG).pixels).all()


@pytest.mark.slow
@posix
def test_a_killed_process_releases_the_lock(make_table, tmp_path):
    table = make_table(64)
    first = start_child(table, tmp_path / "cache")
    assert first.stdout is not None
    first.stdout.readline()
    second = start_child(table, tmp_path / "cache")
    first.kill()
    first.communicate()
    out, errors = second.communicate(timeout=900)
    assert second.returncode == 0, errors
    assert 0 < int(out.splitlines()[-1].removeprefix("made ")) <= 64


@posix
def test_a_file_limit_is_a_named_error_before_the_work_begins(make_table, tmp_path):
    table = make_table(10)
    child = start_child(table, tmp_path / "cache", limit=5 * PICTURE_BYTES)
    out, errors = child.communicate(timeout=900)
    assert child.returncode == 1
    assert out == ""
    assert "StorageError" in errors
    assert f"{10 * PICTURE_BYTES:,} more bytes are needed" in errors
    assert not (folder_of(tmp_path / "cache") / "pictures.u8").exists()
    assert build(table, tmp_path / "cache")[1] == 10


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root on Linux")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_refused_before_the_work_begins(make_table, small_disk):
    table = make_table(60)
    with pytest.raises(StorageError, match=r"more bytes are needed.*\[data\.cache\]"):
        build(table, small_disk)
    assert not (folder_of(small_disk) / "pictures.u8").exists()


def test_a_disk_that_fills_during_the_work_keeps_prepared_pictures(
    make_table, tmp_path, small_disk, monkeypatch
):
    """Some file systems cannot reserve space: there the disk fills during the work."""
    table = make_table(60)
    monkeypatch.delattr(os, "posix_fallocate")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    with pytest.raises(StorageError, match="prepared pictures are kept"):
        build(table, small_disk, jobs=1)
    kept = int((np.fromfile(folder_of(small_disk) / "done.u8", np.uint8) == 1).sum())
    assert 0 < kept < 60
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    cache, made = build(table, small_disk)
    assert made == 60 - kept
    fresh, _ = build(table, tmp_path / "fresh")
    assert (cache.pictures == fresh.pictures).all()


def test_a_folder_that_cannot_be_made_is_a_named_error(make_table, tmp_path):
    table = make_table(1)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot be written.*\[data\.cache\]"):
        build(table, tmp_path / "file")


def test_the_key_of_a_cache_does_not_change():
    """With another key, every user would have to prepare all pictures again."""
    record = Record("d", "1", "p", Path("x.png"), laterality=Laterality.LEFT, pixel_aspect=1.25)
    key = cache_module._key(Manifest.of([record]), PreprocessConfig())
    assert key == "68bcc849cee6263f14546560"
