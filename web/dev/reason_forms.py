"""The forms of all sentences in which mammolens states a doubt, a caution or a refusal.

They are read out of the source: a form is the text with ``{}`` where a value stands. The page has
words for each form in every language (`src/app/messages/reasons`), and a test looks for each of
them there. So a new or changed sentence fails that test until it is translated.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import mammolens
from mammolens import errors
from mammolens.images.dicom import views
from mammolens.images.film_photograph import FROM_PHOTOGRAPH
from mammolens.quality import gate
from mammolens.serve.record import GIVEN_UP_NAME
from mammolens.serve.record.worklist_rows import BEHIND

__all__ = ["reason_forms"]

PACKAGE: Final = Path(mammolens.__file__).parent
ROOMS: Final = (
    *("analysis", "clinical", "exams", "images", "preprocess", "quality"),
    *("serve/work", "sinks"),
)
"""Rooms whose cautions reach a reader; those of data sets and of training do not."""
HOLE: Final = "{}"
WORDS: Final = {
    # What a name in the source can stand for.
    "word": ("laterality", "view"),
    "origin": tuple(views._PLACES),
    "_PLACES[origin]": tuple(views._PLACES.values()),
    "GIVEN_UP_NAME": (GIVEN_UP_NAME,),
    "FROM_PHOTOGRAPH.name": (FROM_PHOTOGRAPH.name,),
    "FROM_PHOTOGRAPH.message": (FROM_PHOTOGRAPH.message,),
    "UNKNOWN[word]": tuple(views.UNKNOWN.values()),
}
ELSEWHERE: Final = {
    # The call has only a name here.
    "model_failed": ("the graph failed: {}", "the result of the graph cannot be used: {}"),
    "quality_exposure": (
        "the breast is too dark",
        "the breast is too light",
        "the breast has too little contrast",
    ),
    "quality_sharpness": ("the breast shows too little detail to judge its sharpness",),
    BEHIND[0]: (BEHIND[1],),
}


def reason_forms() -> dict[str, dict[str, list[str]] | list[str]]:
    """Give the forms of cautions by code, and the names of refusals."""
    found: dict[str, set[str]] = {code: set(forms) for code, forms in ELSEWHERE.items()}
    for path in (path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))):
        for code, form in _stated(path):
            if HOLE not in code and form.strip("{}") and _is_of(code, form):
                found.setdefault(code, set()).add(form)
    for what, _ in gate._DESCRIPTIONS.values():
        look = f"the picture looks like {what}, not like one whole breast (suspicion {HOLE})"
        found["not_validated"].add(f"{look}; the score may mean nothing")
    found["not_validated"].discard(f"{HOLE}; the score may mean nothing")
    found["model_failed"] &= {*ELSEWHERE["model_failed"]}
    kinds = errors.InputError, errors.ModelError
    refusals = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, kinds)
    ]
    return {
        "cautions": {code: sorted(forms) for code, forms in sorted(found.items())},
        "refusals": sorted(refusals),
    }


def _is_of(code: str, form: str) -> bool:
    """Whether the words for one code belong together, where both have several."""
    word, _, origin = code.partition("_from_")
    if origin not in views._PLACES or form.startswith("ViewPosition"):
        return True
    return form.startswith(word) and form.endswith(views._PLACES[origin])


def _stated(path: Path) -> Iterator[tuple[str, str]]:
    """Give (code, form) for each caution that a module makes."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for scope in [tree, *functions]:
        assigned = sorted(_assigned(tree) + _assigned(scope), key=lambda one: one[0])
        for call in (node for node in ast.walk(scope) if isinstance(node, ast.Call)):
            called = call.func
            name = getattr(called, "id", None) or getattr(called, "attr", "")
            if len(call.args) < 2:
                continue
            if name in ("Caution", "doubt", "caution", "note"):
                codes, texts = call.args[0], call.args[1]
                prefix = ""
            elif name in ("judged", "unknown") and path.parent.name == "quality":
                if not any(keyword.arg == "doubts" for keyword in call.keywords):
                    continue  # it is shown beside the pictures, and is no caution
                codes, texts = call.args[0], call.args[1 if name == "unknown" else 2]
                prefix = "quality_"
            else:
                continue
            known = [one for one in assigned if one[0] < call.lineno]
            for code, form in itertools.product(_forms(codes, known), _forms(texts, known)):
                yield prefix + code, form


def _assigned(scope: ast.AST) -> list[tuple[int, str, ast.expr]]:
    found = []
    for node in ast.walk(scope):
        if isinstance(node, ast.AnnAssign) or (isinstance(node, ast.Assign) and node.targets):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name) and node.value is not None:
                found.append((node.lineno, target.id, node.value))
    return found


def _forms(node: ast.expr, assigned: list[tuple[int, str, ast.expr]]) -> list[str]:
    """Give the forms of an expression: every text it can be, with holes for unknown values."""
    source = ast.unparse(node)
    if source in WORDS:
        return [*WORDS[source]]
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [
            _forms(part.value if isinstance(part, ast.FormattedValue) else part, assigned)
            for part in node.values
        ]
        return ["".join(one) for one in itertools.product(*parts)]
    if isinstance(node, ast.IfExp):
        return _forms(node.body, assigned) + _forms(node.orelse, assigned)
    if isinstance(node, ast.Tuple):
        return _forms(node.elts[0], assigned)
    if isinstance(node, ast.Name):
        values = [(line, value) for line, name, value in assigned if name == node.id]
        if values:
            return _forms(values[-1][1], [one for one in assigned if one[0] < values[-1][0]])
    return [HOLE]
