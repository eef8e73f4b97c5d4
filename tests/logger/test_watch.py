"""`run.watch` on real torch modules. Marked `torch`: run them where torch is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracewinnow.schemas import telemetry_pb2 as pb

pytestmark = pytest.mark.torch

TRAINING = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)).to({device!r})
model[2].bias.requires_grad_(False)
optimizer = torch.optim.{optimizer}
run.watch(model, every={every})
expected = []
for step in range(10):
    loss = model(torch.randn(16, 4, device={device!r})).square().mean() * (float("nan") if step == 7 else 1)
    loss.backward()
    expected.append([float(p.grad.norm()) for p in model.parameters() if p.grad is not None]
                    + [float(p.norm()) for p in model.parameters() if p.requires_grad])
    optimizer.step()
    optimizer.zero_grad()
print(expected)
run.finish()
"""
NAMES = ["0.weight", "0.bias", "2.weight"]


def read(stdout: bytes) -> list[list[float]]:
    found = eval(stdout, {"nan": float("nan"), "inf": float("inf")})
    assert isinstance(found, list)
    return found


def check(layers: list[pb.LayerStats], expected: list[list[float]], steps: range) -> None:
    assert [(layer.step, layer.statistic) for layer in layers] == [
        (step, statistic) for step in steps for statistic in ("grad_norm", "weight_norm")
    ]
    for layer in layers:
        assert list(layer.names) == NAMES
        assert (layer.values.dtype, list(layer.values.shape)) == (pb.DTYPE_FLOAT32, [3])
        part = expected[layer.step][:3] if layer.statistic == "grad_norm" else expected[layer.step][3:]
        np.testing.assert_allclose(np.frombuffer(layer.values.data, "<f4"), part, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["SGD(model.parameters(), lr=0.1)", "AdamW(model.parameters(), lr=0.1)"])
@pytest.mark.parametrize("every", [1, 3])
def test_norms_of_every_layer(job: Callable[..., Any], spool: Any, optimizer: str, every: int) -> None:
    done = job(TRAINING.format(device="cpu", optimizer=optimizer, every=every))
    assert done.returncode == 0, done.stderr.decode()
    check([event.layers for event in spool.events("layers")], read(done.stdout), range(0, 10, every))


def test_half_precision_does_not_overflow(job: Callable[..., Any], spool: Any) -> None:
    done = job(
        """
import torch
model = torch.nn.Linear(100, 100, bias=False).to(torch.bfloat16)
half = torch.nn.Linear(100, 100, bias=False).half()
both = torch.nn.ModuleList([model, half])
for p in both.parameters(): p.grad = torch.full_like(p, 60000)
run.watch(both)
torch.optim.SGD(both.parameters(), lr=0.0).step()
"""
    )
    assert done.returncode == 0, done.stderr.decode()
    gradients = spool.events("layers")[0].layers
    np.testing.assert_allclose(np.frombuffer(gradients.values.data, "<f4"), [6e6, 6e6], rtol=0.01)


def test_other_optimizers_are_left_alone(job: Callable[..., Any], spool: Any) -> None:
    done = job(
        """
import torch
model, other = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
run.watch(model)
for p in other.parameters(): p.grad = torch.ones_like(p)
torch.optim.SGD(other.parameters(), lr=0.1).step()
run.watch("no module"); run.watch(model, every="x")
"""
    )
    assert done.returncode == 0
    assert spool.events("layers") == []
    assert done.stderr.count(b"tracewinnow:") == 1


def test_a_model_is_not_kept_alive(job: Callable[..., Any], spool: Any) -> None:
    """As of sweeps, which train one after the other in one process."""
    done = job(
        """
import gc, torch, weakref
gone = []
for number in range(5):
    model = torch.nn.Linear(4, 4)
    gone.append(weakref.ref(model.weight))
    run.watch(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(4)).sum().backward()
    optimizer.step()
    del model, optimizer
    gc.collect()
    print(gone[-1]() is None, len(run._watches))
other = torch.nn.Linear(2, 2)
for p in other.parameters(): p.grad = torch.ones_like(p)
torch.optim.SGD(other.parameters(), lr=0.1).step()
print([watch.closed for watch in run._watches])
"""
    )
    assert done.returncode == 0, done.stderr.decode()
    *rounds, closed = done.stdout.splitlines()
    assert [line.split()[0] for line in rounds] == [b"True"] * 5
    assert int(rounds[-1].split()[1]) <= 2  # those that were closed are forgotten
    assert closed == b"[" + b", ".join([b"True"] * (closed.count(b",") + 1)) + b"]"
    assert len(spool.events("layers")) == 10


def test_nothing_of_torch_is_imported_by_us(job: Callable[..., Any]) -> None:
    done = job("import sys; run.memory(); run.watch(None); print('torch' in sys.modules)")
    assert done.stdout == b"False\n"


@pytest.fixture
def cuda() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.mark.usefixtures("cuda")
def test_the_device_is_never_waited_for(job: Callable[..., Any], spool: Any) -> None:
    """Steps of a busy device: `optimizer.step()` with the watch returns long before the device has done the work."""
    done = job(TRAINING.format(device="cuda", optimizer="SGD(model.parameters(), lr=0.1)", every=1))
    assert done.returncode == 0, done.stderr.decode()
    check([event.layers for event in spool.events("layers")], read(done.stdout), range(10))
    done = job(
        """
import time, torch
model = torch.nn.Linear(512, 512, device="cuda")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run.watch(model)
for p in model.parameters(): p.grad = torch.ones_like(p)
optimizer.step(); torch.cuda.synchronize()
torch.cuda._sleep(2_000_000_000)
began = time.perf_counter()
for _ in range(5): optimizer.step()
print(time.perf_counter() - began)
torch.cuda.synchronize()
print(time.perf_counter() - began)
"""
    )
    queued, finished = map(float, done.stdout.split())
    assert queued < finished / 2
