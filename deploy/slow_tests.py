"""Write ``tests/slow.txt``: the test functions that ``make quick`` leaves out.

    python -m pytest -n 2 -m "not pacs and not web" --junitxml out/tests.xml
    python deploy/slow_tests.py out/tests.xml

A function is in the list if its cases took longer than `LONGEST_S` together. Names that begin in
the list are marked ``slow`` by ``tests/conftest.py``; new tests belong to the quick round until the
list is written again.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

LONGEST_S = 0.35
OUT = Path(__file__).parents[1] / "tests" / "slow.txt"


def main(report: Path) -> None:
    seconds: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        name = str(case.get("name")).partition("[")[0]
        seconds[f"{case.get('classname')}::{name}"] += float(case.get("time", 0))
    slow = sorted(name for name, taken in seconds.items() if taken > LONGEST_S)
    OUT.write_text("".join(f"{name}\n" for name in slow), "utf-8")
    print(f"{OUT.name}: {len(slow)} of {len(seconds)} functions")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
