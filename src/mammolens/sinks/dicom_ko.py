"""``dicom-ko/``: a Key Object Selection for an exam of the category high, and for no other.

Its title is "Of Interest" (CID 7010). It refers to the views of each breast whose probability
reached the upper threshold, or to all views if no single breast reached it. Viewers list it as key
images; archives and worklists can search for it. An exam without this object is not negative
because of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import highdicom as hd
from pydicom.dataset import Dataset

from mammolens.core import ImagePrediction, Prediction, Source, TriageCategory
from mammolens.sinks import Artefact, RunInfo
from mammolens.sinks._dicom_common import (
    finish,
    identify,
    per_exam,
    result_uid,
    source_dataset,
)
from mammolens.sinks._dicom_report import exam_ref, exam_sources
from mammolens.sinks._worklist import images_in_order
from mammolens.wording import DISCLAIMER, percent, view_name

__all__ = ["key_images", "selections", "views_of_interest"]

_SINK: Final = "dicom-ko"


def selections(prediction: Prediction, run: RunInfo) -> Iterator[Artefact]:
    """Give the key images of an exam of the category high."""
    return per_exam(prediction, run, key_images)


def key_images(prediction: Prediction, run: RunInfo) -> Dataset | None:
    """Make the Key Object Selection of an exam; ``None`` if its category is not high.

    Raises
    ------
    MissingAttribute, UnsupportedImage
        If an image lacks an identifier, or the images belong to several studies.

    Source: PS3.3 A.35.4, PS3.16 TID 2010 and CID 7010.
    """
    if prediction.category is not TriageCategory.HIGH or prediction.scores is None:
        return None
    exam_sources(prediction)  # refuses images without identifiers, and several studies
    chosen = views_of_interest(prediction, run)
    sources = [source_dataset(image) for image in chosen]
    words = (
        f"Triage high, P(malignant) {percent(prediction.scores.malignant)} at a prevalence of "
        f"{percent(prediction.prevalence)}; {', '.join(view_name(image.ref) for image in chosen)}. "
        f"{prediction.model.name} {prediction.model.version}. {DISCLAIMER}"
    )
    first = Source(chosen[0].ref, chosen[0].header)
    uids = [str(image.ref.sop_instance_uid) for image in chosen]
    identity = identify(_SINK, exam_ref(first), run.model, 1, words, *uids)
    observer = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=result_uid(run.model.name, run.model.version, run.model.digest),
        name=identity["manufacturer_model_name"],
        manufacturer_name=identity["manufacturer"],
    )
    made: Dataset = hd.ko.KeyObjectSelectionDocument(
        evidence=sources,
        content=hd.ko.KeyObjectSelection(
            document_title=hd.sr.CodedConcept("113000", "DCM", "Of Interest"),
            referenced_objects=sources,
            observer_device_context=hd.sr.ObserverContext(
                observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"),
                observer_identifying_attributes=observer,
            ),
            description=words,
        ),
        **identity,
    )
    return finish(made, _SINK, first.ref, first.header, run.created)


def views_of_interest(prediction: Prediction, run: RunInfo) -> list[ImagePrediction]:
    """Choose the views of the breasts at or above the upper threshold, or all views."""
    high = next((point.threshold for point in run.thresholds if point.name == "high"), 0.0)
    sides = {b.laterality for b in prediction.breasts if b.scores.malignant >= high}
    images = images_in_order(prediction)
    return [image for image in images if image.ref.laterality in sides] or images
