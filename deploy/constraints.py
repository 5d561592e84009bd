"""Write ``constraints-node.txt``: the versions of all packages that the node was tested with.

It takes the packages that ``mammolens[dicom,serve,postgres]`` needs, and what those need in turn,
in the versions of the environment in which it runs. Run the tests there first: ``make test
test-pacs``, then ``python deploy/constraints.py``.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

EXTRAS = ("dicom", "serve", "postgres")
OUT = Path(__file__).parents[1] / "constraints-node.txt"
HEAD = (
    "# Versions that the node (mammolens[dicom,serve,postgres]) was tested with, on Python"
    f" {sys.version_info[0]}.{sys.version_info[1]}:\n"
    "#   pip install -c constraints-node.txt 'mammolens[dicom,serve,postgres]'\n"
    "# deploy/constraints.py writes this file.\n"
)


def closure(name: str, extras: tuple[str, ...], found: dict[str, str]) -> None:
    """Add a package's requirements, and theirs, to `found`: name and installed version."""
    from packaging.requirements import Requirement

    for text in requires(name) or ():
        wanted = Requirement(text)
        if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in ("", *extras)):
            continue
        try:
            version = distribution(wanted.name).version.partition("+")[0]
        except PackageNotFoundError:
            continue
        known = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if known not in found:
            found[known] = version
            closure(wanted.name, tuple(wanted.extras), found)


def main() -> None:
    found: dict[str, str] = {}
    closure("mammolens", EXTRAS, found)
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    OUT.write_text(HEAD + "".join(lines), "utf-8")
    print(f"{OUT.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
