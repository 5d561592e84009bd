"""Fifty people at once: how long worklist, exams, previews and films take while a worker analyses.

A service with many exams is filled and started; then each person does something every two to five
seconds, in a session of their own, while exams keep coming in and one worker analyses them. Client
and service share the machine. Sign-ins come before and are not counted.

Run: python benchmarks/bench_portal.py [--people 50] [--exams 10000] [--seconds 120]
     [--database postgresql://USER@HOST/NAME]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pyotp
import sqlalchemy as sa

from mammolens.serve import people
from mammolens.serve.demonstration import invite_people, receive_studies
from mammolens.serve.demonstration.studies import make_studies
from mammolens.serve.holdings import NodeState, open_state
from mammolens.serve.people import Origin, SignIns
from mammolens.serve.record import (
    EXAMS,
    INSTANCES,
    JOBS,
    OVERLAYS,
    PICTURES,
    RESULTS,
    SITES,
    PersonRole,
)
from mammolens.serve.settings import load_settings

TARGET_S = 0.3
COUNTED = ("worklist", "search", "exam", "exam for the viewer")
TOKEN = "a-token-of-the-benchmark"
FEED_S = 8.0
PASSWORD = "a calm grey morning"
HERE = Origin("127.0.0.1", "benchmark")
WORDS = ("p01", "name12", "anna", "zz")
FILM = (
    'multipart/related; type="image/dicom-rle"; transfer-syntax=1.2.840.10008.1.2.5,'
    'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1;q=0.5'
)


@dataclass
class Times:
    """Seconds of answers by what was asked for, and what did not succeed."""

    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: list[str] = field(default_factory=list)

    def show(self) -> None:
        """Print a row for each kind."""
        print(f"{'':22}{'number':>8}{'median':>9}{'p95':>9}{'slowest':>9}   (ms)")
        for what, found in sorted(self.taken.items()):
            row = (statistics.median(found), percentile(found, 95), max(found))
            print(f"{what:22}{len(found):>8}" + "".join(f"{s * 1000:>9.0f}" for s in row))


def main() -> None:
    options = read_options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = write_settings(folder, options.database)
        began = time.perf_counter()
        secrets = fill(settings, options.people, options.exams)
        print(f"{options.exams} exams and {options.people} people in {since(began)}")
        run(settings, secrets, options.seconds)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--exams", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--database", default="")
    return parser.parse_args()


def write_settings(folder: Path, database: str) -> Path:
    path = folder / "node.toml"
    lines = [f'data = "{folder / "data"}"', 'sinks = ["json"]']
    lines += [f'database = "{database}"'] if database else []
    lines += ["[intake]", "film = true", "min_free_mb = 0", "[dimse]", "port = 0"]
    lines += ["[exams]", "quiet_time_s = 1.0", "[jobs]", "poll_s = 0.2"]
    lines += ["[web]", "port = 0", f'tokens = {{ feeder = "{TOKEN}" }}']
    path.write_text("\n".join(lines), "utf-8")
    return path


def fill(settings: Path, number: int, exams: int) -> list[str]:
    """Make people and exams; gives the secrets of the sessions."""
    loaded = load_settings(settings)
    with open_state(loaded) as state:
        invite_people(state)
        for _ in receive_studies(state):
            pass
    analyse(settings)
    with open_state(loaded) as state:
        copy_exams(state, exams)
        return sign_in(state, number)


def analyse(settings: Path) -> None:
    time.sleep(1.5)  # the quiet time
    code = "from mammolens.cli import main; main()"
    command = [sys.executable, "-c", code, "worker", "--once", "--config", str(settings)]
    subprocess.run(command, check=True, capture_output=True)


def copy_exams(state: NodeState, number: int) -> None:
    """Repeat the exams that are there under other names, with pictures and results."""
    chance = random.Random(0)
    now = datetime.now(UTC)
    with state.database.write() as connection:
        sites = list(connection.execute(sa.select(SITES.c.id)).scalars())
        given = [dict(row._mapping) for row in connection.execute(sa.select(EXAMS))]
        parts = {exam["id"]: parts_of(connection, exam["id"]) for exam in given}
        next_ids = {
            table.name: 1 + (connection.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0)
            for table in (EXAMS, INSTANCES, JOBS, RESULTS)
        }
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for count in range(number - len(given)):
            copy_exam(rows, next_ids, chance.choice(given), parts, count)
            made = rows["exams"][-1]
            received = now - timedelta(minutes=chance.randrange(60 * 24 * 60))
            made |= {"site_id": chance.choice(sites), "first_received_at": received}
        for table in (EXAMS, INSTANCES, PICTURES, JOBS, RESULTS, OVERLAYS):
            for start in range(0, len(rows[table.name]), 1000):
                connection.execute(table.insert(), rows[table.name][start : start + 1000])


def parts_of(connection: sa.Connection, exam_id: int) -> dict[str, list[dict[str, Any]]]:
    def read(table: sa.Table, condition: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
        return [dict(row._mapping) for row in connection.execute(sa.select(table).where(condition))]

    found = {
        table.name: read(table, table.c.exam_id == exam_id) for table in (INSTANCES, JOBS, RESULTS)
    }
    instances = [row["id"] for row in found["instances"]]
    results = [row["id"] for row in found["results"]]
    found["pictures"] = read(PICTURES, PICTURES.c.instance_id.in_(instances))
    found["overlays"] = read(OVERLAYS, OVERLAYS.c.result_id.in_(results))
    return found


def copy_exam(
    rows: dict[str, list[dict[str, Any]]],
    next_ids: dict[str, int],
    exam: dict[str, Any],
    parts: dict[int, dict[str, list[dict[str, Any]]]],
    count: int,
) -> None:
    changed: dict[tuple[str, int], int] = {}

    def new_id(table: str, old: int) -> int:
        changed[table, old] = next_ids[table]
        next_ids[table] += 1
        return changed[table, old]

    name, patient = f"Name{count}^Anna", f"P{count:05d}"
    exam_id = new_id("exams", exam["id"])
    rows["exams"].append(
        exam
        | {
            "id": exam_id,
            "study_instance_uid": f"2.25.{10**12 + count}",
            "identity": f"{count:064x}",
            "patient_id": patient,
            "patient_name": name,
            "patient_key": f"k{count:063x}",
            "accession_number": f"A{count}",
            "search_text": f"{name} {patient} a{count}".casefold(),
        }
    )
    own = parts[exam["id"]]
    for row in own["instances"]:
        uid = f"{row['sop_instance_uid'][:50]}.{count}"[:64]
        made = new_id("instances", row["id"])
        rows["instances"].append(row | {"id": made, "exam_id": exam_id, "sop_instance_uid": uid})
    for row in own["pictures"]:
        rows["pictures"].append(row | {"instance_id": changed["instances", row["instance_id"]]})
    for row in own["jobs"]:
        rows["jobs"].append(row | {"id": new_id("jobs", row["id"]), "exam_id": exam_id})
    for row in own["results"]:
        made = new_id("results", row["id"])
        job = changed["jobs", row["job_id"]]
        rows["results"].append(row | {"id": made, "exam_id": exam_id, "job_id": job})
    for row in own["overlays"]:
        rows["overlays"].append(row | {"result_id": changed["results", row["result_id"]]})


def sign_in(state: NodeState, number: int) -> list[str]:
    """Let people go through their first sign-in; gives the secrets of their sessions."""
    database, settings = state.database, state.settings.people
    signs, secrets = SignIns(database, settings), []
    admin = people.renew_administrator(database, settings, "bench.admin").person
    with database.read() as connection:
        sites = list(connection.execute(sa.select(SITES.c.id)).scalars())
    roles = {site: frozenset({PersonRole.READER}) for site in sites}
    for count in range(number):
        invited = people.invite(database, settings, admin, f"reader{count}", "A Reader", roles)
        secret, session = signs.give_password(invited.person.name, invited.password or "", HERE)
        secret, session = signs.change_password(session, secret, None, PASSWORD, HERE)
        offer = people.offer_second_factor(database, session)
        code = pyotp.TOTP(offer.secret).now()
        secret, session = signs.give_code(session, secret, code, HERE)
        secrets.append(secret)
    return secrets


def run(settings: Path, secrets: list[str], seconds: float) -> None:
    code = "from mammolens.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "serve", "--config", str(settings)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().split()[-1].rstrip("/")
        times = Times()
        before, used = os.getloadavg(), cpu_seconds(process.pid)
        began = time.perf_counter()
        fed = asyncio.run(everybody(address, secrets, seconds, times))
        took = time.perf_counter() - began
        used = cpu_seconds(process.pid) - used
    finally:
        process.terminate()
        process.wait(60)
    times.show()
    load = ", ".join(f"{part:.1f}" for part in (before[0], *os.getloadavg()))
    print(f"{len(secrets)} people for {took:.0f} s; {fed} exams came in and were analysed")
    print(f"processor of the service without its workers: {used / took:.2f}; load {load}")
    print(f"not answered: {len(times.failed)} {sorted({*times.failed})[:5]}")
    for what in COUNTED:
        p95 = percentile(times.taken[what], 95)
        verdict = "within" if p95 <= TARGET_S else "MISSES"
        print(f"{what}: p95 {p95 * 1000:.0f} ms, {verdict} the target of {TARGET_S * 1000:.0f} ms")


async def everybody(address: str, secrets: list[str], seconds: float, times: Times) -> int:
    until = time.monotonic() + seconds
    feeding = asyncio.create_task(feed(address, until))
    await asyncio.gather(
        *(person(address, secret, number, until, times) for number, secret in enumerate(secrets))
    )
    return await feeding


async def person(address: str, secret: str, number: int, until: float, times: Times) -> None:
    """Do something every two to five seconds, as a reader does."""
    chance = random.Random(number)
    client = httpx.AsyncClient(base_url=address, cookies={"mammolens": secret}, timeout=60.0)
    listed: list[dict[str, Any]] = []

    async def ask(what: str, path: str, **headers: str) -> httpx.Response | None:
        began = time.perf_counter()
        try:
            done = await client.get(path, headers=headers)
        except httpx.HTTPError as error:
            times.failed.append(f"{what}: {type(error).__name__}")
            return None
        if not done.is_success:
            times.failed.append(f"{what}: {done.status_code}")
            return None
        times.taken[what].append(time.perf_counter() - began)
        return done

    async with client:
        await asyncio.sleep(chance.uniform(0, 5))
        while time.monotonic() < until:
            draw = chance.random()
            if draw < 0.5 or not listed:
                sort = chance.choice(("worklist", "received"))
                status = chance.choice(("", "&status=new"))
                done = await ask("worklist", f"/api/v1/exams?limit=50&sort={sort}{status}")
                listed = done.json()["items"] if done else listed
            elif draw < 0.6:
                await ask("search", f"/api/v1/exams?limit=50&q={chance.choice(WORDS)}")
            else:
                await look(ask, chance.choice(listed)["id"], films=draw > 0.95)
            await asyncio.sleep(chance.uniform(2, 5))


async def look(ask: Any, exam_id: int, films: bool) -> None:
    """Open an exam: its row, what the viewer needs, the previews; sometimes a film."""
    await ask("exam", f"/api/v1/exams/{exam_id}")
    done = await ask("exam for the viewer", f"/api/v1/exams/{exam_id}/viewer")
    images = done.json()["images"] if done else []
    await asyncio.gather(*(ask("preview", image["preview"]["url"]) for image in images))
    if films and images:
        await ask("film as stored", f"{images[0]['framesUrl']}/1", accept=FILM)


async def feed(address: str, until: float) -> int:
    """Send an exam again and again, each time as another one."""
    study = make_studies()[-1]
    files, count = list(study.files()), 0
    async with httpx.AsyncClient(base_url=address, timeout=120.0) as client:
        while time.monotonic() < until:
            count += 1
            bodies = await asyncio.to_thread(renamed, files, count)
            for body in bodies:
                done = await client.post(
                    "/dicom-web/studies",
                    content=body,
                    headers={
                        "Authorization": f"Bearer {TOKEN}",
                        "Content-Type": "application/dicom",
                    },
                )
                done.raise_for_status()
            await asyncio.sleep(FEED_S)
    return count


def renamed(files: list[bytes], count: int) -> list[bytes]:
    found = []
    study = pydicom.uid.generate_uid()
    for content in files:
        dataset = pydicom.dcmread(BytesIO(content))
        dataset.StudyInstanceUID, dataset.PatientID = study, f"FED{count}"
        dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        out = BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        found.append(out.getvalue())
    return found


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values) or [float("nan")]
    return ordered[min(len(ordered) - 1, round(len(ordered) * share / 100))]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def since(began: float) -> str:
    return f"{time.perf_counter() - began:.0f} s"


if __name__ == "__main__":
    main()
