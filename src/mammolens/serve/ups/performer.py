"""Perform procedure steps (IHE AI Workflow for Imaging).

claiming ──▶ pulling ──▶ waiting ──▶ ending ──▶ completed, canceled, or lost to another performer.
Each phase is entered in the database before the next one begins, with the transaction UID, so that
a node that was killed continues its claimed steps. A step is completed when its exams have results
and all deliveries of them have arrived. Images are fetched only from servers of the settings,
whatever a step says.

Source: PS3.4 annex CC, PS3.18 chapter 11; IHE RAD TF-2, RAD-80 to RAD-88.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from pydantic import TypeAdapter
from pydicom.dataset import Dataset

from mammolens.errors import DeliveryError, MammolensError
from mammolens.serve import logs
from mammolens.serve.dimse import (
    FoundStudy,
    Method,
    Peer,
    PullReport,
    enter_requested,
    find_peer,
    peer_titled,
    pull_studies,
)
from mammolens.serve.exchange import Endpoint, obeying
from mammolens.serve.holdings import FILM, MAMMOGRAPHY, NodeState
from mammolens.serve.record import STEPS, Step, StepLost, attempts, beating, steps
from mammolens.serve.threads import running
from mammolens.serve.ups._outcome import StepOutcome, missing_instances, read_outcome
from mammolens.serve.ups.cancels import hearing_cancels
from mammolens.serve.ups.data import (
    Output,
    Reason,
    StepInput,
    cancellation,
    claimable,
    final_report,
    progress,
    read_inputs,
)
from mammolens.serve.ups.servers import (
    ALREADY,
    CANCELED,
    COMPLETED,
    IN_PROGRESS,
    NOT_OURS,
    SCHEDULED,
    StepServer,
    is_success,
    open_server,
)
from mammolens.serve.web import find_web_peer, is_web_peer, list_instances, pull_instances

__all__ = ["perform_steps", "performing"]

ROOM: Final = "ups"


@contextlib.contextmanager
def performing(state: NodeState, stop: threading.Event | None = None) -> Iterator[None]:
    """Perform the steps of the server in the settings, if there is one, until the block ends.

    Calls to servers are cut `dimse.stop_s` after `stop` is set; every phase can be repeated.

    Raises
    ------
    ConfigError
        A server in the settings is not valid; nothing was begun.
    """
    ups, stop = state.settings.ups, stop or threading.Event()
    if not ups.server:
        yield
        return
    for name in filter(None, (ups.server, ups.source)):
        _find(state, name)
    with hearing_cancels(state), running(ROOM, stop, partial(_run, state, stop)):
        yield


def perform_steps(state: NodeState) -> int:
    """Continue every open step as far as possible, and claim new ones; give the number that ended.

    Raises
    ------
    DeliveryError
        The server of steps is away.
    StorageError
        The database cannot be used.
    """
    settings, ended = state.settings, 0
    worker = f"{ROOM}:{socket.gethostname()}:{os.getpid()}"
    name = settings.ups.server
    with (
        open_server(settings) as server,
        beating(state.database, STEPS, settings.jobs.lease_s) as pulse,
    ):
        uids = claimable(server.find(), settings.ups)
        if uids:
            steps.enter(state.database, name, uids, settings.ups.most)
        since = time.monotonic()
        held = steps.hold(state.database, name, worker, settings.jobs)
        with pulse.holding([step.lease for step in held], since, settings.ups.deadline_s):
            for step in held:
                with contextlib.suppress(StepLost):
                    ended += _continue_step(state, server, step)
    return ended


def _run(state: NodeState, stop: threading.Event) -> None:
    away, poll_s = 0, state.settings.ups.poll_s
    with obeying(stop, state.settings.dimse.stop_s):
        while not stop.is_set():
            try:
                perform_steps(state)
                away = 0
            except Exception as error:
                away += 1
                logs.event(ROOM, "not_performed", logging.ERROR, error=type(error).__name__)
            wait_s = attempts.wait_after(away, state.settings.jobs) if away else 0.0
            stop.wait(max(poll_s, wait_s))


def _continue_step(state: NodeState, server: StepServer, step: Step) -> bool:
    """Continue a step as far as possible; return whether it ended."""
    try:
        step = replace(step, work=_opened(state, step))
        while True:
            following = PHASES[step.phase](state, server, step)
            if following is None:
                steps.put_back(state.database, step, state.settings.ups.poll_s)
                return False
            if following.phase not in PHASES:
                logs.event(ROOM, "ended", reason=following.phase)
                return True
            step = following
    except StepLost:
        raise
    except Exception as error:
        # An invalid step must not stop the others.
        logs.event(ROOM, "put_off", logging.WARNING, error=type(error).__name__)
        wait_s = attempts.wait_after(step.attempts, state.settings.jobs)
        steps.put_back(state.database, step, wait_s, _said(error))
        return False


def _claim(state: NodeState, server: StepServer, step: Step) -> Step | None:
    """Claim a step, or find out that it was claimed before this process was killed."""
    uid, transaction = step.sop_instance_uid, step.transaction_uid
    asked = server.read(uid)
    if asked is None:
        return _finish(state, step, "lost", None)
    if asked.get("ProcedureStepState") == SCHEDULED:
        code = server.change(uid, transaction, IN_PROGRESS)
        found = asked if is_success(code) else server.read(uid)
        if not is_success(code) and found and found.get("ProcedureStepState") == SCHEDULED:
            raise DeliveryError(f"the step cannot be claimed (0x{code:04X})")
    # The answer may be lost, or a killed process may have received it: an update shows whether the
    # step is ours.
    if not _update(server, step, progress(0, "claimed")):
        return _finish(state, step, "lost", None)
    server.subscribe(uid)
    classes = MAMMOGRAPHY | (FILM if state.settings.intake.film else frozenset())
    work = {"inputs": [asdict(given) for given in read_inputs(asked, classes)], "pulled": False}
    return _save(state, step, "pulling", work, "step_claimed")


def _pull(state: NodeState, server: StepServer, step: Step) -> Step | None:
    """Fetch the images that were not received yet."""
    inputs, over = _inputs(step), _given_up(state, step)
    if over is not None:
        return _to_end(state, step, over)
    if not any(given.instances or not given.others for given in inputs):
        reason = Reason.OTHER_IMAGES if inputs else Reason.NO_IMAGES
        return _to_end(state, step, StepOutcome(True, reason))
    come = [_pull_input(state, given) for given in inputs]
    if not _update(server, step, progress(30, "images were asked for")):
        return _finish(state, step, "lost", None)
    return _save(state, step, "waiting", {**step.work, "pulled": all(come)})


def _wait(state: NodeState, server: StepServer, step: Step) -> Step | None:
    """Wait for results and their delivery."""
    del server
    outcome = _given_up(state, step)
    if outcome is None:
        outcome = read_outcome(state, _inputs(step), bool(step.work["pulled"]))
    return _to_end(state, step, outcome) if outcome.is_over else None


def _end(state: NodeState, server: StepServer, step: Step) -> Step | None:
    """Report the results and end the step; both can be repeated."""
    uid, transaction, work = step.sop_instance_uid, step.transaction_uid, step.work
    found = server.read(uid)
    reached = found.get("ProcedureStepState") if found is not None else None
    if reached in (COMPLETED, CANCELED):
        # This process was killed before it entered the end, or somebody else ended the step.
        return _finish(state, step, reached.lower(), work.get("reason"))
    reason = Reason[work["reason"]] if work.get("reason") else None
    outputs = TypeAdapter(list[Output]).validate_python(work["outputs"])
    ended = datetime.fromisoformat(work["ended"])
    data = final_report(state.settings.ups.station, step.created_at, ended, outputs)
    if reason is not None:
        data.update(cancellation(reason, ended))
    if not _update(server, step, data):
        return _finish(state, step, "lost", None)
    wanted = COMPLETED if reason is None else CANCELED
    code = server.change(uid, transaction, wanted)
    if not is_success(code) and code not in ALREADY:
        raise DeliveryError(f"the server does not let the step end (0x{code:04X})")
    return _finish(state, step, wanted.lower(), work.get("reason"))


Phase = Callable[[NodeState, StepServer, Step], Step | None]
"""Gives the step in its next phase, or ``None`` if it must wait."""
PHASES: Final[Mapping[str, Phase]] = {
    "claiming": _claim,
    "pulling": _pull,
    "waiting": _wait,
    "ending": _end,
}


def _update(server: StepServer, step: Step, data: Dataset) -> bool:
    """Update a step; ``False`` if it has ended or belongs to another performer."""
    code = server.update(step.sop_instance_uid, step.transaction_uid, data)
    if not is_success(code) and code not in NOT_OURS:
        raise DeliveryError(f"the step cannot be changed (0x{code:04X})")
    return is_success(code)


def _given_up(state: NodeState, step: Step) -> StepOutcome | None:
    if step.cancel_asked:
        return StepOutcome(True, Reason.ASKED)
    age = datetime.now(UTC) - step.created_at
    if age <= timedelta(seconds=state.settings.ups.deadline_s):
        return None
    missing = missing_instances(state, _inputs(step))
    return StepOutcome(True, Reason.NO_IMAGES if missing else Reason.LATE)


def _to_end(state: NodeState, step: Step, outcome: StepOutcome) -> Step:
    work = {
        **step.work,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "outputs": [asdict(output) for output in outcome.outputs],
        "reason": outcome.reason.name if outcome.reason else None,
    }
    return _save(state, step, "ending", work)


def _save(
    state: NodeState, step: Step, phase: str, work: Mapping[str, Any], action: str | None = None
) -> Step:
    """Store the progress of a step; its true UIDs are encrypted if identities are."""
    seal = state.results.seal
    kept = work if seal is None else seal.close_work(work, step.sop_instance_uid)
    return replace(steps.save(state.database, step, phase, kept, action), work=work)


def _opened(state: NodeState, step: Step) -> Mapping[str, Any]:
    seal = state.results.seal
    return step.work if seal is None else seal.open_work(step.work, step.sop_instance_uid)


def _finish(state: NodeState, step: Step, phase: str, reason: str | None) -> Step:
    steps.end(state.database, step, phase, {"reason": reason})
    return replace(step, phase=phase)


def _pull_input(state: NodeState, given: StepInput) -> bool:
    """Fetch the images of one study; ``False`` if no server in the settings has them."""
    if given.instances and not missing_instances(state, [given]):
        return True
    source = _source(state, given)
    if source is None:
        return False
    study = FoundStudy(given.study, None, None, None, None, ())
    if isinstance(source, Endpoint):
        enter_requested(state, f"peer:{source.name}", [study], [])
        listed = list_instances(state, source, given.study)
        asked = [i for i in listed if not given.instances or i.sop_instance_uid in given.instances]
        reports = [pull_instances(state, source, given.study, asked)]
    else:
        method = Method(state.settings.ups.by)
        reports = list[PullReport](pull_studies(state, source, [study], method))
    if not all(report.is_whole for report in reports):
        raise DeliveryError("not all images of the step came")
    return True


def _source(state: NodeState, given: StepInput) -> Endpoint | Peer | None:
    """Find a peer in the settings that has the images."""
    for url in given.urls:
        for name in state.settings.web.peers:
            peer = find_web_peer(name, state.settings)
            if peer.owns(url):
                return peer
    for title in given.ae_titles:
        known = peer_titled(title, state.settings.dimse)
        if known is not None:
            return known
    source = state.settings.ups.source
    return _find(state, source) if source else None


def _find(state: NodeState, name: str) -> Endpoint | Peer:
    if is_web_peer(name, state.settings):
        return find_web_peer(name, state.settings)
    return find_peer(name, state.settings.dimse)


def _inputs(step: Step) -> list[StepInput]:
    return TypeAdapter(list[StepInput]).validate_python(step.work["inputs"])


def _said(error: Exception) -> str:
    name = type(error).__name__
    return f"{name}: {error.message}" if isinstance(error, MammolensError) else name
