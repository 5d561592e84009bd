"""Dask: start workers on this machine or connect to a scheduler, and run tasks with flat memory.

Who can speak to a scheduler can run any program on its workers. So a local cluster has TLS with
certificates of its own, which are made for it and exist in memory alone, and a scheduler on another
machine is used with TLS only.
"""

from __future__ import annotations

import ipaddress
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from mammolens.errors import ConfigError, JobUnfinished

__all__ = ["Cluster", "open_cluster"]

Task = TypeVar("Task")
Made = TypeVar("Made")

CERTIFICATES: Final = ("ca.pem", "cert.pem", "key.pem")
_CONNECT_S: Final = 10
_WAIT_S: Final = 60
_AHEAD: Final = 3
"""Tasks for each worker that wait at the scheduler: enough that no worker is idle."""
_AGAIN: Final = "Run the same command again: it continues, and nothing that is done is lost"


class Cluster:
    """A connection to workers."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.killers: list[str] = []

    def run(
        self,
        make: Callable[..., Made],
        tasks: Iterable[Task],
        *further: object,
        name: Callable[[Task], str] = repr,
    ) -> Iterator[Made]:
        """Give ``make(task, *further)`` of each task, in any order; few are in memory at a time.

        A task whose worker is killed is given to another worker. A task that kills several workers
        is left out, and its name is added to `killers`.

        Raises
        ------
        JobUnfinished
            The scheduler or all workers are lost.
        MammolensError
            What a task raises, and at once.
        """
        from distributed import KilledWorker, as_completed

        waiting = iter(tasks)
        names: dict[str, str] = {}

        def begin(count: int) -> list[Any]:
            begun = []
            for task in islice(waiting, count):
                future = self._client.submit(make, task, *further, pure=False)
                names[future.key] = name(task)
                begun.append(future)
            return begun

        with _losses():
            first = begin(_AHEAD * self._check_workers())
            pending = as_completed(first, loop=self._client.loop)
            for future in pending:
                label = names.pop(future.key)
                try:
                    made = future.result()
                except KilledWorker:
                    self.killers.append(label)
                else:
                    yield made
                future.release()
                pending.update(begin(1))

    def _check_workers(self) -> int:
        """Count the workers, and refuse those with several threads."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        if wide := [one for one, facts in workers.items() if facts["nthreads"] != 1]:
            raise ConfigError(
                f"the worker {wide[0]} has {workers[wide[0]]['nthreads']} threads",
                keyword="--cluster",
                remedy="Start more workers with one thread each: dask worker --nthreads 1",
            )
        return max(1, len(workers))


@contextmanager
def open_cluster(address: str, tls: Path | None = None) -> Iterator[Cluster]:
    """Start N workers on this machine (``local:N``), or connect to a scheduler.

    Parameters
    ----------
    address
        ``local:N``, ``tls://HOST:PORT``, or ``tcp://HOST:PORT`` of this machine.
    tls
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem`` for ``tls://``.

    Raises
    ------
    ConfigError
        The address cannot be used, would be used without TLS, or a certificate is missing.
    JobUnfinished
        No scheduler answers, or it has no worker.
    """
    place = _read_address(address)
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    logging.getLogger("tornado").setLevel(logging.CRITICAL)
    settings = {
        "distributed.comm.timeouts.connect": f"{_CONNECT_S}s",
        "distributed.diagnostics.nvml": False,
        "distributed.admin.low-level-log-length": 10,  # else Dask keeps the last 1,000 messages
        "distributed.scheduler.http.routes": [],  # pages for anybody on this machine
        "distributed.worker.http.routes": [],
    }
    with dask.config.set(settings), tempfile.TemporaryDirectory(prefix="mammolens-") as scratch:
        if isinstance(place, int):
            security = Security.temporary()
            with (
                LocalCluster(
                    n_workers=place,
                    threads_per_worker=1,
                    host="tls://127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    security=security,
                    local_directory=scratch,
                    silence_logs=logging.CRITICAL,
                ) as local,
                Client(local, security=security) as client,
            ):
                yield Cluster(client)
            return
        security = _security(tls) if place.startswith("tls:") else None
        try:
            client = Client(place, security=security, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise JobUnfinished(
                f"no scheduler answers at {address} ({error or type(error).__name__})",
                keyword="--cluster",
                remedy="Start it, or check the address and the certificates; then run this again",
            ) from error
        with client:
            try:
                client.wait_for_workers(1, timeout=_WAIT_S)
            except TimeoutError as error:
                raise JobUnfinished(
                    f"the scheduler at {address} has had no worker for {_WAIT_S} s",
                    keyword="--cluster",
                    remedy="Start workers, then run the same command again",
                ) from error
            yield Cluster(client)


def _read_address(address: str) -> int | str:
    """Give the number of local workers, or the address of a scheduler."""
    kind, _, rest = address.partition(":")
    if kind == "local" and rest.isascii() and rest.isdigit() and int(rest):
        return int(rest)
    try:
        parts = urlsplit(address)
        if parts.scheme not in ("tcp", "tls") or not parts.hostname or not parts.port:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"{address!r} is not a cluster",
            keyword="--cluster",
            remedy="Give local:N for N workers on this machine, or tls://HOST:PORT of a scheduler",
        ) from None
    if parts.scheme == "tcp" and not _is_loopback(parts.hostname):
        raise ConfigError(
            f"{address} is another machine, and tcp has no encryption: pictures and identities"
            " would be readable, and anybody in between could run programs on the workers",
            keyword="--cluster",
            remedy="Start the scheduler with certificates, and give tls://HOST:PORT and --tls DIR",
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _security(folder: Path | None) -> Any:
    from distributed.security import Security

    missing = [name for name in CERTIFICATES if folder is None or not (folder / name).is_file()]
    if folder is None or missing:
        raise ConfigError(
            f"there is no {' or '.join(missing)}" if folder else "no certificates are named",
            source=str(folder) if folder else None,
            keyword="--tls",
            remedy=f"Give a folder with {', '.join(CERTIFICATES)}",
        )
    ca, cert, key = (str(folder / name) for name in CERTIFICATES)
    return Security(
        require_encryption=True, tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key
    )


@contextmanager
def _losses() -> Iterator[None]:
    """Turn what Dask raises when scheduler or workers are lost into one error."""
    from distributed.comm import CommClosedError

    try:
        yield
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise JobUnfinished(
            f"the scheduler of the cluster is lost ({error or type(error).__name__})",
            keyword="--cluster",
            remedy=_AGAIN,
        ) from error
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"a worker cannot import {error.name}",
            keyword="--cluster",
            remedy="Install the same version of mammolens[scale] on all workers",
        ) from error
