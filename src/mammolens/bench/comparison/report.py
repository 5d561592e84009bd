"""A comparison in words and tables, as Markdown that can stand in a document as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mammolens.bench.comparison.standings import DECISION_FIGURES, POINT, POINT_UNITS

__all__ = ["write_words"]

_HEADINGS: Final = {
    "holds": "What holds",
    "the reverse": "The reverse holds",
    "not shown": "What is not shown",
    "too few": "Too few cases to say",
}
_MANY: Final = {"image": "images", "breast": "breasts", "patient": "patients"}


def write_words(document: Mapping[str, Any], pictures: Sequence[str] = ()) -> str:
    """Write a comparison as Markdown.

    Parameters
    ----------
    document
        As in ``compare.json``.
    pictures
        File names of figures that lie beside it; the SVGs are shown.
    """
    unit = document["unit"]
    blocks = [
        "# Comparison",
        f"**{document['disclaimer']}**",
        *(f"**{_cell(note)}.**" for note in document["notes"] if note.startswith("WARNING")),
        _opening(document),
        f"## AUC of malignancy, {_MANY[unit]}",
        _areas(document, "malignancy", unit),
        *_further(document),
        f"## Decisions, {_MANY[unit]}",
        f"At each model's threshold for a specificity of 90 % {POINT_UNITS[unit]}: "
        + "; ".join(_thresholds(document))
        + ".",
        *_decisions(document),
        f"## {document['reference']} against the others, {_MANY[unit]}",
        _differences(document),
        *_claims(document),
        "## What to bear in mind",
        "\n".join(f"- {_cell(note)}" for note in document["notes"]),
        "## Models",
        _models(document),
        *(f"![{name}]({name})" for name in pictures if name.endswith(".svg")),
    ]
    return "\n\n".join(blocks) + "\n"


def _opening(document: Mapping[str, Any]) -> str:
    lost = document["n_rows"] - document["n_common"]
    return (
        f"{len(document['models'])} models on {document['n_common']} images of the side "
        f"`{document['split']}` of `{document['table']}`"
        + (f" ({lost} could not be scored by all)" if lost else "")
        + f"; 95 % intervals from {document['bootstrap']['draws']:,} resamples of patients. "
        f"The reference is {document['reference']}."
    )


def _areas(document: Mapping[str, Any], task: str, unit: str) -> str:
    """A row for each model, a column for each data set that can be ranked."""
    standings = {
        name: tasks[task][unit]
        for name, tasks in document["datasets"].items()
        if tasks[task].get(unit, {}).get("models")
    }
    if not standings:
        return "No data set has both labels."
    head = ["model"] + [
        f"{_cell(name)} ({one['n']}, {one['n_positive']} positive)"
        for name, one in standings.items()
    ]
    rows = [
        [_cell(model["name"])]
        + [_interval(one["models"].get(model["name"], {}).get("auc")) for one in standings.values()]
        for model in document["models"]
    ]
    return _table(head, rows)


def _further(document: Mapping[str, Any]) -> Iterable[str]:
    """The other units, and tumours in the primary one."""
    units = [
        unit
        for unit in next(iter(document["datasets"].values()))["malignancy"]
        if unit != document["unit"]
    ]
    for unit in units:
        yield f"### {_MANY[unit].capitalize()}"
        yield _areas(document, "malignancy", unit)
    yield f"### Tumour or none, {_MANY[document['unit']]}"
    yield _areas(document, "tumour", document["unit"])


def _thresholds(document: Mapping[str, Any]) -> list[str]:
    """Where thresholds come from, once for each origin."""
    origins: dict[str, list[str]] = {}
    for model in document["models"]:
        origins.setdefault(model["thresholds"]["fixed_on"], []).append(model["name"])
    return [f"{', '.join(names)}: {_cell(origin)}" for origin, names in origins.items()]


def _decisions(document: Mapping[str, Any]) -> Iterable[str]:
    for name, tasks in document["datasets"].items():
        standing = tasks["malignancy"][document["unit"]]
        if not standing["models"]:
            yield f"{_cell(name)}: {standing['note']}."
            continue
        head = ["model", *DECISION_FIGURES, "hit, missed, false, cleared"]
        rows = []
        for model, found in standing["models"].items():
            point = found["points"][POINT]
            counts = point["confusion"]
            order = ("true_positive", "false_negative", "false_positive", "true_negative")
            rows.append(
                [
                    _cell(model),
                    *(_interval(point[figure], 2) for figure in DECISION_FIGURES),
                    ", ".join(str(counts[key]) for key in order),
                ]
            )
        yield f"### {_cell(name)}: {standing['n']}, {standing['n_positive']} malignant"
        yield _table(head, rows)


def _differences(document: Mapping[str, Any]) -> str:
    head = ["data set", "other model", "AUC difference", "p", "corrected", "McNemar, corrected"]
    rows = [
        [
            _cell(name),
            _cell(one["model"]),
            _interval(one["auc_difference"], sign=True),
            _p(one["p_value"]),
            _corrected(one, one),
            _corrected(one, one["mcnemar"]),
        ]
        for name, tasks in document["datasets"].items()
        for one in tasks["malignancy"][document["unit"]]["differences"]
    ]
    return _table(head, rows) if rows else "There is nothing to compare it with."


def _corrected(one: Mapping[str, Any], test: Mapping[str, Any]) -> str:
    if one["few"] or one["aside"]:
        return "too few" if one["few"] else "not counted"
    return _p(test.get("p_value_holm"))


def _claims(document: Mapping[str, Any]) -> Iterable[str]:
    for verdict, heading in _HEADINGS.items():
        words = [_cell(one["words"]) for one in document["claims"] if one["verdict"] == verdict]
        if words:
            yield f"### {heading}"
            yield "\n".join(f"- {line[0].upper()}{line[1:]}." for line in words)


def _models(document: Mapping[str, Any]) -> str:
    rows = []
    for model in document["models"]:
        training = model.get("training", {}).get("malignancy")
        told = (
            f"{training['n']} training images of {training['n_patients']} patients; chosen: "
            + ", ".join(f"{key} {value}" for key, value in training["chosen"].items())
            if training
            else f"{model['architecture']}; version {model['model']['version']}"
        )
        held_out = training["out_of_fold_auc"] if training else {}
        areas = "; ".join(f"{source} {_interval(one)}" for source, one in held_out.items())
        rows.append([_cell(model["name"]), _cell(told), areas, _cell(model["proof"]["how"])])
    head = ["model", "how", "AUC of training images, out of fold", "apart from the judged patients"]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _interval(
    figure: Mapping[str, float | None] | None, digits: int = 3, *, sign: bool = False
) -> str:
    if figure is None or figure["value"] is None:
        return "–"
    form = f"{'+' if sign else ''}.{digits}f"
    value = format(figure["value"], form)
    if figure["low"] is None or figure["high"] is None:
        return f"{value} (no interval)"
    return f"{value} ({format(figure['low'], form)} to {format(figure['high'], form)})"


def _p(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cell(text: str) -> str:
    """Text from files: no line breaks, no mark that would end a cell."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")
