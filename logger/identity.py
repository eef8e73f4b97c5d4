"""Who this process is: from the caller, else from the environment, where launchers name the job and its ranks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tracewinnow.logger import arguments, session
from tracewinnow.logger.cutter import Identity
from tracewinnow.version import VERSION

JOB = (
    "TRACEWINNOW_JOB",
    "SLURM_JOB_ID",
    "PBS_JOBID",
    "LSB_JOBID",
    "JOB_ID",
    "AWS_BATCH_JOB_ID",
    "CLOUD_ML_JOB_ID",
    "TORCHELASTIC_RUN_ID",
)
RANK = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "JAX_PROCESS_ID")
WORLD_SIZE = ("WORLD_SIZE", "SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "JAX_NUM_PROCESSES")


def first_of(names: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """The first of these variables that is set and not empty, or ""."""
    return next((environ[name] for name in names if environ.get(name)), "")


def job_name(job: object, environ: Mapping[str, str]) -> str:
    """Of what is given, else the launcher's id of the job, else one of our own: script, time and chance.

    On one line: a pipeline refuses every batch of a job whose name has a control character in it.
    """
    for given in ("" if job is None else job, first_of(JOB, environ)):
        if found := arguments.one_line(given, 256):
            return found
    script = os.path.basename(sys.argv[0] if sys.argv and sys.argv[0] else "python").removesuffix(".py")
    script = arguments.one_line(script, 200)
    return f"{script or 'python'}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(3).hex()}"


def renamed(job: object, who: Identity, environ: Mapping[str, str] = os.environ) -> str:
    """What a person should know of the job's name; "" where it is what was given."""
    given = str(first_of(JOB, environ) if job is None or job == "" else job)
    if not given or given == who.job_id:
        return ""
    return f"the job is recorded as {who.job_id!r}, not {given[:80]!r}: a name is one line of at most 256 bytes"


def new_session(
    job: object,
    accelerator: object,
    model: object,
    user: object,
    bootstrap: object,
    rank: object,
    world_size: object,
    labels: Mapping[Any, Any] | None,
    retain: object,
    environ: Mapping[str, str] = os.environ,
) -> session.Session:
    """A session for this process; what is not given comes from the environment."""
    who = Identity(
        job_id=job_name(job, environ),
        process_uuid=os.urandom(16).hex(),
        accelerator=str(accelerator).lower() if str(accelerator).lower() in ("tpu", "gpu", "cpu") else "cpu",
        model=arguments.clip(model or ""),
        user=arguments.clip((environ.get("USER") or environ.get("LOGNAME") or "") if user is None else user),
        host=arguments.clip(os.uname().nodename),
        pid=os.getpid(),
        rank=arguments.optional_int32(first_of(RANK, environ) if rank is None else rank),
        world_size=arguments.optional_int32(first_of(WORLD_SIZE, environ) if world_size is None else world_size),
        sender=f"tracewinnow-logger/{VERSION}",
        labels=arguments.bounded_map(labels, 10_000),
    )
    return session.Session(
        who,
        bootstrap=arguments.clip(environ.get("TRACEWINNOW_BOOTSTRAP", "") if bootstrap is None else bootstrap, 4096),
        retain=arguments.seconds(retain, session.RETAIN_SECONDS),
        process_start=session.process_start(who.pid),
        boot_id=session.boot_id(),
    )


def spool_directory(spool: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The spool directory, made if need be. Raises OSError where it cannot be used."""
    if spool is None:
        spool = environ.get("TRACEWINNOW_SPOOL")
    if spool:
        directory = Path(spool).absolute()
        directory.mkdir(parents=True, exist_ok=True)
    else:
        # It is on a disk and outlives a reboot; /tmp may be memory.
        directory = Path("/var/tmp") / f"tracewinnow-{os.getuid()}"  # noqa: S108
        directory.mkdir(mode=0o700, exist_ok=True)
        owner = directory.lstat()
        if directory.is_symlink() or owner.st_uid != os.getuid():
            raise PermissionError(f"{directory} belongs to somebody else: name another folder")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError(f"{directory} cannot be written")
    return directory


def versions() -> dict[str, str]:
    """Of the interpreter, the system, and the libraries that are imported already."""
    found = {"python": sys.version.split()[0], "linux": os.uname().release, "tracewinnow": VERSION}
    for name, module in list(sys.modules.items()):
        if "." in name or name in sys.stdlib_module_names or not isinstance(module, ModuleType):
            continue
        version = vars(module).get(
            "__version__"
        )  # not by getattr, which may run code of the module: an import, a warning
        if isinstance(version, str) and len(found) < 200:
            found[name] = version
    return found


def working_directory() -> str:
    """Where the process works, or "" where that was deleted."""
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""
