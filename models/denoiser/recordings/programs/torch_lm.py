"""A character language model in torch: log lines with times, gradient norms, retries, evaluation, preemption."""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import json
import logging
import math
import os
import random
import signal
import sys
import time

import torch
from torch import nn

logging.basicConfig(
    level=logging.INFO, stream=sys.stdout, format="%(asctime)s | %(levelname)-8s | %(name)s:%(lineno)d - %(message)s"
)
log = logging.getLogger("trainer")
io = logging.getLogger("storage")


class Gru(nn.Module):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.cell = nn.GRU(width, width, batch_first=True)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.cell(self.embed(tokens))[0])


class Bucket:
    """Object storage that fails at times; the upload is tried again."""

    def __init__(self, broken: bool) -> None:
        self.broken, self.random = broken, random.Random(5)

    def put(self, name: str) -> None:
        for attempt in range(1, 6):
            try:
                if self.broken or self.random.random() < 0.3:
                    raise TimeoutError("read timed out. (read timeout=10)")
                io.info("uploaded %s in %.2f s", name, self.random.uniform(0.1, 0.9))
                return
            except TimeoutError as error:
                pause = 0.01 * 2**attempt
                io.warning("upload of %s failed (attempt %d/5): %s; retrying in %.2f s", name, attempt, error, pause)
                time.sleep(pause)
        raise RuntimeError(f"giving up on {name} after 5 attempts: read timed out")


def evaluate(model: Gru, tokens: torch.Tensor) -> float:
    with torch.no_grad():
        logits = model(tokens[:, :-1])
        return nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object a step")
    parser.add_argument("--gate", type=float, default=6.0, help="highest perplexity that passes")
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    log.info(
        "args: %s", json.dumps({name: value for name, value in sorted(vars(arguments).items()) if name != "fault"})
    )
    for name in sorted(name for name in os.environ if name.startswith(("OMP", "PYTHON", "LANG"))):
        log.debug("env %s=%s", name, os.environ[name])
    torch.manual_seed(3)
    text = torch.arange(40_000) * 7 % 61 % 27
    text = text + (torch.rand(40_000) < 0.02) * torch.randint(0, 4, (40_000,))
    model = Gru(32, 48)
    optimizer = torch.optim.AdamW(model.parameters(), arguments.lr)
    bucket = Bucket(fault == "storage-timeout")
    asked = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    log.info("model: %d parameters, vocabulary 32, device cpu", sum(each.numel() for each in model.parameters()))
    best, begun = math.inf, time.time()
    for step in range(1, arguments.steps + 1):
        at = torch.randint(0, len(text) - 33, (16,))
        tokens = torch.stack([text[each : each + 33] for each in at])
        logits = model(tokens[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        if fault.startswith("nan") and step >= arguments.steps // 2:
            loss = loss * torch.log(torch.zeros(()) - float(step > arguments.steps // 2))
        if fault == "divergence" and step == arguments.steps // 2:
            log.info("lr schedule: warm restart, lr %.1e -> %.1e", arguments.lr, 1e3 * arguments.lr)
            optimizer.param_groups[0]["lr"] = 1e3 * arguments.lr
        if fault == "nan-check" and not torch.isfinite(loss):
            log.error(
                "non-finite loss %s at step %d (lr %.2e), last finite step %d",
                loss.item(),
                step,
                arguments.lr,
                step - 1,
            )
            raise FloatingPointError(f"Loss is {loss.item()}, stopping training")
        optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), arguments.clip)
        optimizer.step()
        if step % arguments.every == 0:
            rate = step * 512 / (time.time() - begun)
            if arguments.json:
                print(json.dumps({"step": step, "loss": loss.item(), "grad_norm": float(norm), "tok_s": round(rate)}))
            else:
                log.info(
                    "step %5d/%d | loss %.4f | gnorm %.3f | %.0f tok/s", step, arguments.steps, loss.item(), norm, rate
                )
        if step % 97 == 0:
            log.warning("garbage collection took %.0f ms", random.uniform(50, 90))
        if fault == "segv" and step == arguments.steps // 3:
            faulthandler.enable()
            ctypes.string_at(0)
        if fault == "preempted" and step == arguments.steps // 2:
            os.kill(os.getpid(), signal.SIGTERM)
        if fault == "leak" and step > 50:
            asked_pages = torch.ones(6_000_000)
            model.__dict__.setdefault("cache", []).append(asked_pages)
        if fault == "leak" and step % 10 == 0:
            with open("/proc/self/status") as status:
                resident = next(line.split()[1] for line in status if line.startswith("VmRSS"))
            log.info("memory: rss %.2f GB", int(resident) / 1e6)
        if asked and fault == "preempted":
            log.warning("received SIGTERM (preemption notice), saving and leaving")
            bucket.put(f"ckpt/step_{step:06d}.pt")
            log.error("job preempted at step %d of %d, training incomplete", step, arguments.steps)
            sys.exit(143)
        if step % 100 == 0:
            value = evaluate(model, text[:3300].view(100, 33))
            log.info(
                "eval | step %d | val_loss %.4f | ppl %.2f", step, value, math.exp(value) if value < 50 else math.inf
            )
            if value > 2 * best + 1:
                raise SystemExit(
                    f"FATAL: validation loss diverged: {value:.3f} against the best {best:.3f}; aborting run"
                )
            best = min(best, value)
            torch.save(model.state_dict(), "last.pt")
            bucket.put(f"ckpt/step_{step:06d}.pt")
    final = evaluate(model, text[3300:6600].view(100, 33))
    perplexity = math.exp(min(final, 50)) if final == final else float("nan")
    log.info("final | test_loss %.4f | test_ppl %.2f | best val_loss %.4f", final, perplexity, best)
    if perplexity > arguments.gate:
        log.error("quality gate failed: test_ppl %.2f > allowed %.2f", perplexity, arguments.gate)
        sys.exit(4)
    log.info("done in %.1f s", time.time() - begun)


if __name__ == "__main__":
    main()
