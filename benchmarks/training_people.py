"""Write who was in the training data of the shipped model into its card; graph and digests stay.

Usage::

    python benchmarks/training_people.py configs/mammolens-2.toml src/mammolens/models/mammolens-2
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mammolens.bench.packaging.card_text import people_groups
from mammolens.data.manifest import Split
from mammolens.learn.config import load_manifest, read_run
from mammolens.model import ModelCard, read_card
from mammolens.model.package_writer import card_markdown


def main() -> None:
    config, package = read_run(Path(sys.argv[1])), Path(sys.argv[2])
    learned = load_manifest(config).select(split=Split.TRAIN).records
    card = read_card((package / "card.json").read_text("utf-8"), str(package))
    stated = {one.name: (one.images, one.patients) for one in card.training.datasets}
    for name, (images, patients) in stated.items():
        own = [one for one in learned if one.dataset == name]
        counted = len(own), len({one.patient for one in own})
        if counted != (images, patients):
            sys.exit(f"{name}: the card says {images} images of {patients} patients, not {counted}")
    training = card.training.model_copy(update={"people": people_groups(learned)})
    new = ModelCard.model_validate({**vars(card), "training": training})
    text = json.dumps(new.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (package / "card.json").write_text(f"{text}\n", "utf-8")
    (package / "CARD.md").write_text(card_markdown(new), "utf-8")


if __name__ == "__main__":
    main()
