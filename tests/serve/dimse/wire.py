"""What a sender puts on the wire, and what the tests look at there."""

from __future__ import annotations

import socket
import struct
from io import BytesIO

from pydicom import dcmread
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ASSOCIATE_RQ, A_RELEASE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    A_RELEASE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

VERIFICATION = "1.2.840.10008.1.1"
MG = "1.2.840.10008.5.1.4.1.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def request_bytes(called: str = "MAMMOLENS") -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "MODALITY", called
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3.4"
    primitive.user_information = [longest, implementation]
    contexts = [build_context(VERIFICATION, EXPLICIT), build_context(MG, EXPLICIT)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    return bytes(A_ASSOCIATE_RQ(primitive).encode())


def message_bytes(message, context_id: int, longest: int = 16384) -> bytes:
    return b"".join(P_DATA_TF(p).encode() for p in message.encode_msg(context_id, longest))


def echo_bytes() -> bytes:
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 1, VERIFICATION
    message = C_ECHO_RQ()
    message.primitive_to_message(request)
    return message_bytes(message, 1)


def store_bytes(file: bytes) -> bytes:
    dataset = dcmread(BytesIO(file))
    length = int.from_bytes(file[140:144], "little")
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = dataset.SOPClassUID
    request.AffectedSOPInstanceUID = dataset.SOPInstanceUID
    request.DataSet = BytesIO(file[144 + length :])
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return message_bytes(message, 3)


def release_bytes() -> bytes:
    pdu = A_RELEASE_RQ()
    pdu.from_primitive(A_RELEASE())
    return bytes(pdu.encode())


def read_pdu(connection: socket.socket) -> bytes:
    head = exactly(connection, 6)
    return head + exactly(connection, struct.unpack(">L", head[2:])[0])


def exactly(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise ConnectionError("closed")
        got += more
    return got


def connect(listener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=30)


def closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def echoes(listener) -> bool:
    with connect(listener) as connection:
        connection.sendall(request_bytes())
        assert read_pdu(connection)[0] == 0x02
        connection.sendall(echo_bytes())
        answer = read_pdu(connection)
        connection.sendall(release_bytes())
        assert read_pdu(connection)[0] == 0x06
    return answer[0] == 0x04
