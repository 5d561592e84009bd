"""Write a model package from a card and a graph."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from pathlib import Path

from mammolens.errors import ConfigError, StorageError
from mammolens.files import storage, whole_file
from mammolens.model.card import ModelCard
from mammolens.model.density import DENSITY_FILE
from mammolens.model.package import ModelPackage
from mammolens.model.package_files import CARD_FILE
from mammolens.model.training_patients import PATIENTS_FILE, KnownPatients
from mammolens.wording import estimate

__all__ = ["card_markdown", "refuse_target", "save_package"]


def save_package(
    folder: Path, card: ModelCard, graph: bytes, patients: KnownPatients | None = None
) -> ModelPackage:
    """Check that a package loads, and write its graph, ``card.json``, ``CARD.md`` and patients.

    All files are first written under temporary names. The card is renamed last, and a graph without
    its card does not load. So a full disk or a killed process leaves the old package or none.

    Parameters
    ----------
    folder
        A new or empty folder, or one with a package, which is replaced.
    patients
        The patients that the model was trained on, if they are known.

    Raises
    ------
    BadModelPackage, ContractMismatch
        If the package would not load; nothing is written.
    ConfigError
        If the folder has other files.
    StorageError
        If the folder cannot be written.
    """
    refuse_target(folder)
    ModelPackage.assemble(card, graph, str(folder))
    text = json.dumps(card.model_dump(mode="json"), indent=2, ensure_ascii=False)
    files = {
        card.graph_file: graph,
        "CARD.md": card_markdown(card).encode(),
        **({PATIENTS_FILE: patients.to_json(card.graph_sha256).encode()} if patients else {}),
        CARD_FILE: f"{text}\n".encode(),
    }
    try:
        with storage(folder, "the package", keyword="--out"), ExitStack() as stack:
            folder.mkdir(parents=True, exist_ok=True)
            for name in reversed(files):  # the file that is opened last is renamed first
                stream = stack.enter_context(whole_file(folder / name))
                stream.write(files[name])
                stream.flush()
                os.fsync(stream.fileno())
            # A head for breast density belongs to one graph; fit it to the new one.
            (folder / DENSITY_FILE).unlink(missing_ok=True)
            if patients is None:
                (folder / PATIENTS_FILE).unlink(missing_ok=True)
    except StorageError:
        with suppress(OSError):
            folder.rmdir()
        raise
    return ModelPackage.load(folder)


def refuse_target(folder: Path) -> None:
    """Refuse a folder that a package cannot be written to; call it before long computations.

    Raises
    ------
    ConfigError
        If it is a file, or a folder with other files than those of a package.
    StorageError
        If this process may not write to it.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(
            "a file has this name, but a package is a folder",
            source=str(folder),
            keyword="--out",
            remedy="Give another name, or move the file",
        )
    if folder.is_dir():
        others = [path.name for path in folder.iterdir() if not _is_package_file(path.name)]
        if others:
            raise ConfigError(
                f"the folder has other files, such as {min(others)}",
                source=str(folder),
                keyword="--out",
                remedy="Give a new folder, or one with a package and no other files",
            )
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise StorageError(
            "the package cannot be written: you may not write to this folder",
            source=str(parent),
            keyword="--out",
            remedy="Give a folder that you may write to",
        )


def _is_package_file(name: str) -> bool:
    plain = name.removeprefix(".").removesuffix(".partial")
    return plain in (CARD_FILE, "CARD.md", PATIENTS_FILE) or plain.endswith(".onnx")


def card_markdown(card: ModelCard) -> str:
    """Write a card as Markdown, the text of ``CARD.md``, with the template ``CARD.md.j2``."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    texts = Environment(
        loader=PackageLoader("mammolens.model", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    age = card.calibration.age
    return texts.get_template("CARD.md.j2").render(
        card=card,
        shares=[100 * share for share in card.calibration.prior.as_tuple],
        age_effect=age and estimate(age.log_odds_per_decade, age.low, age.high, 2),
    )
