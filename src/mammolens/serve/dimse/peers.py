"""Other DICOM nodes: their addresses, and associations with them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, Final

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation

from mammolens.errors import ConfigError, DeliveryError
from mammolens.serve.dimse.upper_layer import Begin, Caller, end
from mammolens.serve.exchange import Pace, dicom_client_context
from mammolens.serve.settings import DimseSettings

__all__ = ["Peer", "associated", "echo", "find_peer", "peer_titled"]

VERIFICATION: Final = "1.2.840.10008.1.1"
SHORTEST_PDU: Final = 1024
"""With shorter PDUs, an object would be cut into millions; 0 means any length."""

_ADDRESS: Final = re.compile(
    r"(dicoms?)://([^@/:\s][^@/]{0,15})@(\[[^\]]+\]|[^@/:\s]+):([0-9]{1,5})/?"
)


@dataclass(frozen=True)
class Peer:
    """A DICOM node that can be called."""

    ae_title: str
    host: str
    port: int
    tls: bool = False

    @classmethod
    def parse(cls, address: str) -> Peer:
        """Read an address.

        Raises
        ------
        ConfigError

        Examples
        --------
        >>> Peer.parse("dicom://PACS@10.0.0.5:104")
        Peer(ae_title='PACS', host='10.0.0.5', port=104, tls=False)
        """
        found = _ADDRESS.fullmatch(address)
        if found is None or not 0 < int(found[4]) < 1 << 16:
            raise ConfigError(
                f"{address!r} is not the address of a DICOM node",
                remedy="Write dicom://AE@HOST:PORT, or dicoms:// for TLS",
            )
        return cls(found[2].strip(), found[3].strip("[]"), int(found[4]), found[1] == "dicoms")


def find_peer(name: str, dimse: DimseSettings) -> Peer:
    """Find a peer by its name in the settings, or parse an address.

    Raises
    ------
    ConfigError
        There is no such peer.
    """
    if name in dimse.peers:
        return Peer.parse(dimse.peers[name])
    if "://" in name:
        return Peer.parse(name)
    known = ", ".join(sorted(dimse.peers)) or "none"
    raise ConfigError(
        f"there is no peer {name!r}",
        keyword="dimse.peers",
        remedy=f"Known are {known}; or write dicom://AE@HOST:PORT",
    )


def peer_titled(ae_title: str, dimse: DimseSettings) -> Peer | None:
    """Find the peer in the settings with this AE title."""
    peers = (Peer.parse(address) for address in dimse.peers.values())
    return next((peer for peer in peers if peer.ae_title == ae_title), None)


@contextmanager
def associated(
    peer: Peer,
    dimse: DimseSettings,
    contexts: Sequence[tuple[str, Sequence[str]]],
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[evt.EventHandlerType] = (),
    begin: Begin | None = None,
    max_bytes: int = 0,
) -> Iterator[Association]:
    """Open an association with a peer; it is released when the block ends.

    Parameters
    ----------
    contexts
        Up to 128 abstract syntaxes, each with its transfer syntaxes; default is implicit VR.
    handlers
        Handlers of requests that the peer may send meanwhile.
    begin
        Gives the draft (file being written) for an object of at most `max_bytes` from the peer.

    Raises
    ------
    DeliveryError
        The peer is away, refuses, accepts none of the contexts, or does not speak DICOM.
    """
    pace = Pace(dimse.acse_timeout_s, 0)
    ae = Caller(dimse.ae_title, pace, begin or (lambda *_: None), max_bytes)
    ae.maximum_pdu_size = dimse.max_pdu
    ae.acse_timeout, ae.dimse_timeout = dimse.acse_timeout_s, dimse.dimse_timeout_s
    ae.network_timeout, ae.connection_timeout = dimse.network_timeout_s, dimse.acse_timeout_s
    for abstract, transfer in contexts:
        ae.add_requested_context(abstract, list(transfer) or [ImplicitVRLittleEndian])
    tls = (dicom_client_context(dimse), peer.host) if peer.tls else None
    try:
        with _established(ae, peer, dimse, tls, roles, handlers) as association:
            yield association
    finally:
        if ae.called is not None:
            end(ae.called)


@contextmanager
def _established(
    ae: Caller,
    peer: Peer,
    dimse: DimseSettings,
    tls: tuple[SSLContext, str] | None,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    handlers: Sequence[evt.EventHandlerType],
) -> Iterator[Association]:
    heard: list[Any] = []  # Answers to the request; `_refusal_reason` reads them.
    listens = (evt.EVT_ACSE_RECV, lambda event: heard.append(event.primitive))
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            ae_title=peer.ae_title,
            max_pdu=dimse.max_pdu,
            ext_neg=list(roles),
            tls_args=tls,
            evt_handlers=[*handlers, listens],
        )
    except OSError as error:
        raise DeliveryError("the peer has no address", remedy="Check its host name") from error
    except Exception as error:
        raise DeliveryError(
            "the peer does not answer with an association",
            remedy="Check that DICOM is spoken there",
        ) from error
    if not association.is_established:
        raise DeliveryError(
            _refusal_reason(association, heard),
            remedy="Check address, AE titles and that it runs",
        )
    longest: Any = association.acceptor.maximum_length
    if longest is None or 0 < longest < SHORTEST_PDU:
        association.abort()
        raise DeliveryError(
            f"the peer takes no PDU of {SHORTEST_PDU} bytes",
            remedy="Set its maximum PDU length to 16384",
        )
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    association.release()


def echo(peer: Peer, dimse: DimseSettings, storage: Sequence[str] = ()) -> str:
    """Check that a peer answers (C-ECHO), and accepts objects of the given classes.

    Nothing is stored.

    Parameters
    ----------
    storage
        SOP classes of the objects that will be sent to it.

    Returns
    -------
    str
        Its answer in words.

    Raises
    ------
    DeliveryError
        It is away, refuses, or does not accept one of the classes.
    """
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    contexts = [(VERIFICATION, [ImplicitVRLittleEndian]), *((uid, syntaxes) for uid in storage)]
    with associated(peer, dimse, contexts) as association:
        taken = {str(context.abstract_syntax) for context in association.accepted_contexts}
        status = association.send_c_echo().get("Status") if VERIFICATION in taken else None
        if VERIFICATION in taken and status != 0:
            said = "it does not answer" if status is None else f"status 0x{status:04X}"
            raise DeliveryError(f"C-ECHO failed: {said}", remedy="Look at the log of the peer")
    refused = [uid for uid in storage if uid not in taken]
    if refused:
        names = ", ".join(UID(uid).name for uid in refused)
        raise DeliveryError(
            f"it answers, and does not take {names}",
            remedy="Allow these SOP classes there, or leave out their sinks",
        )
    answered = "C-ECHO answered" if VERIFICATION in taken else "associates, does not offer C-ECHO"
    return f"{answered}, takes all {len(storage)} kinds of objects" if storage else answered


def _refusal_reason(association: Association, heard: Sequence[Any]) -> str:
    if association.is_rejected:
        reason = getattr(heard[-1], "reason_str", None) if heard else None
        return f"the peer refused the association{f' ({reason.lower()})' if reason else ''}"
    if association.rejected_contexts:
        return "the peer takes nothing of what was proposed"
    return "the peer cannot be reached"
