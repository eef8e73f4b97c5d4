"""Gradient and weight norms of a torch module, without stalling the device.

Before each optimizer step the norms are computed on the device, all layers at once, and copied to pinned host memory in
one asynchronous copy. They are read at a later step, when the copy has come by itself: the host never waits.

The gradients are those that the optimizer is about to use: after clipping, and in data-parallel training after the
exchange. Of a sharded parameter it is the norm of the local shard. Sparse gradients are left out.
"""

from __future__ import annotations

import importlib
import sys
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from tracewinnow.logger import wire

if TYPE_CHECKING:
    from tracewinnow.logger.recorder import Recorder

PENDING = 8  # copies under way; a device that is further behind loses norms, and never waits for us
LAST_SECONDS = 1.0  # at the end of the run, for the copies under way


class Pending(NamedTuple):
    """Norms of one step that the device still computes."""

    step: int
    names: dict[str, list[str]]  # statistic -> layers, in the order of the values
    values: Any  # float32[all of them], on the host when `ready`
    ready: Any  # a CUDA event, or None where the values are there


class Watch:
    """Made by `run.watch`. Hooks every torch optimizer that has parameters of the module; `close` unhooks.

    `step` counts the optimizer's steps from `first_step`. Nothing here raises into the job, or keeps its module alive: when the
    last parameter is gone, the watch is `closed`.
    """

    def __init__(self, run: Recorder, model: Any, every: int, first_step: int) -> None:
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(model, torch.nn.Module):
            raise TypeError(f"watch() takes a torch.nn.Module, not {type(model).__name__}")
        self.torch, self.run, self.every, self.step = torch, run, max(1, every), first_step
        self.closed = False
        self.parameters = [(name, weakref.ref(p)) for name, p in model.named_parameters() if p.requires_grad]
        self._known = {id(parameter()): parameter for _, parameter in self.parameters}
        self._pending: deque[Pending] = deque()
        self._free: list[Any] = []  # pinned buffers
        # Its module is not an attribute of torch.optim; torch is imported already, by the job.
        optimizers = importlib.import_module("torch.optim.optimizer")
        self._handle = optimizers.register_optimizer_step_pre_hook(self._before_step)

    def _before_step(self, optimizer: Any, *_: Any) -> None:
        if self.closed:
            return
        try:
            if not any(self._knows(p) for group in optimizer.param_groups for p in group["params"]):
                self._leave()
                return
            self.collect()
            if self.step % self.every == 0 and not self._capturing():
                self.measure(self.step)
            self.step += 1
        except Exception as wrong:  # noqa: BLE001
            self._stop()
            self.run.failed(f"watch stopped at step {self.step}: {type(wrong).__name__}: {wrong}")

    def _knows(self, parameter: Any) -> bool:
        found = self._known.get(id(parameter))
        return found is not None and found() is parameter  # another object may have got the number

    def _leave(self) -> None:
        """Stop when there is nothing left to watch, and nothing under way."""
        if any(parameter() is not None for _, parameter in self.parameters):
            return
        self.collect()
        if not self._pending:
            self._stop()

    def _stop(self) -> None:
        """From within a hook, which must not unhook itself: torch goes through its hooks at this moment."""
        self.closed = True
        self._pending.clear()

    def _capturing(self) -> bool:
        """Whether a CUDA graph is recorded, in which no copy to the host may stand."""
        cuda = self.torch.cuda
        return bool(cuda.is_available() and cuda.is_initialized() and cuda.is_current_stream_capturing())

    def measure(self, step: int) -> None:
        """Start computing the norms of this moment; returns before they are computed."""
        torch = self.torch
        chosen: dict[Any, list[tuple[str, str, Any]]] = {}  # device -> statistic, layer, tensor
        for name, reference in self.parameters:
            if (parameter := reference()) is None:
                continue
            for statistic, tensor in (("grad_norm", parameter.grad), ("weight_norm", parameter.detach())):
                if tensor is not None and tensor.layout == torch.strided and tensor.numel():
                    local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
                    chosen.setdefault(local.device, []).append((statistic, name, local))
        for device, found in chosen.items():
            found.sort(key=lambda one: one[0])  # stable: gradients first, layers in the order of the module
            names: dict[str, list[str]] = {}
            for statistic, name, _ in found:
                names.setdefault(statistic, []).append(name)
            with torch.no_grad():
                values = torch.stack([norm.float() for norm in self._norms([tensor for *_, tensor in found])])
            self._copy(step, names, device, values)

    def _norms(self, tensors: list[Any]) -> list[Any]:
        """2-norms as 0-d tensors; one kernel for many tensors where this version of torch has it."""
        torch = self.torch
        try:
            return list(torch._foreach_norm(tensors, 2, dtype=torch.float32))
        except (TypeError, RuntimeError, AttributeError):
            return [torch.linalg.vector_norm(tensor, 2, dtype=torch.float32) for tensor in tensors]

    def _copy(self, step: int, names: dict[str, list[str]], device: Any, values: Any) -> None:
        if device.type != "cuda":
            self._pending.append(Pending(step, names, values, None))
            return
        if len(self._pending) >= PENDING:
            self.run.failed(f"watch: the device is more than {PENDING} readings behind")
            return
        buffer = self._buffer(values.numel())
        with self.torch.cuda.device(device):
            buffer.copy_(values, non_blocking=True)
            ready = self.torch.cuda.Event()
            ready.record()
        self._pending.append(Pending(step, names, buffer, ready))

    def _buffer(self, size: int) -> Any:
        for index, buffer in enumerate(self._free):
            if buffer.numel() == size:
                return self._free.pop(index)
        return self.torch.empty(size, dtype=self.torch.float32, pin_memory=True)

    def collect(self) -> None:
        """Record the norms that have arrived; waits for none."""
        while self._pending and (self._pending[0].ready is None or self._pending[0].ready.query()):
            step, names, values, ready = self._pending.popleft()
            data = values.cpu().numpy().astype("<f4").tobytes()
            at = 0
            for statistic, layers in names.items():
                size = 4 * len(layers)
                self.run.vector(step, layers, data[at : at + size], statistic, wire.FLOAT32)
                at += size
            if ready is not None:
                self._free.append(values)

    def close(self) -> None:
        """Unhook, and record what arrives within a second."""
        self.closed = True
        self._handle.remove()
        until = time.monotonic() + LAST_SECONDS
        try:
            self.collect()
            while self._pending and time.monotonic() < until:
                time.sleep(0.005)
                self.collect()
        except Exception:  # noqa: BLE001 - the device is gone
            self._pending.clear()
