"""The runs that lie in ``configs/`` can be read, and the demonstration needs no download."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammolens.data.summary import DEMO_DATASET, synthetic_warnings
from mammolens.learn.config import read_run

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_run_can_be_read(path):
    assert read_run(path).data.tables


def test_the_demonstration_needs_nothing_but_its_own_pictures():
    (path,) = [path for path in CONFIGS if path.stem == "demo"]
    run = read_run(path)
    assert run.network.starts_from_package
    assert run.network.start == Path("mammolens-2")
    assert run.data.official
    assert DEMO_DATASET in run.notes
    assert synthetic_warnings([run.name])
    assert "must not be used" in run.card.intended_use
