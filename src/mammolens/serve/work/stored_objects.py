"""Objects in the node's own store: a read error is a fault of the store, not of the object."""

from __future__ import annotations

import errno

from mammolens.core import Exam
from mammolens.errors import InputError, StorageError
from mammolens.images import ImageFile
from mammolens.serve.holdings import Store, own_fault

__all__ = ["StoredFile", "check_digests", "check_store", "lost_object"]


class StoredFile(ImageFile):
    """An object in the node's own store; if it cannot be read, the store is at fault.

    Results and messages name it by its digest, and do not show the path of the store.
    """

    @property
    def name(self) -> str:
        """The digest of the object."""
        return self.path.name

    def read_bytes(self) -> bytes:
        """Read the whole object.

        Raises
        ------
        InputError
            The object is empty or too large.
        StorageError
            The store cannot be read.
        """
        try:
            return super().read_bytes()
        except InputError as error:
            check_store(error)
            kind, remedy = type(error), error.remedy
            raise kind(error.message, source=self.name, remedy=remedy) from error


def check_store(error: InputError) -> None:
    """Raise a `StorageError` if an object was refused because the store cannot be read.

    Raises
    ------
    StorageError
        The object was refused because the store cannot be read.
    """
    fault = own_fault(error) or error.__cause__
    # Decoders raise errors of this class without a number for a damaged picture.
    if isinstance(fault, OSError) and fault.errno is not None:
        raise StorageError(
            f"a received object cannot be read ({fault.strerror})",
            remedy="Check the disk of the data folder",
        ) from error


def check_digests(exam: Exam) -> None:
    """Make sure that the decoded objects are the received ones: their names are their digests.

    Raises
    ------
    StorageError
        An object was changed in the store.
    """
    for mammogram in exam.mammograms:
        if mammogram.ref.digest != mammogram.ref.path:
            raise StorageError(
                "a received object was changed in the store",
                remedy="Check the disk of the data folder, and restore the object from a backup",
            )


def lost_object(received: Store) -> StorageError:
    """Make the error for a missing object; if the whole store is missing, it is our own fault."""
    error = StorageError(
        "a received object is gone", remedy="Check that the data folder is mounted and whole"
    )
    # Objects lie in subfolders that are named by the first two letters of their digests.
    if not received.folder.is_dir() or next(received.folder.glob("??"), None) is None:
        error.__cause__ = OSError(errno.ENODEV, "the store is not there")
    return error
