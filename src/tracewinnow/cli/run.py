"""`tracewinnow run`: run any command and send what it prints."""

from __future__ import annotations

import sys

import click

from tracewinnow.cli.values import brokers
from tracewinnow.logger import command as runner
from tracewinnow.logger import identity, session
from tracewinnow.schemas.errors import BadUse


@click.command(
    "run",
    context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False},
    epilog="""\b
Examples:
  tracewinnow run --job llama-7b --accelerator gpu --bootstrap kafka:9092 -- python train.py --lr 3e-4
  srun tracewinnow run --spool /local/spool -- ./train      # job and rank from Slurm
""",
)
@click.option("--job", help="Id of the job; from the launcher's environment, else made up.")
@click.option("--accelerator", type=click.Choice(["tpu", "gpu", "cpu"]), default="cpu", show_default=True)
@click.option(
    "--bootstrap", metavar="HOST:PORT", callback=brokers,
    help="Kafka, else TRACEWINNOW_BOOTSTRAP; without it, only the spool.",
)  # fmt: skip
@click.option("--spool", metavar="DIR", help="Where batches are kept, else TRACEWINNOW_SPOOL, else /var/tmp.")
@click.option("--model", default="", help="What is trained.")
@click.option("--rank", type=click.IntRange(0), help="Of this process; from the launcher's environment when not given.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def command(
    job: str | None,
    accelerator: str,
    bootstrap: str | None,
    spool: str | None,
    model: str,
    rank: int | None,
    command: tuple[str, ...],
) -> None:
    """Run COMMAND, pass on what it prints, record it, and say how it ended.

    The exit code is that of COMMAND, or 128 + the number of the signal that killed it. Signals are passed on.
    """
    if not command:
        raise BadUse("there is no command to run; write for instance: tracewinnow run -- python train.py")
    known = identity.new_session(job, accelerator, model, None, bootstrap, rank, None, None, session.RETAIN_SECONDS)
    try:
        directory = identity.spool_directory(spool)
    except OSError as wrong:
        raise BadUse(unusable(wrong)) from wrong
    if other := identity.renamed(job, known.identity):
        click.echo(f"tracewinnow run: {other}", err=True)
    sys.exit(runner.run(command, directory, known))


def unusable(wrong: OSError) -> str:
    """Why a folder cannot be the spool, and what to do."""
    if isinstance(wrong, (FileExistsError, NotADirectoryError)):
        kind = "is" if isinstance(wrong, FileExistsError) else "leads through"
        why = f"{wrong.filename} {kind} a file: a spool is a folder, which is made when it is not there"
    elif wrong.filename:
        why = f"the spool {wrong.filename} cannot be made: {wrong.strerror}"
    else:
        why = f"the spool cannot be used: {wrong}"
    return f"{why}. Choose another folder with --spool, or set TRACEWINNOW_SPOOL to it"
