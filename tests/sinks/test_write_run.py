"""The stream through the sinks: what is counted, what is kept, and what a crash leaves."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
import weakref
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from mammolens.core import Finding, Prediction, TriageCategory, Unreadable
from mammolens.errors import ConfigError, StorageError
from mammolens.sinks import SINKS, RunInfo, find_sink, write_run

ALL = tuple(SINKS)
REFUSED = Unreadable("in/notes.txt", "NotAnImage", "in/notes.txt: this is text")


@pytest.mark.parametrize("name", ALL)
def test_every_named_sink_writes_its_files(bench, name):
    summary = bench.write([bench.exam(), bench.failed(), REFUSED], name)
    assert summary.files
    assert all(path.exists() and path.parent == bench.out for path in summary.files)
    assert not list(bench.out.rglob("*.partial"))


def test_summary_counts_and_exit_codes(bench):
    whole = bench.write([bench.exam()], "csv")
    assert (whole.n_exams, whole.n_failed, whole.n_unreadable, whole.exit_code) == (1, 0, 0, 0)
    row = whole.rows[0]
    assert (row.patient_id, row.category, row.n_images) == ("P1", TriageCategory.INTERMEDIATE, 4)
    assert (row.malignancy, row.tumour) == pytest.approx((0.3, 0.4))
    failed = bench.write([bench.exam(), bench.failed(unreadable=())], "csv")
    assert (failed.n_failed, failed.rows[1].malignancy, failed.exit_code) == (1, None, 3)
    assert bench.write([bench.exam(), REFUSED], "csv").exit_code == 3
    partly = bench.write([bench.exam(unreadable=(REFUSED,))], "csv")
    assert (partly.n_unreadable, partly.n_failed, partly.exit_code) == (1, 0, 3)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_an_exam_with_a_number_that_is_none_fails_and_the_rest_is_written(bench, poison):
    sick_map = np.full((10, 8), poison, dtype=np.float32)
    sick = [
        bench.exam(images=(bench.image(malignancy_map=sick_map),)),
        bench.exam(images=(bench.image(findings=(Finding((0, 0, 9, 9), poison),)),)),
        bench.exam(images=(bench.image(map_level=poison),)),
        bench.exam(images=(bench.image(map_level=0.0),)),
        bench.exam(elapsed_s=poison),
    ]
    summary = bench.write([*sick, bench.exam()], *ALL)
    assert [r.category.value for r in summary.rows] == ["failed"] * len(sick) + ["intermediate"]
    exams = json.loads((bench.out / "results.json").read_text("utf-8"))["exams"]
    assert all(e["malignancy"] is None for e in exams[:-1])
    assert exams[0]["warnings"][-1].startswith("not_finite: ")


def test_pictures_are_let_go_before_the_next_exam_is_taken(bench):
    alive: list[weakref.ref[np.ndarray]] = []

    def stream():
        for _ in range(3):
            gc.collect()
            assert all(ref() is None for ref in alive)
            exam = bench.exam()
            alive.extend(weakref.ref(image.display.pixels) for image in exam.images)
            yield exam
            del exam

    write_run(stream(), bench.out, bench.run, ALL)
    assert len(alive) == 12


def test_memory_does_not_grow_with_the_number_of_exams(bench):
    def peak(count: int) -> int:
        tracemalloc.start()
        write_run(
            (bench.exam() for _ in range(count)), bench.out, bench.run, ["json", "csv", "html"]
        )
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(2)
    growth_per_exam = (peak(60) - peak(20)) / 40
    picture = bench.image().display.pixels.nbytes
    assert growth_per_exam < 6_000 < picture


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_broken_stream_leaves_nothing_that_looks_whole(bench, error):
    bench.write([bench.exam()], *ALL)

    def stream():
        yield bench.exam()
        raise error("broken")

    with pytest.raises(error, match="broken"):
        write_run(stream(), bench.out, bench.run, ALL)
    assert [p for p in bench.out.rglob("*") if p.is_file()] == []


def test_a_killed_process_leaves_no_finished_file(bench):
    code = f"""
import os, sys
from datetime import datetime, timezone
from pathlib import Path
from mammolens.core import ModelId, Unreadable
from mammolens.sinks import RunInfo, write_run
def stream():
    yield Unreadable("a", "NotAnImage", "b")
    os._exit(9)
run = RunInfo(datetime.now(timezone.utc), ModelId("m", "1", "d"), 0.01)
write_run(stream(), Path({str(bench.out)!r}), run, {list(ALL)!r})
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert {path.name for path in bench.out.rglob("*") if path.is_file()} == {"index.csv"}
    bench.write([bench.exam()], *ALL)
    assert not list(bench.out.glob(".*"))


def test_the_progress_call_sees_every_item_after_it_was_written(bench):
    seen: list[Prediction | Unreadable] = []
    write_run([bench.exam(), REFUSED], bench.out, bench.run, ["csv"], seen.append)
    assert [type(item) for item in seen] == [Prediction, Unreadable]


def test_an_unknown_sink_is_named_with_the_nearest_before_anything_is_written(bench):
    with pytest.raises(ConfigError, match=r"no sink 'overlays' \[sinks\]. Use 'overlay'"):
        bench.write([bench.exam()], "json", "overlays")
    assert not bench.out.exists()
    with pytest.raises(ConfigError, match=", ".join(sorted(SINKS))):
        find_sink("zzzz")


def test_a_destination_that_cannot_be_written_is_named(bench):
    bench.out.write_text("in the way")
    with pytest.raises(StorageError, match="the results cannot be written"):
        bench.write([bench.exam()], "json")
    assert bench.out.read_text() == "in the way"


def test_a_run_needs_a_time_zone_and_a_possible_prevalence(bench):
    with pytest.raises(ConfigError, match="time zone"):
        RunInfo(datetime(2026, 1, 1), bench.run.model, 0.1)
    with pytest.raises(ConfigError, match=r"prevalence of 1\.0"):
        replace(bench.run, prevalence=1.0)
