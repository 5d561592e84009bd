"""The side of an association that calls: made of the same parts as the side that listens."""

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
    """An application entity that calls one peer, by an association with limits.

    Attributes
    ----------
    pace
        How long it may take to connect, and the wish that the node stops.
    begin
        Gives the draft that an object which the peer sends is written into.
    max_bytes
        Longest object that is kept.
    called
        The association, once it was begun.
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
        """Give a call the limits that the listener has."""
        self.called = assoc
        furnish(assoc, self.begin, self.max_bytes, lambda: None, self.pace)
        return PduSocket(assoc, None, address, tls_args)
