"""TLS: who shows a certificate of the right authority gets in, and nobody else."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mammolens.errors import ConfigError, DeliveryError
from mammolens.serve.dimse import Peer, associated, find_peer
from mammolens.serve.exchange import CIPHERS, dicom_client_context, listener_context
from mammolens.serve.settings import DimseSettings

from . import wire as bytes_of

ECHO = [("1.2.840.10008.1.1", ())]


class Authority:
    """A certificate authority, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.call("req", "-x509", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")

    def sign(self, name: str, host: str = "localhost") -> dict[str, Path]:
        self.call("req", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (self.folder / "names").write_text(f"subjectAltName=DNS:{host},IP:127.0.0.1\n", "ascii")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"]
        self.run("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
        return {
            "certificate": self.folder / f"{name}.pem",
            "key": self.folder / f"{name}.key",
            "authority": self.folder / "ca.pem",
        }

    def call(self, *words: str) -> None:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self.run(*words, *curve)

    def run(self, *words: str) -> None:
        done = subprocess.run(
            ["openssl", *words], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def node(ours):
    return ours.sign("node")


@pytest.fixture(scope="module")
def modality(ours):
    return ours.sign("modality")


def refusals(told, listener, count=1):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = told(listener, "refused_association")
        if len(found) >= count:
            return [detail["reason"] for _, detail in found]
        time.sleep(0.02)
    raise AssertionError("nothing was audited")


def test_a_client_of_our_authority_is_served(listen, node, modality):
    listener = listen(**node)
    dimse = DimseSettings(ae_title="MODALITY", **modality)
    peer = Peer("MAMMOLENS", "localhost", listener.port, tls=True)
    with associated(peer, dimse, ECHO) as association:
        assert association.send_c_echo().Status == 0x0000
        connection = association.dul.socket.socket
        assert connection.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_the_profile_are_spoken(listen, node, modality, version):
    listener = listen(**node)
    context = dicom_client_context(DimseSettings(**modality))
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        chosen = wrapped.cipher()[0]
    assert chosen in CIPHERS.split(":") or chosen.startswith("TLS_")


def test_plain_dicom_on_the_tls_port_is_refused_and_audited(listen, told, node):
    listener = listen(**node)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain:
        plain.sendall(b"\x01\x00\x00\x00\x00\x44\x00\x01\x00\x00MAMMOLENS")
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(6)[:1] != b"\x02"
    assert refusals(told, listener) == ["not_tls"]


def test_a_client_without_certificate_is_refused_and_audited(listen, told, node, ours):
    listener = listen(**node)
    context = ssl.create_default_context(cafile=ours.folder / "ca.pem")
    assert not gets_in(listener, context)
    assert refusals(told, listener) == ["no_certificate"]


def test_a_certificate_of_another_authority_is_refused_and_audited(
    listen, told, node, ours, tmp_path
):
    listener = listen(**node)
    stranger = Authority(tmp_path / "theirs").sign("stranger")
    context = ssl.create_default_context(cafile=ours.folder / "ca.pem")
    context.load_cert_chain(stranger["certificate"], stranger["key"])
    assert not gets_in(listener, context)
    assert refusals(told, listener) == ["untrusted_certificate"]


def gets_in(listener, context) -> bool:
    """Whether the node answers anything; in TLS 1.3 a client hears late that it was refused."""
    try:
        with (
            socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as wrapped,
        ):
            wrapped.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
            return bool(wrapped.recv(1))
    except OSError:
        return False


def test_who_does_not_shake_hands_keeps_nobody_waiting(listen, told, node, modality):
    listener = listen(**node, acse_timeout_s=1.0)
    with socket.create_connection(("127.0.0.1", listener.port)):
        dimse = DimseSettings(ae_title="MODALITY", **modality)
        peer = Peer("MAMMOLENS", "localhost", listener.port, tls=True)
        with associated(peer, dimse, ECHO) as association:
            assert association.send_c_echo().Status == 0x0000
        assert refusals(told, listener) == ["no_handshake"]


def test_a_handshake_that_trickles_is_ended(listen, told, node):
    listener = listen(**node, acse_timeout_s=0.5)
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as slow:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in b"\x16\x03\x01\x02\x00" + bytes(100):
                slow.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - began < 9
    assert refusals(told, listener) == ["no_handshake"]


@pytest.mark.slow
def test_five_hundred_handshakes_at_once_keep_nobody_out_for_long(listen, node, modality):
    listener = listen(**node, acse_timeout_s=1.0, max_associations=20)
    threads = threading.active_count()
    starts = (b"", b"\x16\x03\x01\x02\x00\x01", bytes(40), b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.ExitStack() as stack:
        for number in range(500):
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", listener.port), timeout=10)
            )
            with contextlib.suppress(OSError):
                connection.sendall(starts[number % len(starts)])
        assert threading.active_count() < threads + 120
        # A short limit: where the system's queue is shorter than the crowd, a connection may be
        # lost in it, and the modality tries again.
        dimse = DimseSettings(ae_title="MODALITY", acse_timeout_s=3.0, **modality)
        peer = Peer("MAMMOLENS", "localhost", listener.port, tls=True)
        until = time.monotonic() + 60
        while True:
            try:
                with associated(peer, dimse, ECHO) as association:
                    assert association.send_c_echo().Status == 0x0000
                break
            except DeliveryError:
                assert time.monotonic() < until
                time.sleep(0.1)
    until = time.monotonic() + 30
    while threading.active_count() > threads + 2:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("established", [True, False])
def test_a_record_that_drips_after_the_handshake_is_let_go(listen, node, modality, established):
    listener = listen(**node, acse_timeout_s=0.5, network_timeout_s=0.5)
    context = dicom_client_context(DimseSettings(**modality))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    shaking = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", listener.port), timeout=10) as plain:

        def exchange(act):
            while True:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65536))

        exchange(shaking.do_handshake)
        shaking.write(bytes_of.request_bytes() if established else b"\x01")
        plain.sendall(outgoing.read())
        if established:
            assert exchange(lambda: shaking.read(1)) == b"\x02"
        shaking.write(bytes(16000))
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in outgoing.read():
                plain.sendall(bytes([byte]))
                time.sleep(0.1)
                if time.monotonic() - began > 20:
                    break
        assert time.monotonic() - began < 20


def test_a_server_of_another_name_is_not_spoken_to(listen, ours, modality):
    listener = listen(**ours.sign("other", host="elsewhere.example"))
    peer = Peer("MAMMOLENS", "localhost", listener.port, tls=True)
    dimse = DimseSettings(ae_title="MODALITY", **modality)
    with pytest.raises(DeliveryError, match="cannot be reached"), associated(peer, dimse, ECHO):
        pass
    lenient = dimse.model_copy(update={"check_names": False})
    with associated(peer, lenient, ECHO) as association:
        assert association.is_established


def test_half_a_tls_is_refused(node):
    with pytest.raises(ValueError, match="TLS needs certificate, key and authority"):
        DimseSettings(certificate=node["certificate"])
    with pytest.raises(ConfigError, match="TLS needs a certificate"):
        dicom_client_context(DimseSettings())
    assert listener_context(DimseSettings()) is None


@pytest.mark.parametrize("wrong", ["missing", "no PEM", "key of another"])
def test_certificates_that_do_not_fit_are_named(node, modality, tmp_path, wrong):
    changed = {
        "missing": {"certificate": tmp_path / "none.pem"},
        "no PEM": {"authority": tmp_path / "text"},
        "key of another": {"key": modality["key"]},
    }[wrong]
    (tmp_path / "text").write_text("none", "ascii")
    with pytest.raises(ConfigError, match="certificates cannot be used"):
        listener_context(DimseSettings(**(node | changed)))


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("dicom://PACS@10.0.0.5:104", Peer("PACS", "10.0.0.5", 104)),
        ("dicoms://MY PACS@[::1]:2762", Peer("MY PACS", "::1", 2762, tls=True)),
    ],
)
def test_addresses_of_peers(address, peer):
    assert Peer.parse(address) == peer
    dimse = DimseSettings(peers={"archive": address})
    assert find_peer("archive", dimse) == find_peer(address, DimseSettings()) == peer


@pytest.mark.parametrize(
    "address", ["dicom://@h:1", "dicom://A@h", "dicom://A@h:0", "dicom://A@h:70000", "http://A@h:1"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ConfigError, match="not the address of a DICOM node"):
        Peer.parse(address)


def test_an_unknown_peer_is_refused_with_those_that_are_known():
    with pytest.raises(ConfigError, match="Known are archive"):
        find_peer("archives", DimseSettings(peers={"archive": "dicom://A@h:1"}))
