"""What a job imports: events go into a spool in memory-mapped files; a process of its own sends them.

    import tracewinnow.logger

    with tracewinnow.logger.start(job="llama-7b", accelerator="gpu", bootstrap="kafka:9092") as run:
        run.metrics(step, {"loss": loss})

Nothing in here blocks the job or raises into it. See docs/logger.md.
"""

from tracewinnow.logger.run import Run, start

__all__ = ["Run", "start"]
