"""What is known of a patient beside the images: typed, with source and date; unknown stays unknown.

`files` reads tables, HL7 v2 and FHIR R4. `choose_items` decides what counts for one exam. `Fusion`
adds it to the images' log-odds of malignancy; `fitting` fits and judges one. `state_risk` gives the
risk of the next five years (BCRAT), which is part of no score.
"""

from __future__ import annotations

from mammolens.clinical.fusion import Fusion, read_fusion
from mammolens.clinical.gail import state_risk
from mammolens.clinical.items import ITEMS, show_value
from mammolens.clinical.records import (
    ClinicalData,
    ClinicalRecord,
    choose_items,
    item_words,
    known_value,
)

__all__ = [
    "ITEMS",
    "ClinicalData",
    "ClinicalRecord",
    "Fusion",
    "choose_items",
    "item_words",
    "known_value",
    "read_fusion",
    "show_value",
    "state_risk",
]
