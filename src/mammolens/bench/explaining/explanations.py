"""`mammolens explain`: explanation methods for one model, compared on images with marked lesions.

The input is tables of images; the output is explanations.json, explanations.md and a sheet of
pictures. All methods explain the same score (log-odds of malignancy) of the same network, which is
rebuilt in torch. The figures say whether maps point at lesions, whether the score falls when the
hottest places are blurred, whether maps change when the network's weights are shuffled, and how
long a map takes.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammolens._lettering import write_png
from mammolens.bench.caveats import refuse_other_split
from mammolens.bench.evaluation_files import bootstrap_facts, document_head
from mammolens.bench.explaining.explanation_sheet import draw_sheet
from mammolens.bench.explaining.method_figures import (
    BLUR_PX,
    SHUFFLES,
    STEPS,
    ExplainedImage,
    Likeness,
    deletion_insertion,
    global_similarity,
    method_figures,
    rank_correlation,
)
from mammolens.bench.map_readings import RULES, read_map
from mammolens.bench.report.explanation_document import EXPLAINED_SCHEMA, build_explained
from mammolens.bench.report.markdown import render_markdown
from mammolens.bench.settings import read_split
from mammolens.data.cache import prepare_record
from mammolens.data.manifest import Manifest, Record, Split
from mammolens.data.splits import refuse_leak
from mammolens.data.summary import synthetic_warnings
from mammolens.errors import ContractMismatch, InputError, InvalidManifest
from mammolens.files import storage, write_whole
from mammolens.preprocess import RegionConfig

if TYPE_CHECKING:
    from mammolens.learn.attribution import Costs, LogOdds, Method
    from mammolens.learn.rebuilt_network import Rebuilt

__all__ = ["explain_model"]

_SHUFFLED_IMAGES = 8  # images on which the weights are shuffled
_SHUFFLED_SLOW = 2  # the same for slow methods
_ON_SHEET = 6  # images on the sheet

Tell = Callable[[str], None]


def explain_model(
    model: str,
    tables: Sequence[Path],
    out: Path,
    *,
    methods: Sequence[str] = (),
    split: str | None = None,
    limit: int | None = None,
    slow: int = 12,
    draws: int = 2000,
    on_progress: Tell = lambda _: None,
) -> list[Path]:
    """Compare explanation methods for a model, and write the figures and a sheet of pictures.

    Parameters
    ----------
    model
        A package (built in, folder, zip) or a run folder.
    tables
        CSV tables, or one run's TOML file; then the model's training patients are known.
    split
        ``train``, ``validation`` or ``test``; ``None`` takes the validation side of a run, or every
        row of tables.
    out
        Folder for ``explanations.json``, ``explanations.md`` and ``explanations.png``.
    methods
        Names of `learn.attribution.METHODS`; all if empty. Grad-CAM is always included.
    limit
        Largest number of images with marked lesions, and of images without.
    slow
        Number of images with marked lesions for deletion, insertion and the slow methods.

    Raises
    ------
    InvalidManifest
        If no image has a marked lesion, or the split is not that of the model.
    ConfigError
        If a method is unknown.
    StorageError
        If `out` cannot be written.
    BadModelPackage
        If the package's network cannot be rebuilt.
    """
    from mammolens.learn.attribution import Costs, LogOdds, choose_methods
    from mammolens.learn.rebuilt_network import rebuild_network

    chosen, side = choose_methods(methods), read_split(split)
    with storage(out, "the results", keyword="--out"):
        out.mkdir(parents=True, exist_ok=True)
    rebuilt = rebuild_network(model)
    if isinstance(rebuilt.preprocess, RegionConfig):
        raise ContractMismatch(
            f"{rebuilt.name} reads marked lesions, so it has no lesion to find",
            remedy="Use a model of whole breasts",
        )
    records, sides = _chosen_records(tables, side, rebuilt, limit)
    notes = synthetic_warnings(record.dataset for record in records)
    for note in notes:
        on_progress(note)
    images = list(_prepared(records, rebuilt, on_progress))
    few = [one for one in images if one.record.lesions and one.record.malignant][:slow]
    costs, net = Costs(), LogOdds(rebuilt.net)
    for slow_ones, shown in ((False, images), (True, few)):
        group = {name: one for name, one in chosen.items() if one.slow is slow_ones}
        on_progress(f"{', '.join(one.title for one in group.values())}: {len(shown)} images")
        for image in shown:
            _explain(net, group, image, costs)
    on_progress(f"deletion and insertion: {len(few)} images")
    for image in few:
        _curves(net, image)
    _shuffle(rebuilt, chosen, few, costs, on_progress)
    found = {
        **document_head(EXPLAINED_SCHEMA),
        "model": rebuilt.name,
        "notes": notes,
        "patients": sides,
        "n_images": len(images),
        "n_unreadable": len(records) - len(images),
        "rules": RULES,
        "settings": {
            **asdict(costs),
            "deletion_steps": STEPS,
            "deletion_blur_px": BLUR_PX,
            "slow_images": len(few),
            "shuffled_images": min(len(few), _SHUFFLED_IMAGES),
            "shuffled_images_slow": min(len(few), _SHUFFLED_SLOW),
        },
        "bootstrap": bootstrap_facts(draws, 0),
        "methods": {
            name: {
                "title": method.title,
                "reference": method.reference,
                **method_figures(name, images, draws=draws),
            }
            for name, method in chosen.items()
        },
    }
    return _write(found, few[:_ON_SHEET], chosen, out)


def _chosen_records(
    tables: Sequence[Path], split: Split | None, rebuilt: Rebuilt, limit: int | None
) -> tuple[list[Record], dict[str, int]]:
    """Give the images of data sets that mark lesions, and the number of patients of each side.

    Images with marked lesions are first.
    """
    if len(tables) == 1 and tables[0].suffix.lower() == ".toml":
        records = _of_run(tables[0], split or Split.VALIDATION, rebuilt)
    else:
        manifest = Manifest.read(*tables)
        refuse_leak(manifest.records)
        records = [(r, "unknown") for r in manifest.records if split in (None, r.split)]
    marking = {record.dataset for record, _ in records if record.lesions}
    if not marking:
        raise InvalidManifest(
            "none of these images has a marked lesion",
            source=", ".join(map(str, tables)),
            keyword="lesions",
            remedy="Give tables with lesions (see docs/reference/tables.md), or another --split",
        )
    kept = [pair for pair in records if pair[0].dataset in marking]
    # An order that depends only on the identifiers.
    kept.sort(key=lambda pair: hashlib.sha256(pair[0].image_name.encode()).hexdigest())
    marked = [pair for pair in kept if pair[0].lesions][:limit]
    others = [pair for pair in kept if not pair[0].lesions][:limit]
    sides: dict[str, set[tuple[str, str]]] = {}
    for record, side in (*marked, *others):
        sides.setdefault(side, set()).add(record.patient)
    return [record for record, _ in (*marked, *others)], {k: len(v) for k, v in sides.items()}


def _of_run(table: Path, split: Split, rebuilt: Rebuilt) -> list[tuple[Record, str]]:
    from mammolens.learn.config import load_localisation, load_manifest, read_run

    config = read_run(table)
    manifest, marked = load_manifest(config), load_localisation(config)
    refuse_other_split(manifest, rebuilt.split_digest, rebuilt.name, str(table))
    own = {record.key for record in manifest.records}
    further = [record for record in (marked.records if marked else ()) if record.key not in own]
    side = "learned from" if split is Split.TRAIN else "held out"
    taught = side if config.train.map_weight else "held out"
    return [(r, side) for r in manifest.records if r.split is split] + [
        (r, taught) for r in further if r.split is split
    ]


def _prepared(
    records: Sequence[Record], rebuilt: Rebuilt, on_progress: Tell
) -> Iterator[ExplainedImage]:
    for record in records:
        try:
            yield ExplainedImage(record, prepare_record(record, rebuilt.preprocess))
        except InputError as error:
            on_progress(f"left out: {error}")


def _explain(net: LogOdds, methods: dict[str, Method], image: ExplainedImage, costs: Costs) -> None:
    """Make and read the maps of one image.

    The time of the pass through the trunk counts for methods that read feature maps.
    """
    from mammolens.learn.attribution import look_at, map_of

    began = time.perf_counter()
    looks = look_at(net, image.view.pixels)
    passing = time.perf_counter() - began
    for name, method in methods.items():
        began = time.perf_counter()
        heat = map_of(method, net, looks, costs)
        spent = time.perf_counter() - began
        image.heats[name] = heat
        image.seconds[name] = spent + (passing if method.reads_maps else 0.0)
        image.readings[name] = read_map(image.record, image.view, heat)


def _curves(net: LogOdds, image: ExplainedImage) -> None:
    from mammolens.learn.attribution import probabilities

    view = image.view
    for name, heat in image.heats.items():
        image.curves[name] = deletion_insertion(
            lambda pictures: probabilities(net, pictures), view.pixels, view.mask, heat
        )


def _shuffle(
    rebuilt: Rebuilt,
    methods: dict[str, Method],
    images: Sequence[ExplainedImage],
    costs: Costs,
    on_progress: Tell,
) -> None:
    """Compare each map with that of a network whose weights are shuffled."""
    from mammolens.learn.attribution import LogOdds, look_at, map_of, shuffled

    for layers in SHUFFLES:
        on_progress(f"weights shuffled: {layers}")
        for seed, one in enumerate(images[:_SHUFFLED_IMAGES]):
            shuffled_net = LogOdds(shuffled(rebuilt.net, layers, seed))
            looks = look_at(shuffled_net, one.view.pixels)
            for name, method in methods.items():
                if method.slow and seed >= _SHUFFLED_SLOW:
                    continue
                heat, own = map_of(method, shuffled_net, looks, costs), one.heats[name]
                one.likeness.setdefault(name, {})[layers] = Likeness(
                    rank_correlation(own, heat, one.view.mask), global_similarity(own, heat)
                )


def _write(
    found: dict[str, Any],
    shown: Sequence[ExplainedImage],
    methods: dict[str, Method],
    out: Path,
) -> list[Path]:
    paths = [out / f"explanations.{kind}" for kind in ("json", "md", "png")]
    with storage(out, "the results", keyword="--out"):
        write_whole(paths[0], json.dumps(found, indent=2, allow_nan=False) + "\n")
        write_whole(paths[1], render_markdown(build_explained(found)))
    columns = {name: method.title for name, method in methods.items()}
    rows = [(one.record, one.view, one.heats) for one in shown]
    return [*paths[:2], *([write_png(paths[2], draw_sheet(rows, columns))] if rows else [])]
