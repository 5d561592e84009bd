"""Replace identifiers by keyed hashes: equal within a run, and not reversible after it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace

from mammolens.core import Caution, ImagePrediction, ImageRef, Prediction, SourceHeader, Unreadable

__all__ = ["hide_identity", "pseudonymise"]


def pseudonymise(prediction: Prediction, key: bytes) -> Prediction:
    """Replace patient identifiers and UIDs, also patient identifiers in paths and messages.

    Patient identifiers become ``anon-`` and twelve hexadecimal digits, UIDs become UIDs under 2.25.
    The source header, which DICOM sinks copy into results, is emptied.
    """
    known = {prediction.patient_id, *(image.ref.patient_id for image in prediction.images)}
    secret = sorted((p for p in known if p), key=len, reverse=True)

    def hidden(text: str) -> str:
        for identifier in secret:
            text = text.replace(identifier, _pseudonym(identifier, key))
        return text

    fusion = prediction.fusion
    return replace(
        prediction,
        patient_id=prediction.patient_id and _pseudonym(prediction.patient_id, key),
        study_instance_uid=_uid(prediction.study_instance_uid, key),
        images=tuple(_image(image, key, hidden) for image in prediction.images),
        unreadable=tuple(
            Unreadable(hidden(item.path), item.error, hidden(item.message), kind=item.kind)
            for item in prediction.unreadable
        ),
        cautions=_cautions(prediction.cautions, hidden),
        age_odds_factor=None,  # with the card, it would reveal the age
        # Ages, births and illnesses together can name a patient.
        clinical=(),
        fusion=fusion and replace(fusion, contributions=(), images_malignant=None),
        risk=None,
    )


def hide_identity(
    ref: ImageRef, key: bytes
) -> tuple[ImageRef, Callable[[tuple[Caution, ...]], tuple[Caution, ...]]]:
    """Replace the identifiers of one image, and give a function that does this in cautions."""

    def hidden(text: str) -> str:
        known = ref.patient_id
        return text.replace(known, _pseudonym(known, key)) if known else text

    return _ref(ref, key, hidden), lambda cautions: _cautions(cautions, hidden)


def _image(image: ImagePrediction, key: bytes, hidden: Callable[[str], str]) -> ImagePrediction:
    return replace(
        image,
        ref=_ref(image.ref, key, hidden),
        header=SourceHeader(),
        cautions=_cautions(image.cautions, hidden),
    )


def _ref(ref: ImageRef, key: bytes, hidden: Callable[[str], str]) -> ImageRef:
    return replace(
        ref,
        path=hidden(ref.path),
        age_years=None,
        patient_id=ref.patient_id and _pseudonym(ref.patient_id, key),
        study_instance_uid=_uid(ref.study_instance_uid, key),
        series_instance_uid=_uid(ref.series_instance_uid, key),
        sop_instance_uid=_uid(ref.sop_instance_uid, key),
    )


def _cautions(cautions: tuple[Caution, ...], hidden: Callable[[str], str]) -> tuple[Caution, ...]:
    return tuple(replace(caution, message=hidden(caution.message)) for caution in cautions)


def _digest(text: str, key: bytes) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _pseudonym(identifier: str, key: bytes) -> str:
    return f"anon-{_digest(identifier, key)[:12]}"


def _uid(uid: str | None, key: bytes) -> str | None:
    return uid and f"2.25.{int(_digest(uid, key)[:32], 16)}"
