"""Sinks of other packages that break their description: nothing leaves the folder of results."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from mammolens.errors import ConfigError, InputError
from mammolens.sinks import SINKS, Artefact, Sink, _registry, exam_artefacts, write_run


@pytest.fixture
def faulty(monkeypatch, request):
    """A sink for each exam or run that gives the artefacts of the parameter."""
    module = ModuleType("faulty_sink")
    artefacts = request.param
    module.row = lambda *_: 1
    module.join = lambda *_: iter(artefacts)
    sink = Sink("faulty", "run", "x", "text/plain", ("f.txt", "f/{exam}.txt"), **FUNCTIONS)
    module.SINK = sink
    monkeypatch.setitem(sys.modules, "faulty_sink", module)
    monkeypatch.setattr(_registry, "_third_party", lambda: {"faulty": "faulty_sink:SINK"})
    return sink


FUNCTIONS = {"row": "faulty_sink:row", "join": "faulty_sink:join"}


def text(name: str) -> Artefact:
    return Artefact(name, "text/plain", b"x")


BAD = [
    [text("../x.txt")],
    [text("f/../../x.txt")],
    [text("/tmp/x.txt")],
    [text("g.txt")],
    [text("f/q/a.txt")],
    [text("f/a.bin")],
    [text("f.txt"), text("f.txt")],
    [text("f/" + "a" * 300 + ".txt")],
    [text("f/a\0.txt")],
    None,
]


@pytest.mark.parametrize("faulty", BAD, indirect=True, ids=range(10))
def test_a_run_stops_with_the_name_of_the_sink_and_leaves_nothing(
    faulty: Sink, study, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match=r"the sink 'faulty' failed .*Leave it out"):
        write_run([study.exam()], out, study.bench.run, ["json", faulty.name])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("faulty", BAD[:-1], indirect=True, ids=range(9))
def test_the_artefacts_of_an_exam_are_refused_too(faulty, study) -> None:
    with pytest.raises(ValueError, match="'faulty'"):
        list(exam_artefacts(faulty.name, study.exam(), study.bench.run))


@pytest.mark.parametrize(
    "files",
    [
        ("{exam}.txt",),
        ("../x/{exam}.txt",),
        ("/x.txt",),
        ("x/{other}.txt",),
        ("a/{exam}.b", "a/c.d"),
    ],
)
def test_a_description_with_impossible_files_is_refused(files: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="each needs a first folder or name of its own"):
        Sink("x", "run", "x", "text/plain", files, **FUNCTIONS)


@pytest.mark.parametrize("patient", ["P.1", "x" * 300, "..", "a/b", "Ωμ", "CON"])
@pytest.mark.parametrize("name", SINKS)
def test_any_patient_id_gives_names_that_the_sink_describes(name, patient, study) -> None:
    exam = replace(study.exam(), patient_id=patient)
    try:
        made = list(exam_artefacts(name, exam, study.bench.run))
    except InputError:
        return  # a message cannot hold such an ID
    assert made
    assert all(SINKS[name].may_write(artefact.name) for artefact in made)
