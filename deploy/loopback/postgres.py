"""A PostgreSQL server on loopback, in a folder of its own, that may be killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from peers import MissingPeer, free_port

__all__ = ["Postgres"]


class Postgres:
    """A server of our own; root has it run as the user postgres."""

    def __init__(self, folder: Path) -> None:
        installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        found = shutil.which("initdb") or (installed[-1] if installed else None)
        if found is None:
            raise MissingPeer("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self.folder, self.programs = folder, Path(found).resolve().parent
        self.as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise MissingPeer(
                    "PostgreSQL does not run as root, and there is no user postgres"
                ) from None
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.port = free_port()
        self._call("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "node", "--no-sync")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            # Processes are killed here, not the machine: what was written is there without it.
            "fsync": "off",
        }
        options = [f"--{key}={value}" for key, value in settings.items()]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *options]
        ready = [str(self.programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        for _ in range(900):
            # After a kill the old server's last children may still hold its memory.
            if self.process is None or self.process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    self.process = subprocess.Popen(
                        command,
                        stdout=subprocess.DEVNULL,
                        stderr=log,
                        cwd=self.folder,
                        **self.as_user,
                    )
            if subprocess.run(ready, capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text("utf-8")[-2000:])

    def end(self, how: signal.Signals = signal.SIGINT, patience_s: float = 60.0) -> None:
        """End it, and wait for its end."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(patience_s)
            self.process = None

    def new_database(self) -> str:
        """Make an empty database, and give its URL."""
        name = f"node_{uuid.uuid4().hex}"
        engine = sa.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self._url(name)

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self.as_user,
        )

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://node@127.0.0.1:{self.port}/{name}"
