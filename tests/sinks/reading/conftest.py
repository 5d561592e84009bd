"""A signed reading of four views with marks of every shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from mammolens.core import (
    ImageRef,
    Laterality,
    Mammogram,
    Source,
    SourceHeader,
    TriageCategory,
    ViewPosition,
    Window,
)
from mammolens.readings import Addition, AiStatement, Answer, Observer, SignedReading

VIEWS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))
HEADER = SourceHeader(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
    patient_name="Doe^Jane",
    patient_sex="F",
    patient_birth_date="19600131",
    accession_number="ACC-7",
    study_id="S1",
    study_date="20261001",
    study_time="101500",
    referring_physician_name="Refer^Rita",
    patient_orientation=("A", "FR"),
)
SHAPE = (600, 400)
MASS = {"type": "mass", "answers": {"shape": "irregular", "margin": "spiculated"}}
GROUP = {
    "type": "calcification",
    "answers": {"morphology": "typically-benign", "distribution": "grouped"},
}
ANSWER = {
    "density": {"right": "b", "left": "c"},
    "assessments": {"right": {"birads": "2"}, "left": {"birads": "5"}},
    "recall": True,
    "comment": "A mass <b>left</b> & a scar; Größe 12 mm",
    "urgent": "Please call today",
    "findings": [
        {
            "image": "1.2.840.1.2.1",
            "shape": "ellipse",
            "points_source_px": [[100, 150], [180, 260]],
            "descriptors": MASS,
            "birads": "5",
            "text": "palpable?",
        },
        {"image": "1.2.840.1.2.1", "shape": "point", "points_source_px": [[50.5, 60]]},
        {
            "image": "1.2.840.1.4.1",
            "shape": "arrow",
            "points_source_px": [[300, 300], [200, 250]],
            "descriptors": GROUP,
        },
        {
            "image": "1.2.840.1.4.1",
            "shape": "length",
            "points_source_px": [[10, 10], [40, 50]],
            "length_mm": 3.5,
            "spacing_source": "imager",
        },
        {"image": "1.2.840.1.1.1", "shape": "length", "points_source_px": [[0, 0], [30, 40]]},
        {
            "image": "1.2.840.1.1.1",
            "shape": "text",
            "points_source_px": [[20, 30]],
            "text": "clip",
        },
    ],
}


def source(number: int) -> Source:
    side, view = VIEWS[number]
    ref = ImageRef(
        f"{number}.dcm",
        patient_id="P1",
        study_instance_uid="1.2.840.1",
        series_instance_uid=f"1.2.840.1.{number + 1}",
        sop_instance_uid=f"1.2.840.1.{number + 1}.1",
        laterality=Laterality(side),
        view_position=ViewPosition(view),
        spacing_mm=(0.07, 0.07),
    )
    return Source(ref, HEADER)


def picture(one: Source) -> Mammogram:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    breast = np.clip(3000 - ((rows - 300) ** 2 + columns**2) / 40, 0, 3000).astype(np.uint16)
    return Mammogram(one.ref, one.header, breast, voi=Window(1500.0, 3000.0))


@pytest.fixture
def signed() -> Callable[..., SignedReading]:
    """Give a function that makes a signed reading with some changes."""

    def make(answer: dict[str, Any] | None = None, **changes: Any) -> SignedReading:
        images = tuple(map(source, range(4)))
        made = SignedReading(
            id=7,
            role="first",
            observer=Observer("Dr. Ada R^e\\ader", "ada", "North"),
            answer=Answer.model_validate(ANSWER | (answer or {})),
            images=images,
            signed=datetime(2026, 10, 2, 9, 30, tzinfo=UTC),
            ai_shown=True,
            blinded=True,
            agreed=True,
            ai=AiStatement(TriageCategory.HIGH, "mammolens-2", "2.0", has_doubts=True),
            additions=(Addition("Dr. Ada", "One more word", datetime(2026, 10, 3, tzinfo=UTC)),),
            pictures={str(one.ref.sop_instance_uid): picture(one) for one in images},
        )
        return replace(made, **changes)

    return make
