"""Finishes what shippers left: cuts the rest of dead processes, sends what is not acknowledged, resends on request."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tracewinnow.logger import outbox, session
from tracewinnow.logger.shipper import Shipper
from tracewinnow.schemas.errors import BadInput, TracewinnowError

Progress = Callable[[int], None]


@dataclass
class Outcome:
    """What became of one process. state: "done", "left" (batches wait), "busy" (its shipper lives), "failed"."""

    job: str
    process_uuid: str
    state: str
    batches: int = 0  # that it has made so far
    sent: int = 0  # now
    left: int = 0  # that no broker has acknowledged
    message: str = ""


def sync(
    directory: Path,
    bootstrap: str = "",
    job: str = "",
    resend: range | None = None,
    patience: float = 10.0,
    progress: Callable[[str, int], Progress] | None = None,
) -> Iterator[Outcome]:
    """One outcome for each process in the directory (of one job), as it is done.

    bootstrap: instead of the one that the process was started with.
    resend: sequences to send again, acknowledged or not.
    patience: seconds without progress after which the broker is given up.
    progress: called with the job and the number of batches to send; gives what to call with the number sent.
    Damage of one process is its outcome; nothing is raised for it.
    """
    for process_uuid in session.sessions(directory):
        try:
            known = session.load(directory, process_uuid)
        except BadInput as wrong:
            yield Outcome(job, process_uuid, "failed", message=wrong.reason)
            continue
        if job and known.identity.job_id != job:
            continue
        try:
            yield _sync(directory, known, bootstrap, resend, patience, progress)
        except (TracewinnowError, OSError) as wrong:
            yield Outcome(known.identity.job_id, process_uuid, "failed", message=str(wrong))


def _sync(
    directory: Path,
    known: session.Session,
    bootstrap: str,
    resend: range | None,
    patience: float,
    progress: Callable[[str, int], Progress] | None,
) -> Outcome:
    identity = known.identity
    outcome = Outcome(identity.job_id, identity.process_uuid, "done")
    held = session.lock(directory, identity.process_uuid)
    if held is None:
        outcome.state, outcome.message = "busy", "its shipper is at work; nothing to do here"
        return outcome
    try:
        known.bootstrap = bootstrap or known.bootstrap
        shipper = Shipper(directory, known)
        alive = known.alive(directory)
        while shipper.step(final=not alive):
            pass
        if not alive and not shipper.cutter.said:
            shipper.say_end(None, shipper.cutter.latest_ns)
        shipper.cut_all()
        if not alive and _surely(directory, known):
            shipper.clean()
        outcome.batches = shipper.cutter.sequence
        if shipper.sender is not None:
            first = shipper.sender.acked
            report = progress(identity.job_id, outcome.batches - first) if progress else lambda _: None
            shipper.sender.flush(patience, lambda: report(shipper.sender.acked - first if shipper.sender else 0))
            outcome.sent = shipper.sender.acked - first
            if resend is not None:
                outcome.sent += _resend(directory, known, resend, patience)
        outcome.left = outcome.batches - (
            shipper.sender.acked if shipper.sender else outbox.load_acked(directory, identity.process_uuid)
        )
        if outcome.left or shipper.unwritten:
            outcome.state = "left"
            outcome.message = shipper.report() or "no broker is known; name one with --bootstrap HOST:PORT"
        return outcome
    finally:
        os.close(held)


def _surely(directory: Path, known: session.Session) -> bool:
    """Whether a process that is taken for dead is. One of another container may write again to what would be deleted.

    Where nobody can look, a day without a word is asked for.
    """
    if known.boot_id == session.boot_id():
        return True
    paths = directory.glob(f"{known.identity.process_uuid}.*.spool")
    return time.time() - max((path.stat().st_mtime for path in paths), default=0.0) > session.RETAIN_SECONDS


def _resend(directory: Path, known: session.Session, sequences: range, patience: float) -> int:
    """How many batches of the range were sent once more."""
    from tracewinnow.logger.sender import Sender

    identity = known.identity
    sender = Sender(
        directory, identity.process_uuid, known.bootstrap, known.topic, identity.job_id, sequences.start, sequences.stop
    )
    sender.flush(patience)
    return sender.acknowledged
