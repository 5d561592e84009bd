"""The limits that a section must state with its figures."""

from __future__ import annotations

from mammolens.bench.evidence import Evidence
from mammolens.bench.report.benefit import workload_blocks
from mammolens.bench.report.document import Text
from mammolens.bench.report.readers import readers_blocks
from mammolens.bench.sections.readers import readers
from mammolens.bench.sections.workload import workload
from mammolens.bench.settings import Settings

SETTINGS = Settings(draws=50)


def told(blocks) -> str:
    return " ".join(block.words for block in blocks if isinstance(block, Text))


def anxious(**facts):
    ill = facts["kind"] == 2
    return {"birads": str(facts["rng"].choice(["0", "4"] if ill else ["1", "4", None]))}


def test_limits_of_readings_are_shown_with_the_comparison(make_cohort):
    found = readers(Evidence(make_cohort(further=anxious), SETTINGS))
    doubts = found["birads"]["breast"]["note"]
    assert "no cancer with a reading was missed" in doubts
    assert "have no reading" in doubts
    said = told(readers_blocks({"datasets": {"made": {"readers": found}}}))
    assert f"made, breast: {doubts}" in said


def test_thresholds_chosen_on_the_judged_patients_are_named_as_such(make_cohort):
    evidence = Evidence(make_cohort(further=anxious), SETTINGS)
    judged = {"made": {"readers": readers(evidence), "workload": workload(evidence)}}
    for blocks in (readers_blocks, workload_blocks):
        assert "chosen on the same patients" in told(blocks({"datasets": judged}))
