"""Special views in free text of seven languages, and ordinary descriptions."""

from __future__ import annotations

import pytest

from mammolens.core import Laterality, ViewPosition
from mammolens.images.descriptions import read_description, read_view_position
from mammolens.images.vocabulary import Topic

ORDINARY = (
    "L CC|RMLO|R CC Tomosynthesis Reconstruction|R MLO C-View|L CC S-View|Routine3D_AEC|COMBO|FFDM"
    "|Standard screening - combo|MAMMO SCREENING|Mammo diagnostic left|Limited views|Mammography"
    "|Mammographie bds. in 2 Ebenen|Mammographie de dépistage|FACE ET OBLIQUE|Mamografía bilateral"
    "|Mamografia de rastreamento|Mammografia screening|Borstfoto|PremiumView|Film digitized"
    "|Callback"
    "|Additional views|Zusatzaufnahme|MAMMO SCREENING MAGnetom|Clinica Santa Magdalena|Hot spot"
    "|Large focal spot|Flat field corrected|no implants|ohne Implantat|without contrast"
    "|W/O contrast"
    "|sin contraste|High contrast|offset subtraction|Senographe Pristina|Selenia Dimensions|ML L"
    "|No magnification|XCCL R|CCs and MLOs|Annual, dense breasts|full mammogram images"
)
SPECIAL = {
    Topic.MAGNIFIED: "Mag views|MAG1.8|RCCMAG|L M CC|Vergrößerung|Vergroesserungsaufnahme|Agrandi"
    "|Ampliación|Magnificação|Ingrandimento|Vergroting|CC 1.5x|Lupenaufnahme",
    Topic.SPOT: "Spot|SMLO|Spotkompression|Zielaufnahme|Cliché centré|Compresión focal|Coned|Spot2"
    "|Compressione mirata|Compressão localizada",
    Topic.TANGENTIAL: "Tangential|TAN|Tangentialaufnahme|tangenziale|tangencial",
    Topic.CLEAVAGE: "Cleavage|valley view",
    Topic.STEREO: "Stereo|Stereotaxie|stereotaktisch|Estereotaxia|STEREO_SCOUT|pre-fire|Postfire",
    Topic.NEEDLE: "Needle loc|Wire localisation|Drahtmarkierung|Nadel|Harpon|Arpón|Localizzazione",
    Topic.BIOPSY: "Biopsy|Biopsie|Stanzbiopsie|Macrobiopsie|Agobiopsia|Core BX",
    Topic.DUCT: "Ductogram|Galactography|Galaktographie|Galattografia",
    Topic.AFTER_BIOPSY: "post biopsy|Post-Biopsie|nach Biopsie|clip|S/P biopsy",
    Topic.ROLLED: "rolled lateral|gerollt|CC RL",
    Topic.TAIL: "axillary tail|Cleopatra|cola axilar",
    Topic.IMPLANT: "Eklund|implant displaced|LCCID|MLO ID|Prothese|Implantat",
    Topic.SPECIMEN: "Specimen|Präparat|Pièce opératoire|Pieza quirúrgica|Peça cirúrgica|Preparaat",
    Topic.PHANTOM: "ACR phantom|Fantôme|Fantoma|Fantoom",
    Topic.QUALITY: "QC|Konstanzprüfung|Contrôle de qualité|Control de calidad|SMPTE|Flat field",
    Topic.RECOMBINED: "recombined|rekombiniert|Soustraction|Subtraktion|high energy",
    Topic.LOW_ENERGY: "low energy|Niedrigenergie|basse énergie|baja energía",
    Topic.CEM: "CESM|CEM|dual energy|I-View|contrast enhanced",
}


@pytest.mark.parametrize("text", ORDINARY.split("|"))
def test_ordinary_descriptions_say_nothing_special(text) -> None:
    assert read_description(text).topics == set()


@pytest.mark.parametrize(
    ("topic", "text"),
    [(topic, text) for topic, texts in SPECIAL.items() for text in texts.split("|")],
)
def test_special_descriptions_are_understood(topic, text) -> None:
    assert topic in read_description(text).topics
    assert topic in read_description(f"{text.upper()}, R").topics


def test_every_topic_has_words() -> None:
    silent = {Topic.AXILLA, Topic.MODIFIED, Topic.NIPPLE, Topic.PARTIAL, Topic.CONTRAST}
    assert {*SPECIAL} | silent == {*Topic}


@pytest.mark.parametrize("side", ["", "L", "R"])
@pytest.mark.parametrize("view", ["CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM"])
@pytest.mark.parametrize(
    ("prefix", "suffix", "topics"),
    [
        ("", "", set()),
        ("M", "", {Topic.MAGNIFIED}),
        ("MS", "", {Topic.MAGNIFIED, Topic.SPOT}),
        ("", "RL", {Topic.ROLLED}),
        ("", "ID", {Topic.IMPLANT}),
        ("", "SPOT", {Topic.SPOT}),
    ],
)
def test_labels_of_the_acr(side, view, prefix, suffix, topics) -> None:
    found = read_view_position(f"{side}{prefix} {view}{suffix}")
    assert found.laterality is (Laterality(side) if side else None)
    assert found.view_position is ViewPosition(view)
    assert found.topics == topics


@pytest.mark.parametrize("value", ["AP", "PA", "LAT", "RAT", "XCC", "LL", ""])
def test_other_positions_are_not_a_view(value) -> None:
    assert read_view_position(value).view_position is None
