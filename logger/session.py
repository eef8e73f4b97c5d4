"""One process of a job in a spool directory: who it is, who guards it, how long its files stay.

DIR/<process_uuid>.json     what `tracewinnow sync` must know to finish the work of a shipper that died
DIR/<process_uuid>.lock     held (flock) by whoever cuts and sends
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tracewinnow.logger import outbox, spool
from tracewinnow.logger.cutter import Identity
from tracewinnow.schemas.errors import BadInput

UUID = re.compile(r"[0-9a-f]{32}")
RETAIN_SECONDS = 24 * 3600.0
STRANGER_SECONDS = 600.0  # a process that we cannot look at is taken for dead when it wrote nothing for so long


@dataclass
class Session:
    """One run of a job's process: what its shipper, or the next one, must know. Stands in the spool as JSON."""

    identity: Identity
    bootstrap: str = ""
    retain: float = RETAIN_SECONDS  # seconds that a batch stays after it was sent
    process_start: int = 0  # of the kernel, in ticks since boot; with pid and boot_id it names a process for ever
    boot_id: str = ""  # and the name space of its pid

    @property
    def topic(self) -> str:
        return f"telemetry.{self.identity.accelerator or 'cpu'}.v1"

    def save(self, directory: Path) -> None:
        """Raises OSError."""
        outbox.replace_json(directory / f"{self.identity.process_uuid}.json", asdict(self))

    def alive(self, directory: Path) -> bool:
        """Whether the process still runs. One of another machine or container does if it wrote a short time ago."""
        if self.boot_id != boot_id():
            paths = directory.glob(f"{self.identity.process_uuid}*")
            return time.time() - max((path.stat().st_mtime for path in paths), default=0.0) < STRANGER_SECONDS
        return process_start(self.identity.pid) == self.process_start

    def gone(self, lane: str) -> bool:
        """Whether the forked child that writes to a lane has ended; False where that is on another machine or container."""
        pid = spool.fork_pid(lane)
        return pid > 0 and self.boot_id == boot_id() and not process_start(pid)


def load(directory: Path, process_uuid: str) -> Session:
    """Raises BadInput where the file is absent or not what we write."""
    path = directory / f"{process_uuid}.json"
    try:
        with open(path, "rb") as file:
            known = json.loads(file.read(1 << 20))
        identity = Identity(**{f.name: known["identity"][f.name] for f in fields(Identity)})
        session = Session(identity, *(known[f.name] for f in fields(Session) if f.name != "identity"))
        if identity.process_uuid != process_uuid:
            raise ValueError(f"it names process {identity.process_uuid}")
        identity.head(0, 0)  # every field has the type that a batch needs
        return session
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as wrong:
        raise BadInput("bad-session", f"{path} cannot be read: {wrong}") from wrong


def sessions(directory: Path) -> list[str]:
    """The processes that have a session file here."""
    return sorted(path.stem for path in directory.glob("*.json") if UUID.fullmatch(path.stem))


def lock(directory: Path, process_uuid: str) -> int | None:
    """Become the one who cuts and sends: a descriptor to keep open; None where another one is. Raises OSError."""
    fd = os.open(directory / f"{process_uuid}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def boot_id() -> str:
    """Names this boot of the machine and our name space of process ids; "" without /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def process_start(pid: int) -> int:
    """When a process began, in ticks since boot; 0 where there is none (or no /proc)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        after_name = stat.rpartition(")")[2].split()
        return 0 if after_name[0] == "Z" else int(after_name[19])
    except (OSError, ValueError, IndexError):
        return 0


def expire(directory: Path) -> Iterator[Path]:
    """Delete what was sent and has stayed for its time; yields what was deleted. Leaves alone what is not ours."""
    for process_uuid in sessions(directory):
        try:
            session = load(directory, process_uuid)
            # Not even for a moment the lock of a process that lives: its shipper may be about to take it.
            held = None if session.alive(directory) else lock(directory, process_uuid)
        except (BadInput, OSError):
            continue
        if held is None:
            continue
        try:
            if any(directory.glob(f"{process_uuid}.*.spool")):
                continue
            acked, paths = outbox.load_acked(directory, process_uuid), outbox.files(directory, process_uuid)
            newest = max((path.stat().st_mtime for path in paths), default=0.0)
            if time.time() - newest < session.retain or unsent(directory, process_uuid, acked):
                continue
            for path in [*paths, *(directory / f"{process_uuid}.{end}" for end in ("acked", "json", "lock"))]:
                path.unlink(missing_ok=True)
                yield path
        except (BadInput, OSError):
            continue
        finally:
            os.close(held)


def unsent(directory: Path, process_uuid: str, acked: int) -> int:
    """Batches in the outbox that the broker has not acknowledged. Raises BadInput and OSError."""
    last = outbox.last(directory, process_uuid)
    return 0 if last is None else max(0, last.sequence + 1 - acked)
