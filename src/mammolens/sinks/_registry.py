"""The table of sinks: what each sink writes and needs, and its functions.

The command line, the node, the documentation and the tests read this table; it is the only place
that describes what a sink can do. Reading it loads no function: a `Sink` names its functions as
``"module:function"``. Others add sinks through the entry point group ``mammolens.sinks``
(``name = "module:SINK"``, where ``SINK`` is a `Sink`).
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Any, Final, NoReturn

from mammolens.errors import ConfigError
from mammolens.spelling import did_you_mean

ENTRY_POINTS: Final = "mammolens.sinks"
DICOM: Final = "application/dicom"
LONGEST_NAME: Final = 255
"""Characters of the path of a file in a result, as the node's database stores it."""


@dataclass(frozen=True)
class Sink:
    """The description of one output format.

    A sink is a function. A sink that writes files for each exam is ``make(prediction, run)`` and
    yields an `Artefact` for each file. A sink that writes one file for the run has two functions:
    ``row(item, run, place)`` turns each prediction and each unreadable input into the row that is
    kept of it (or ``None``), and ``join(rows, run)`` yields the artefacts after the last row. Rows
    are stored on the disk, so that memory does not grow with the pictures.

    Attributes
    ----------
    name
        The name in ``--sinks NAME``.
    per
        It writes one file for each of these: ``exam``, ``image``, ``run``.
    makes
        Its output in a few words.
    media_type
        Of its main file.
    files
        Paths of its files in the folder of results. ``{exam}`` is replaced by the name of the exam
        and ``{name}`` by the name of the artefact without its suffix. A path without them is one
        file for the run. Files in a folder are listed in its ``index.csv``.
    make, row, join
        The functions, as ``"module:function"``. `place` is the number of earlier exams with images
        that are read before this one.
    regions
        The function that writes a report of marked regions, as ``"module:function"``: it takes a
        `RegionReport` and the `RunInfo` and gives one `Artefact`. Empty: regions are not taken.
    pictures
        Whether it needs the pictures of the images, to draw on them.
    identified
        Whether it names the patient, for the hospital that sent the images.
    sop_class
        SOP Class UID of the DICOM objects that it writes.
    needs, extra
        A package that it needs, and the extra that installs it.
    index
        Further columns in the index of its folder, besides file, patient and study.
    """

    name: str
    per: str
    makes: str
    media_type: str
    files: tuple[str, ...]
    make: str = ""
    row: str = ""
    join: str = ""
    regions: str = ""
    pictures: bool = False
    identified: bool = False
    sop_class: str = ""
    needs: str = ""
    extra: str = ""
    index: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        per_exam, per_run = bool(self.make), bool(self.row and self.join)
        if not self.files or per_exam is per_run:
            self._refuse("has no files, or not either 'make' or 'row' and 'join'")
        tops = [PurePosixPath(file).parts[0] for file in self.files if file]
        if len({*tops}) < len(self.files) or not all(map(_is_pattern, self.files)):
            self._refuse(
                f"has files {', '.join(self.files)}; each needs a first folder or name of its own, "
                "a folder if it has {exam} or {name}, and no '..'"
            )

    def _refuse(self, fault: str) -> NoReturn:
        raise ConfigError(
            f"the sink {self.name!r} {fault}", keyword="sinks", remedy="Correct its description"
        )

    def may_write(self, path: str) -> bool:
        """Whether a file of a result is one of `files`, and its name can be stored.

        Examples
        --------
        >>> sink = find_sink("fhir")
        >>> sink.may_write("fhir/P1.json"), sink.may_write("fhir/../P1.json")
        (True, False)
        """
        parts = path.split("/")
        plain = len(path) <= LONGEST_NAME and not {"", ".", ".."}.intersection(parts)
        return plain and any(_fits(pattern, parts) for pattern in self.files)

    def load(self, target: str) -> Callable[..., Any]:
        """Load one of the functions, which is named as ``"module:function"``.

        Raises
        ------
        ConfigError
            A package that the sink needs is not installed, or the function cannot be loaded.
        """
        if self.needs and find_spec(self.needs) is None:
            what = f"'mammolens[{self.extra}]'" if self.extra else self.needs
            raise ConfigError(
                f"the sink {self.name!r} needs {self.needs}",
                keyword="sinks",
                remedy=f"Run: pip install {what}",
            )
        function: Callable[..., Any] = _load(self.name, target)
        return function

    def check(self) -> None:
        """Check that the sink can be used.

        Raises
        ------
        ConfigError
            A package that it needs is not installed, or a function cannot be loaded.
        """
        for target in filter(None, (self.make, self.row, self.join)):
            self.load(target)


def _is_pattern(file: str) -> bool:
    """Whether a pattern stays in the folder of results, and has fields only below its top."""
    bare = file.replace("{exam}", "").replace("{name}", "")
    return (
        not {"", ".", ".."}.intersection(file.split("/"))
        and not {"{", "}", "\\", "\0"}.intersection(bare)
        and (bare == file or "/" in file)
        and "{" not in file.split("/")[0]
    )


def _fits(pattern: str, parts: list[str]) -> bool:
    """Whether a path fits a pattern. Any name with the same suffix fits a field: names are cut."""
    *folders, file = pattern.split("/")
    if len(parts) != len(folders) + 1 or not all(map(str.isprintable, parts)):
        return False
    known = [(want, part) for want, part in zip(folders, parts, strict=False) if "{" not in want]
    return (
        all(want == part for want, part in known)
        and (parts[-1].endswith(PurePosixPath(file).suffix) if "{" in file else parts[-1] == file)
        and "\\" not in "".join(parts)
    )


def _dicom(name: str, per: str, makes: str, make: str, sop_class: str, **more: Any) -> Sink:
    pattern = f"{name}/{{exam}}-{{name}}.dcm" if per == "image" else f"{name}/{{exam}}.dcm"
    module = f"mammolens.sinks.{name.replace('-', '_')}"
    return Sink(
        name,
        per,
        makes,
        DICOM,
        (pattern,),
        make=f"{module}:{make}",
        sop_class=f"1.2.840.10008.5.1.4.1.1.{sop_class}",
        identified=True,
        **more,
    )


_HIGHDICOM: Final = {"needs": "highdicom", "extra": "dicom"}
_BUILT_IN: Final = (
    Sink(
        "csv",
        "run",
        "worklist, a row for each exam",
        "text/csv",
        ("worklist.csv",),
        row="mammolens.sinks.worklist_csv:worklist_row",
        join="mammolens.sinks.worklist_csv:worklist",
        regions="mammolens.sinks.regions:regions_csv",
    ),
    _dicom("dicom-cad-sr", "exam", "Mammography CAD SR", "reports", "88.50"),
    _dicom("dicom-ko", "exam", "Key Object Selection", "selections", "88.59", **_HIGHDICOM),
    _dicom("dicom-pr", "image", "presentation state", "presentation_states", "11.1", **_HIGHDICOM),
    _dicom("dicom-sc", "image", "Secondary Capture", "captures", "7", pictures=True),
    _dicom("dicom-seg", "image", "Segmentation", "segmentations", "66.4", **_HIGHDICOM),
    _dicom("dicom-sr", "exam", "Comprehensive 3D SR", "reports", "88.34", **_HIGHDICOM),
    Sink(
        "fhir",
        "exam",
        "transaction Bundle, FHIR R4",
        "application/fhir+json",
        ("fhir/{exam}.json",),
        make="mammolens.sinks.fhir:bundles",
        identified=True,
    ),
    Sink(
        "hl7",
        "exam",
        "ORU^R01, HL7 v2.5.1",
        "x-application/hl7-v2+er7",
        ("hl7/{exam}.hl7",),
        make="mammolens.sinks.hl7:messages",
        identified=True,
    ),
    Sink(
        "html",
        "run",
        "page with the worklist and every exam",
        "text/html",
        ("report.html", "report-pictures/{exam}-{name}.jpg"),
        row="mammolens.sinks.html:exam_row",
        join="mammolens.sinks.html:page",
        regions="mammolens.sinks.regions:regions_html",
        pictures=True,
    ),
    Sink(
        "json",
        "run",
        "every exam with every number",
        "application/json",
        ("results.json",),
        row="mammolens.sinks.results_json:result_row",
        join="mammolens.sinks.results_json:results",
        regions="mammolens.sinks.regions:regions_json",
    ),
    Sink(
        "overlay",
        "image",
        "picture with what the model points at",
        "image/png",
        ("overlays/{exam}/{name}.png",),
        make="mammolens.sinks.overlay:overlays",
        regions="mammolens.sinks.regions:regions_png",
        pictures=True,
        index=("view", "path"),
    ),
)
SINKS: Final = {sink.name: sink for sink in _BUILT_IN}
"""The built-in sinks by name."""


def sink_names() -> list[str]:
    """List the names of all installed sinks, sorted; no sink is loaded."""
    return sorted({*SINKS, *_third_party()})


def find_sink(name: str) -> Sink:
    """Give the description of a sink.

    Raises
    ------
    ConfigError
        No sink has this name (the nearest is proposed), or that of another package cannot be
        loaded.

    Examples
    --------
    >>> find_sink("jsn")
    Traceback (most recent call last):
    mammolens.errors.ConfigError: there is no sink 'jsn' [sinks]. Use 'json'.
    >>> find_sink("fhir").identified, find_sink("csv").identified
    (True, False)
    """
    if name in SINKS:
        return SINKS[name]
    others = _third_party()
    if name not in others:
        raise ConfigError(
            f"there is no sink {name!r}",
            keyword="sinks",
            remedy=did_you_mean(name, [*SINKS, *others]),
        )
    sink = _load(name, others[name])
    if not isinstance(sink, Sink):
        raise ConfigError(
            f"the sink {name!r} is not described by a mammolens.sinks.Sink ({others[name]})",
            keyword="sinks",
            remedy="Install a version of its package for this mammolens, or leave it out",
        )
    return sink


def needs_pictures(names: Iterable[str]) -> bool:
    """Return whether any of these sinks needs pictures; unknown names are ignored here."""
    known = set(sink_names())
    return any(find_sink(name).pictures for name in names if name in known)


def sop_classes(names: Iterable[str]) -> list[str]:
    """List the SOP classes of the DICOM objects that sinks write."""
    return [uid for name in names if (uid := find_sink(name).sop_class)]


def _load(name: str, target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return attrgetter(attribute)(importlib.import_module(module))
    except Exception as error:  # a package of others may raise anything when it is imported
        raise ConfigError(
            f"the sink {name!r} cannot be loaded from {target}: {error}",
            keyword="sinks",
            remedy="Install what it needs, or leave it out",
        ) from error


def _third_party() -> dict[str, str]:
    return {p.name: p.value for p in importlib.metadata.entry_points(group=ENTRY_POINTS)}
