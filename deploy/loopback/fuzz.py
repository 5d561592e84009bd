"""``make fuzz``: wrong and hostile traffic on every door of a node, beside senders who mean well.

Ends with 0 only if, when the attacks are over, an honest echo, store and result still work, every
honest exam that was acknowledged has its result, no process ended by itself, and memory, handles
and drafts are back where they began. The seed is told, and draws the same attacks again.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import random
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_destinations import HostileServer
from fuzz_doors import Doors, attacks, recorded
from fuzz_records import Size, read_records, read_size
from peers import Node, free_port
from pynetdicom import AE, evt
from rich.console import Console
from rich.table import Table
from senders import EXPLICIT, MAMMOGRAM, Modality, certificates, client_context, exams
from soak import database

from mammolens.serve.settings import load_settings

TOKEN = "fuzz-" + "t" * 20
ATTACKERS = 6
HONEST_EVERY_S = 15.0
RESULT_WITHIN_S = 240.0
MOST_MIB = 100
"""By how much a process may have grown between its first result and the end."""
MOST_HANDLES = 24
"""By how many: pools of threads and connections that were not yet full at the start."""
SETTLE_S = 20.0

Exams = Iterator[tuple[str, list[Path]]]


@dataclass
class Honest:
    """What the honest senders met: waits in seconds, and the studies that were acknowledged."""

    echo_s: list[float] = field(default_factory=list)
    store_s: list[float] = field(default_factory=list)
    refused: int = 0
    studies: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="of attacks and answers")
    parser.add_argument("--only", default="", help="attacks whose name has this")
    parser.add_argument("--tls", action="store_true", help="the DICOM port speaks TLS")
    parser.add_argument("--deidentify", action="store_true", help="identity is taken off")
    parser.add_argument("--ups", action="store_true", help="steps come from a hostile server")
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    given = parser.parse_args()
    seed = random.randrange(1 << 32) if given.seed is None else given.seed
    console = Console(width=110)
    console.print(f"seed {seed}")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mammolens-fuzz-")))
        lines = [f"database = {json.dumps(_new_database(stack))}"] if given.postgres else []
        servers = [HostileServer(seed + n) for n in range(5)]
        for server in servers:
            stack.callback(server.close)
        node = make_node(folder, [server.port for server in servers], lines, given)
        node.start()
        stack.callback(node.end)
        table, sound = _run(node, folder, seed, given, servers)
    console.print(table)
    console.print("the node held" if sound else "the node did not hold")
    return 0 if sound else 1


def make_node(
    folder: Path, hostile: list[int], lines: list[str], given: argparse.Namespace
) -> Node:
    """A node with short patience, every door open, and five destinations that mean no good."""
    stow, fhir, mllp, dicom, steps = hostile
    watched = folder / "watched"
    watched.mkdir()
    (folder / "out").mkdir()
    sections: dict[str, dict[str, object]] = {
        "exams": {"quiet_time_s": 2.0},
        "jobs": {"lease_s": 20.0, "time_limit_s": 60.0},
        "dimse": {"acse_timeout_s": 3.0, "dimse_timeout_s": 5.0, "network_timeout_s": 5.0},
        "web": {"port": free_port(), "tokens": {"fuzz": TOKEN}, "timeout_s": 5.0, "stop_s": 5.0},
        "watch": {"folders": {"scans": str(watched)}, "settle_s": 0.5, "patience_s": 3.0},
    }
    if given.tls:
        sections["dimse"] |= certificates(folder / "tls")
    if given.deidentify:
        (folder / "scratch").mkdir()
        sections["intake"] = {"deidentify": {"key": "k" * 44, "scratch": str(folder / "scratch")}}
    if given.ups:
        sections["web"]["peers"] = {"steps": f"http://127.0.0.1:{steps}/dicom-web"}
        sections["ups"] = {"server": "steps", "poll_s": 1.0}
    routes = {
        "stow": (f"stow+http://127.0.0.1:{stow}/dicom-web", "dicom-sr"),
        "fhir": (f"fhir+http://127.0.0.1:{fhir}/fhir", "fhir"),
        "mllp": (f"mllp://127.0.0.1:{mllp}", "hl7"),
        "dicom": (f"dicom://HOSTILE@127.0.0.1:{dicom}", "dicom-cad-sr"),
        "honest": (str(folder / "out"), "json"),
    }
    node = Node(folder / "node", free_port(), dicom, (), lines, sections)
    text = node.config.read_text("utf-8").partition("[[routes]]")[0]
    for name, (to, sink) in routes.items():
        text += f'[[routes]]\nname = "{name}"\nto = {json.dumps(to)}\nsinks = ["{sink}"]\n'
    node.config.write_text(text, "utf-8")
    return node


def _run(
    node: Node, folder: Path, seed: int, given: argparse.Namespace, servers: list[HostileServer]
) -> tuple[Table, bool]:
    tls = client_context(folder / "tls") if given.tls else None
    source = exams(folder, "FUZZ")
    honest, counts = Honest(), collections.Counter[str]()
    client = Modality(node.port, tls)
    doors = _doors(node, folder, client, next(source)[1], tls)
    _send_exam(client, source, honest)
    _await_results(node, honest)
    before = {name: read_size(program) for name, program in node.programs.items()}
    stop = threading.Event()
    threads = [
        threading.Thread(target=_attack, args=(doors, seed + n, given.only, counts, stop))
        for n in range(ATTACKERS)
    ]
    threads.append(threading.Thread(target=_be_honest, args=(client, source, honest, stop)))
    for thread in threads:
        thread.start()
    until = time.monotonic() + given.minutes * 60
    while time.monotonic() < until and _alive(node):
        time.sleep(1.0)
    stop.set()
    for thread in threads:
        thread.join()
    return _judge(node, given, client, source, honest, counts, before, servers)


def _attack(
    doors: Doors, seed: int, only: str, counts: collections.Counter[str], stop: threading.Event
) -> None:
    rng = random.Random(seed)
    known = [(name, attack) for name, attack in attacks().items() if only in name]
    while not stop.is_set():
        name, attack = rng.choice(known)
        # A door that closes on an attack, or does not open to it, has done its part.
        with contextlib.suppress(OSError, ValueError, RuntimeError, AttributeError):
            attack(doors, random.Random(rng.random()))
        counts[name] += 1


def _be_honest(client: Modality, source: Exams, honest: Honest, stop: threading.Event) -> None:
    """Echo all the time, and send an exam now and then, as a modality does."""
    sent = time.monotonic()
    while not stop.wait(1.0):
        began = time.monotonic()
        if client.echo():
            honest.echo_s.append(time.monotonic() - began)
        else:
            honest.refused += 1
        if time.monotonic() - sent > HONEST_EVERY_S:
            _send_exam(client, source, honest)
            sent = time.monotonic()


def _send_exam(client: Modality, source: Exams, honest: Honest) -> None:
    study, files = next(source)
    began = time.monotonic()
    while not client.store(files):
        honest.refused += 1
        if time.monotonic() - began > RESULT_WITHIN_S:
            return
        time.sleep(0.5)
    honest.store_s.append(time.monotonic() - began)
    honest.studies.append(study)


def _doors(
    node: Node, folder: Path, client: Modality, files: list[Path], tls: ssl.SSLContext | None
) -> Doors:
    """Record what honest senders say. Where TLS is spoken the attacks say it inside or without."""
    web = load_settings(node.config).web.port
    plain = AE("NODE")
    plain.add_supported_context(MAMMOGRAM, EXPLICIT)
    taker = plain.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _event: 0)]
    )
    try:
        with recorded(taker.server_address[1]) as (port, dimse_bytes):
            client.store(files[:1], port)
    finally:
        taker.shutdown()
    objects = [file.read_bytes() for file in files]
    boundary = "fuzz" * 8
    body = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + objects[0]
    body += f"\r\n--{boundary}--\r\n".encode()
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1:{web}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nAccept: application/dicom+json\r\n"
        f"Content-Length: {len(body)}\r\n"
        f'Content-Type: multipart/related; type="application/dicom"; boundary={boundary}\r\n\r\n'
    )
    http_bytes = head.encode() + body
    watched = folder / "watched"
    return Doors(node.port, web, watched, bytes(dimse_bytes), http_bytes, objects, tls)


def _judge(
    node: Node,
    given: argparse.Namespace,
    client: Modality,
    source: Exams,
    honest: Honest,
    counts: collections.Counter[str],
    before: dict[str, Size],
    servers: list[HostileServer],
) -> tuple[Table, bool]:
    time.sleep(SETTLE_S)
    table = Table("what", "number", "as it must be", title="Fuzz")
    for name, count in sorted(counts.items()):
        table.add_row(name, str(count), "")
    for name, count in sorted(sum((s.counts for s in servers), collections.Counter()).items()):
        table.add_row(f"calls to hostile destinations: {name}", str(count), "")
    ended = not _alive(node)
    echoed = client.echo()
    if not ended:
        _send_exam(client, source, honest)
    drained_s = _await_results(node, honest)
    found = read_records(node, honest.studies)
    checks: dict[str, tuple[bool, str]] = {
        "processes that ended by themselves": (not ended, str(int(ended))),
        "echo in the end": (echoed, "yes" if echoed else "no"),
        "honest exams acknowledged": (len(honest.studies) > 1, str(len(honest.studies))),
        "of them with a result that did not fail": (
            found.results == len(honest.studies),
            str(found.results),
        ),
        "of them delivered to the honest route": (
            found.delivered == len(honest.studies),
            str(found.delivered),
        ),
        "audit trail whole, rows": (found.trail.sound, str(found.trail.head.length)),
        "drafts left behind": (found.drafts == 0, str(found.drafts)),
    }
    for name, program in node.programs.items():
        if program.process is None or ended:
            continue
        now, then = read_size(program), before[name]
        checks[f"{name}: MiB at first and in the end"] = (
            now.mib - then.mib <= MOST_MIB,
            f"{then.mib:.0f}, {now.mib:.0f}",
        )
        checks[f"{name}: handles at first and in the end"] = (
            now.handles - then.handles <= MOST_HANDLES,
            f"{then.handles}, {now.handles}",
        )
        threads = f"{then.threads}, {now.threads}"
        table.add_row(f"{name}: threads at first and in the end", threads, "")
    for name, waits in (("echo", honest.echo_s), ("store of an exam", honest.store_s)):
        if waits:
            table.add_row(f"honest {name}: longest, s", f"{max(waits):.2f}", "")
    table.add_row("honest senders told to come again", str(honest.refused), "")
    for name, (good, shown) in checks.items():
        table.add_row(name, shown, "yes" if good else "no", style="" if good else "bold red")
    table.caption = f"{given.minutes:g} minutes; drained {drained_s:.0f} s after the last attack"
    return table, all(good for good, _ in checks.values())


def _await_results(node: Node, honest: Honest) -> float:
    """Wait until every honest exam has a result that was delivered; give the seconds."""
    began = time.monotonic()
    while time.monotonic() - began < RESULT_WITHIN_S and _alive(node):
        if read_records(node, honest.studies).delivered == len(honest.studies):
            break
        time.sleep(2.0)
    return time.monotonic() - began


def _alive(node: Node) -> bool:
    return all(
        program.process is not None and program.process.poll() is None
        for program in node.programs.values()
    )


def _new_database(stack: contextlib.ExitStack) -> str:
    return stack.enter_context(database()).new_database()


if __name__ == "__main__":
    sys.exit(main())
