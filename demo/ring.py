"""Ring all-reduce over TCP between processes of one host (Patarasuk and Yuan, 2009)."""

from __future__ import annotations

import logging
import selectors
import socket
import time

import numpy as np
import numpy.typing as npt

log = logging.getLogger("collective")
Floats = npt.NDArray[np.float32]


class CollectiveError(RuntimeError):
    """A collective did not complete; which one and why is in the message."""


def listeners(count: int) -> list[socket.socket]:
    """One listening socket for each rank on a free port; they are inherited by the ranks."""
    found = []
    for _ in range(count):
        listening = socket.create_server(("127.0.0.1", 0), backlog=1)
        listening.set_inheritable(True)
        found.append(listening)
    return found


class Ring:
    """The links of one rank to its two neighbours.

    listen_fd: file descriptor of this rank's listening socket. ports: the port of each rank. timeout: seconds that a
    collective may wait for a neighbour before it raises CollectiveError.
    """

    def __init__(self, rank: int, listen_fd: int, ports: list[int], timeout: float) -> None:
        self.rank, self.size, self.timeout = rank, len(ports), timeout
        self.sequence = 0
        listening = socket.socket(fileno=listen_fd)
        listening.set_inheritable(False)  # a child that kept it would hide the death of this rank from its neighbours
        listening.settimeout(timeout)
        self.right = socket.create_connection(("127.0.0.1", ports[(rank + 1) % self.size]), timeout=timeout)
        self.left, _ = listening.accept()
        listening.close()
        for link in (self.left, self.right):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.setblocking(False)

    def mean(self, values: Floats) -> Floats:
        """Mean of `values` (float32[n]) over all ranks. Blocks until all have called it; raises CollectiveError."""
        self.sequence += 1
        began = time.monotonic()
        parts = np.array_split(values.astype(np.float32), self.size)
        for turn in range(self.size - 1):  # reduce-scatter: after it part (rank + 1) is complete here
            send, take = (self.rank - turn) % self.size, (self.rank - turn - 1) % self.size
            parts[take] = parts[take] + self._exchange(parts[send], parts[take].size)
        for turn in range(self.size - 1):  # all-gather
            send, take = (self.rank + 1 - turn) % self.size, (self.rank - turn) % self.size
            parts[take] = self._exchange(parts[send], parts[take].size)
        log.debug(
            "allreduce seq %d: %.1f KiB over %d ranks in %.2f ms",
            self.sequence, values.nbytes / 1024, self.size, (time.monotonic() - began) * 1e3,
        )  # fmt: skip
        mean: Floats = np.concatenate(parts) / np.float32(self.size)
        return mean

    def _exchange(self, out: Floats, count: int) -> Floats:
        """Send `out` to the right while `count` numbers come from the left."""
        pending = memoryview(out.tobytes())
        received = bytearray()
        deadline = time.monotonic() + self.timeout
        with selectors.DefaultSelector() as ready:
            if count:
                ready.register(self.left, selectors.EVENT_READ)
            if pending:
                ready.register(self.right, selectors.EVENT_WRITE)
            while pending or len(received) < count * 4:
                happened = ready.select(timeout=max(0.0, deadline - time.monotonic()))
                if not happened:
                    raise CollectiveError(
                        self._says(f"timed out after {self.timeout:.1f} s waiting for", self._waits(pending))
                    )
                for key, _ in happened:
                    try:
                        if key.fileobj is self.left:
                            chunk = self.left.recv(count * 4 - len(received))
                            if not chunk:
                                raise ConnectionResetError(104, "Connection closed by peer")
                            received += chunk
                            if len(received) == count * 4:
                                ready.unregister(self.left)
                        else:
                            pending = pending[self.right.send(pending) :]
                            if not pending:
                                ready.unregister(self.right)
                    except ConnectionError as lost:
                        peer = (self.rank + (-1 if key.fileobj is self.left else 1)) % self.size
                        raise CollectiveError(self._says("lost the connection to", peer)) from lost
        return np.frombuffer(bytes(received), dtype=np.float32)

    def _waits(self, pending: memoryview) -> int:
        return (self.rank + (1 if pending else -1)) % self.size

    def _says(self, what: str, peer: int) -> str:
        return f"allreduce seq {self.sequence} on rank {self.rank} {what} rank {peer}"

    def close(self) -> None:
        """Close both links; the neighbours see it."""
        self.left.close()
        self.right.close()
