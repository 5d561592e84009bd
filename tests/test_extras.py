"""The table of extras names every package that an extra installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from mammolens.extras import EXTRAS

MODULES = {"scikit_learn": "sklearn", "scikit_image": "skimage", "argon2_cffi": "argon2"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_names_every_package_that_it_installs(extra: str) -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    listed = tomllib.loads(text)["project"]["optional-dependencies"][extra]
    names = [re.split(r"[^A-Za-z0-9_-]", one)[0].replace("-", "_") for one in listed]
    assert sorted(EXTRAS[extra]) == sorted(MODULES.get(name, name) for name in names)
