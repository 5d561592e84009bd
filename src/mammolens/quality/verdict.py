"""Judge the quality of a picture before any score: which criteria are good, and which are poor.

A mammogram and its prepared view go in, an `ImageQuality` comes out. Nothing is refused here; the
gate alone refuses. Blur, motion, clipping, wrong exposure and cut-off tissue beyond their limits
are doubts, and so is a picture whose sharpness cannot be judged: the exam is not ``low``.
Everything else is reported. How often each criterion errs is
measured by `benchmarks/door_errors.py`: docs/evidence/door.md. The browser does the same to the
doubts: web/src/analysis/quality.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mammolens.core import (
    Criterion,
    ImageQuality,
    Mammogram,
    PreparedView,
    ViewPosition,
)
from mammolens.preprocess import Denoise, Pectoral, PreprocessConfig, prepare
from mammolens.quality.criteria import judged, positioning_criteria, unknown
from mammolens.quality.frame import Frame, Places, measure_frame, measure_objects
from mammolens.quality.gate import Outcome, judge
from mammolens.quality.positioning import measure_positioning
from mammolens.quality.sharpness import Texture, measure_texture

__all__ = ["DOOR_CONFIG", "assess"]

DOOR_CONFIG: Final = PreprocessConfig(height=640, width=352, denoise=Denoise.NONE, clahe_clip=0)
"""The preparation on which texture is measured; that of the shipped model, so it is made once."""

LEAST_SHARPNESS: Final = -1.70
"""Base-2 logarithm of fine by middle detail, see `Texture`; below it the picture is doubted. Chosen
on the training side: of ddsm 0.5 % lie below -1.59, of rsna, inbreast and cesm none below -1.52. A
higher limit notices slighter blur and doubts more sound pictures."""
MOST_DIRECTION: Final = 0.75
"""Base-2 logarithm of detail across by detail along one direction; above it: motion. Same side:
0.5 % of rsna lie above 0.54, of inbreast above 0.64."""
FEWEST_ROWS: Final = 320
"""A breast of fewer source rows is not assessed for motion: half of the prepared rows."""
UNEVEN: Final = 1.5
"""Motion is not assessed if pixels are more than this many times as high as wide, or as wide as
high: such a picture was squeezed, and its detail differs by direction."""
MOST_NOISE: Final = 11.0
"""Robust deviation of the finest detail in greys of 255. Same side: rsna has 10.5 at most."""
DARKEST, LIGHTEST = 0.085, 0.85
"""Median grey (0–1) of a breast that is neither too dark nor too light. Same side: 0.5 % of rsna
lie below 0.090, and 0.839 is the highest of all."""
LEAST_CONTRAST: Final = 0.08
"""Percentiles 5 to 95 of the breast's greys (0–1) differ by at least this. Chosen on the
training side too."""
MOST_CUT: Final = 0.30
"""Share of the breast's height that lies straight along the edge at the nipple's side. Same side:
0.5 % of ddsm lie above 0.28, of rsna above 0.21. A breast that loses 20 % of its width has 0.3 to
0.7."""
MOST_IMPLANT: Final = 0.25
"""Share of the breast that is one bright, even part. Of 35 pictures of rsna without an implant one
lies above, of 25 with one 10: views beside a displaced implant show none."""


def assess(mammogram: Mammogram, view: PreparedView, config: PreprocessConfig) -> ImageQuality:
    """Give the verdict on one picture.

    Parameters
    ----------
    mammogram
        As it was read; its pixels are used only if `config` is not plain, to prepare it again.
    view
        The result of `mammolens.preprocess.prepare` with `config`.

    Raises
    ------
    NotAMammogram
        If `config` is not plain and the picture cannot be prepared; `prepare` has then refused it.
    """
    if not _is_plain(config):
        view = prepare(mammogram, DOOR_CONFIG)
    try:
        return _assessed(mammogram, view)
    except Exception as error:  # a fault of the verdict loses no exam, and leaves it in doubt
        why = f"the quality of the picture could not be judged: {type(error).__name__}"
        return ImageQuality((unknown("kind", why, doubts=True),))


def _assessed(mammogram: Mammogram, view: PreparedView) -> ImageQuality:
    overview = view.overview
    frame = measure_frame(overview) if overview is not None else None
    if overview is None or frame is None:
        why = "no whole breast was found in the picture"
        return ImageQuality((unknown("kind", why, doubts=True),))
    place = Places(mammogram, view, frame)
    texture = measure_texture(view)
    oblique = mammogram.ref.view_position is ViewPosition.MLO
    cut = frame.cut_far > MOST_CUT
    found = measure_positioning(frame, oblique) if not cut else None
    criteria = (
        _kind(view),
        *_texture(view, texture, place),
        _exposure(frame, place),
        _clipping(view, frame, place),
        _cut_off(frame, place),
        *_objects(view, frame, place),
        _inverted(view),
        *positioning_criteria(found, place, mammogram.ref.view_position),
    )
    known = found is not None and (mammogram.ref.view_position is ViewPosition.CC or found.muscle)
    line = found.line if found is not None and known else None
    return ImageQuality(
        criteria,
        place.length_px(line) if line else None,
        place.length_mm(line) if line else None,
    )


def _is_plain(config: PreprocessConfig) -> bool:
    return (
        config.denoise is Denoise.NONE
        and config.clahe_clip == 0
        and config.pectoral is Pectoral.KEEP
        and (config.height, config.width) == (DOOR_CONFIG.height, DOOR_CONFIG.width)
        and (config.low_percentile, config.high_percentile)
        == (DOOR_CONFIG.low_percentile, DOOR_CONFIG.high_percentile)
    )


def _kind(view: PreparedView) -> Criterion:
    assert view.overview is not None
    verdict = judge(view.overview)
    poor = verdict.outcome is not Outcome.PASSED
    reasons = (
        f"the picture looks like another kind: {verdict.look.value}",
        "the picture looks like a mammogram of one whole breast",
    )
    return judged("kind", poor, reasons, value=verdict.suspicion)


def _texture(view: PreparedView, texture: Texture | None, place: Places) -> Iterable[Criterion]:
    names = ("sharpness", "motion", "noise")
    if texture is None:
        # Extreme blur leaves no detail to measure, so what is not known here is a doubt.
        why = "the breast shows too little detail to judge its sharpness"
        return tuple(unknown(name, why, doubts=name == "sharpness") for name in names)
    blurred = texture.sharpness < LEAST_SHARPNESS
    sharp = judged(
        "sharpness",
        blurred,
        (
            "the picture is blurred: fine detail is weaker than in almost all mammograms",
            "fine detail is as strong as usual",
        ),
        value=texture.sharpness,
        limit=LEAST_SHARPNESS,
        doubts=True,
        marks=[place.breast()],
    )
    return sharp, _motion(view, texture, place), _noise(texture, place)


def _motion(view: PreparedView, texture: Texture, place: Places) -> Criterion:
    r0, _, r1, _ = view.geometry.upright.crop_source_px
    down, across = view.geometry.scale
    if r1 - r0 < FEWEST_ROWS:
        return unknown("motion", f"the breast has only {r1 - r0} rows of pixels")
    if max(down / across, across / down) > UNEVEN:
        return unknown("motion", "the pixels of the picture are not square")
    return judged(
        "motion",
        texture.direction > MOST_DIRECTION,
        (
            "the breast moved: fine detail is lost along one direction",
            "fine detail is alike in all directions",
        ),
        value=texture.direction,
        limit=MOST_DIRECTION,
        doubts=True,
        marks=[place.arrow(texture.angle_deg)],
    )


def _noise(texture: Texture, place: Places) -> Criterion:
    reasons = "the picture is noisy", "the noise is as low as usual"
    return judged(
        "noise",
        texture.noise > MOST_NOISE,
        reasons,
        value=texture.noise,
        limit=MOST_NOISE,
        unit="grey of 255",
        marks=[place.breast()],
    )


def _exposure(frame: Frame, place: Places) -> Criterion:
    good = "the breast is neither too dark nor too light"
    faults = (
        (frame.median < DARKEST, "the breast is too dark", frame.median, DARKEST),
        (frame.median > LIGHTEST, "the breast is too light", frame.median, LIGHTEST),
        (
            frame.contrast < LEAST_CONTRAST,
            "the breast has too little contrast",
            frame.contrast,
            LEAST_CONTRAST,
        ),
    )
    fine = (True, "", frame.median, None)
    _, words, value, limit = next(one for one in (*faults, fine) if one[0])
    return judged(
        "exposure",
        bool(words),
        (words, good),
        value=value,
        limit=limit,
        unit="share of the grey scale",
        doubts=bool(words),
        marks=[place.breast()],
    )


def _clipping(view: PreparedView, frame: Frame, place: Places) -> Criterion:
    """The rule is that of `prepare`, whose doubt says the same; it is not decided again here."""
    share = max(frame.white, frame.black)
    reasons = (
        "parts of the breast are so white or black that they show no detail",
        "hardly any of the breast is pure white or black",
    )
    poor = any(one.name == "saturated" for one in view.cautions)
    marks = [place.box(box) for box in frame.clipped()] if poor else []
    return judged("clipping", poor, reasons, value=share, unit="share of the breast", marks=marks)


def _cut_off(frame: Frame, place: Places) -> Criterion:
    row0, _, _, col1 = frame.box
    rows = [row0 + int(n) for n in (frame.last >= frame.last.max() - 1).nonzero()[0]]
    return judged(
        "cut_off",
        frame.cut_far > MOST_CUT,
        (
            "tissue is cut off at the side of the nipple: the outline is straight there",
            "the outline is round at the side of the nipple",
        ),
        value=frame.cut_far,
        limit=MOST_CUT,
        unit="share of the breast's height",
        doubts=True,
        marks=[place.line([(rows[0], col1), (rows[-1], col1)])],
    )


def _objects(view: PreparedView, frame: Frame, place: Places) -> Iterable[Criterion]:
    found = measure_objects(frame)
    named = any(one.name == "breast_implant" for one in view.cautions)
    yield judged(
        "artefacts",
        bool(found.at_breast),
        ("something bright lies at the outline of the breast", "nothing bright lies at the breast"),
        value=float(len(found.at_breast)),
        limit=0.0,
        unit="objects",
        marks=[place.box(box) for box in found.at_breast],
    )
    yield judged(
        "implant",
        named or found.implant > MOST_IMPLANT,
        (
            "the header names an implant" if named else "a large part is bright and even",
            "no sign of an implant",
        ),
        value=found.implant,
        limit=MOST_IMPLANT,
        unit="share of the breast",
        marks=[place.breast()],
    )


def _inverted(view: PreparedView) -> Criterion:
    poor = any(one.name == "inverted_picture" for one in view.cautions)
    reasons = (
        "the picture is dark on bright, against its header; it was inverted for the analysis",
        "the breast is bright on dark, as the header says",
    )
    return judged("inverted", poor, reasons)
