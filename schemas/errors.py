"""The error tree: what the sender did wrong, what may pass, and what the user should change."""


class TracewinnowError(Exception):
    """Root of every error that this package raises on purpose."""


class BadInput(TracewinnowError):
    """The sender's fault, and permanent: goes to the dead letters with its bytes, is never retried.

    code: stable and short, for counting. reason: a sentence that the sender understands.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.code, self.reason)


class Transient(TracewinnowError):
    """May pass by itself: a broker or a store that does not answer. Retried, never a dead letter."""


class BadUse(TracewinnowError):
    """The caller's fault: an option or argument that cannot be. The command line exits with 2."""
