"""The calling side of an association; it uses the same classes as the listening side."""

from __future__ import annotations

from ssl import SSLContext

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation

from mammolens.serve.dimse.upper_layer.messages import Begin
from mammolens.serve.dimse.upper_layer.provider import furnish
from mammolens.serve.dimse.upper_layer.sockets import PduSocket
from mammolens.serve.exchange import Pace

__all__ = ["Caller"]


class Caller(AE):
    """An application entity that calls one peer over an association with limits.

    Attributes
    ----------
    pace
        The time limit for connecting, and the stop of the node.
    begin
        Gives the draft for an object that the peer sends.
    max_bytes
        Longest object that is stored.
    called
        The association, after it was begun.
    """

    def __init__(self, ae_title: str, pace: Pace, begin: Begin, max_bytes: int) -> None:
        AE.__init__(self, ae_title)
        self.pace, self.begin, self.max_bytes = pace, begin, max_bytes
        self.called: Association | None = None

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[SSLContext, str] | None,
    ) -> PduSocket:
        """Make the socket of a call, with the same limits as the listener."""
        self.called = assoc
        furnish(assoc, self.begin, self.max_bytes, lambda: None, self.pace)
        return PduSocket(assoc, None, address, tls_args)
