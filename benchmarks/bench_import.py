"""`mammolens --help` against a bare Typer program, and what importing pulls in.

Run: python benchmarks/bench_import.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from timing import medians, report

ROUNDS = 15
TARGET = 1.3
HEAVY = ("torch", "pandas", "sklearn", "matplotlib", "scipy", "jinja2")
BARE = """
import typer

app = typer.Typer()

@app.command()
def one(name: str) -> None:
    print(name)

@app.command()
def two(name: str) -> None:
    print(name)

if __name__ == "__main__":
    app()
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE)
        ours = "from mammolens.cli import main; main()"
        seconds = medians(
            {
                "bare": lambda: run(sys.executable, str(bare), "--help"),
                "mammolens": lambda: run(sys.executable, "-c", ours, "--help"),
            },
            ROUNDS,
        )
    report("--help against a bare Typer program", seconds["mammolens"], seconds["bare"], TARGET)
    for room in ("mammolens", "mammolens.analysis", "mammolens.cli"):
        code = f"import sys, {room}; print(*[n for n in {HEAVY} if n in sys.modules])"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        print(
            f"import {room} pulls in of {', '.join(HEAVY)}: {done.stdout.decode().strip() or '–'}"
        )


if __name__ == "__main__":
    main()
