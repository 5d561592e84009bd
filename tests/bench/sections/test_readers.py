"""The model beside radiologists: their ROC, who would change, and readers that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as reference

from mammolens.bench.evidence import Evidence
from mammolens.bench.sections.readers import BIRADS_SCALE, labels_are_birads, readers
from mammolens.bench.settings import Settings

SETTINGS = Settings(draws=80)


def reading(**facts):
    """A reader who sees most cancers and recalls some of the well; a tenth was not read."""
    rng, kind = facts["rng"], facts["kind"]
    if facts["woman"] % 10 == 0:
        return {"birads": None}
    grades = ("4a", "5", "0", "2") if kind == 2 else ("1", "2.0", "3", "0", "1")
    return {"birads": str(rng.choice(grades))}


@pytest.fixture(scope="module")
def evidence(make_cohort):
    return Evidence(make_cohort(150, further=reading), SETTINGS)


def test_the_registrys_point_is_set_against_the_models_roc(evidence):
    found = readers(evidence)["registry"]
    sample = evidence.sample("malignancy", "breast")
    rates, hits, _ = reference.roc_curve(sample.labels, sample.scores, drop_intermediate=False)
    sensitivity = hits[rates <= 1 - 0.889].max()
    assert found["breast"]["sensitivity"]["value"] == pytest.approx(sensitivity)
    assert found["breast"]["sensitivity_difference"]["value"] == pytest.approx(sensitivity - 0.869)
    specificity = 1 - rates[hits >= 0.869].min()
    assert found["breast"]["specificity_difference"]["value"] == pytest.approx(specificity - 0.889)
    assert "10.1148/radiol.2016161174" in found["source"]
    assert found["breast"]["n"] == 300


def test_the_readers_own_roc_and_who_would_change(evidence):
    found = readers(evidence)["birads"]["breast"]
    units = [
        one
        for one in evidence.sample("malignancy", "breast").units
        if any(record.birads for record in one.records)
    ]
    assert found["n"] == len(units)
    assert found["n"] + found["n_without_reading"] == 300
    assert found["note"] == "30 units have no reading: these may not be missing by chance"
    scale = {grade: place for place, grade in enumerate(BIRADS_SCALE)}
    grades = np.array([max(scale[r.birads[0]] for r in one.records if r.birads) for one in units])
    ill = np.array([one.label for one in units])
    recalled = grades >= scale["0"]
    assert found["readers"]["auc"]["value"] == pytest.approx(reference.roc_auc_score(ill, grades))
    assert found["readers"]["sensitivity"]["value"] == pytest.approx(recalled[ill].mean())
    assert found["readers"]["specificity"]["value"] == pytest.approx(1 - recalled[~ill].mean())
    assert found["roc"]["recall_from"] == [None, "5", "4", "0", "3", "2", "1"]
    at = found["roc"]["recall_from"].index("0")
    assert found["roc"]["true_positive_rate"][at] == pytest.approx(recalled[ill].mean())
    model = np.array([one.scores.malignant for one in units])
    assert found["difference"]["auc"]["value"] == pytest.approx(
        reference.roc_auc_score(ill, model) - reference.roc_auc_score(ill, grades)
    )
    changes = found["changes"]
    theirs, ours = changes["readers"], changes["model"]
    assert theirs["false_negative"] == int((ill & ~recalled).sum())
    assert (
        theirs["false_negative"] - changes["false_negatives_found"] + changes["true_positives_lost"]
        == ours["false_negative"]
    )
    assert (
        theirs["false_positive"]
        - changes["false_positives_spared"]
        + changes["true_negatives_recalled"]
        == ours["false_positive"]
    )
    assert ours["true_negative"] == pytest.approx(theirs["true_negative"], abs=12)
    assert "four fifths" in changes["fixed_on"]


@pytest.mark.parametrize("dataset", ["inbreast", "vindr"])
def test_a_label_that_is_the_reading_judges_no_reader(make_cohort, dataset):
    found = readers(Evidence(make_cohort(dataset=dataset, further=reading), SETTINGS))["birads"]
    for unit in ("breast", "patient"):
        assert "the label is the reader" in found[unit]["note"]
        assert "BI-RADS itself" in found[unit]["refused"][dataset]
        assert "readers" not in found[unit]


def test_a_label_that_follows_the_reading_is_found_out(make_cohort):
    def follows(**facts):
        return {"birads": "5" if facts["kind"] == 2 else "2"}

    women = make_cohort(further=follows)
    assert "follows BI-RADS in all 360 readings" in labels_are_birads(women)["made"]
    assert labels_are_birads(make_cohort(further=reading)) == {}


def test_no_reading_and_proven_cancers_are_no_readers(make_cohort):
    def proven(**facts):
        return {"birads": "6" if facts["kind"] == 2 else None}

    found = readers(Evidence(make_cohort(further=proven), SETTINGS))["birads"]["patient"]
    assert found["n"] == 0
    assert found["n_without_reading"] == 90
    assert "no radiologist's BI-RADS" in found["note"]


def test_readers_who_recall_everybody_have_no_threshold(make_cohort):
    def anxious(**facts):
        return {"birads": str(facts["rng"].choice(["0", "4"]))}

    found = readers(Evidence(make_cohort(further=anxious), SETTINGS))["birads"]["patient"]
    assert found["readers"]["specificity"]["value"] == 0.0
    assert "no cancer with a reading was missed" in found["note"]
    assert "no threshold stands for it" in found["changes"]["note"]
