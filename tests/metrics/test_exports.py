"""The public names of `mammolens.metrics`, and the modules that they do not load."""

from __future__ import annotations

import subprocess
import sys

from mammolens import metrics


def test_exported_names_are_sorted_and_real():
    assert metrics.__all__ == sorted(metrics.__all__)
    assert all(hasattr(metrics, name) for name in metrics.__all__)


def test_importing_loads_numpy_only():
    script = (
        "import sys, mammolens.metrics;"
        "heavy = {'scipy', 'sklearn', 'pandas', 'torch', 'cv2', 'onnxruntime'};"
        "sys.exit(','.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
