"""Errors say where, what, and what to do; every leaf has a status at each door."""

from __future__ import annotations

import pickle

import pytest

from mammolens import errors, status

KNOWN = [getattr(errors, name) for name in errors.__all__]
LEAVES = [
    error
    for error in KNOWN
    if not set(error.__subclasses__()) & set(KNOWN) and error is not errors.MammolensError
]
"""Errors without a kind of their own in `errors`; a room may have further ones for itself."""


def test_message_names_file_cause_keyword_and_remedy() -> None:
    error = errors.MissingAttribute(
        "the view is unknown", source="a.dcm", keyword="ViewPosition", remedy="Name it in the file"
    )
    assert str(error) == "a.dcm: the view is unknown [ViewPosition]. Name it in the file."
    assert (error.source, error.keyword) == ("a.dcm", "ViewPosition")
    assert (error.message, error.remedy) == ("the view is unknown", "Name it in the file")


def test_message_alone() -> None:
    assert str(errors.ConfigError("jobs must be positive")) == "jobs must be positive"


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_mapped(leaf: type[errors.MammolensError]) -> None:
    assert leaf in status.STATUS
    mapped = status.status_of(leaf("x"))
    assert mapped.exit_code != status.EXIT_OK
    assert 400 <= mapped.http < 600
    assert mapped.dimse != 0


def test_only_leaves_are_mapped() -> None:
    assert set(status.STATUS) == set(LEAVES)


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError(), errors.MammolensError("x")])
def test_unexpected_errors_are_server_errors(error: BaseException) -> None:
    assert status.status_of(error) == (1, 500, 0x0110)


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_docstring_tree_names_every_leaf(leaf: type[errors.MammolensError]) -> None:
    assert leaf.__name__ in (errors.__doc__ or "")


def test_errors_can_be_pickled() -> None:
    """Workers of a process pool must be able to send errors to the main process."""
    error = errors.NotAnImage("empty", source="a.dcm", keyword="PixelData", remedy="Copy again")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert (copy.source, copy.remedy) == ("a.dcm", "Copy again")
