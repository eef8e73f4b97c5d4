"""One process of a job in a spool directory: who it is, who guards it, how long its files stay.

DIR/<process_uuid>.json     what `tracewinnow sync` must know to finish the work of a shipper that died
DIR/<process_uuid>.lock     held (flock) by whoever cuts and sends
DIR/<process_uuid>.<lane>.lock    held by the process whose tee writes to that lane
"""

from __future__ import annotations

import contextlib
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
TEE = re.compile(r"tee[0-9]{0,9}")  # a lane that is written to by another process than the job
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
    return _flock(directory / f"{process_uuid}.lock", os.O_CREAT)


def lock_lane(directory: Path, process_uuid: str, lane: str) -> int | None:
    """Say, before its first segment, that this process writes to the lane of a tee: a descriptor to keep open.

    None where that cannot be said; then the lane is deleted when the job has ended and somebody cleans up.
    """
    try:
        return _flock(_lane_lock(directory, process_uuid, lane), os.O_CREAT) if TEE.fullmatch(lane) else None
    except OSError:
        return None


def lane_held(directory: Path, process_uuid: str, lane: str) -> bool:
    """Whether some process says that it writes to the lane of a tee. Not known where there are no locks: then False."""
    try:
        fd = _flock(_lane_lock(directory, process_uuid, lane)) if TEE.fullmatch(lane) else -1
    except OSError:
        return False
    if fd is not None and fd >= 0:
        os.close(fd)
    return fd is None


def forget_lane(directory: Path, process_uuid: str, lane: str) -> None:
    """Remove the lock of a lane that is deleted."""
    if TEE.fullmatch(lane):
        with contextlib.suppress(OSError):
            _lane_lock(directory, process_uuid, lane).unlink()


def locked_lanes(directory: Path, process_uuid: str) -> list[str]:
    """Lanes of tees that have the file of a lock, held or not."""
    names = (path.name.split(".")[1] for path in directory.glob(f"{process_uuid}.*.lock"))
    return sorted(lane for lane in names if TEE.fullmatch(lane))


def _lane_lock(directory: Path, process_uuid: str, lane: str) -> Path:
    return directory / f"{process_uuid}.{lane}.lock"


def _flock(path: Path, flags: int = 0) -> int | None:
    """A descriptor that holds the lock; None where another one has it. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as wrong:
        os.close(fd)
        if isinstance(wrong, BlockingIOError):
            return None
        raise
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
            lanes = locked_lanes(directory, process_uuid)
            if any(lane_held(directory, process_uuid, lane) for lane in lanes):
                continue
            if any(directory.glob(f"{process_uuid}.*.spool")):
                continue
            acked, paths = outbox.load_acked(directory, process_uuid), outbox.files(directory, process_uuid)
            newest = max((path.stat().st_mtime for path in paths), default=0.0)
            if time.time() - newest < session.retain or unsent(directory, process_uuid, acked):
                continue
            ends = (*(f"{lane}.lock" for lane in lanes), "acked", "json", "lock")
            for path in [*paths, *(directory / f"{process_uuid}.{end}" for end in ends)]:
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
