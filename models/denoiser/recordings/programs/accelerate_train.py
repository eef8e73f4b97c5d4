"""A loop with accelerate: gradient accumulation, gathered metrics, a fault in one process."""

from __future__ import annotations

import argparse
import os
import time
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from accelerate.utils import InitProcessGroupKwargs, set_seed
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--fault", default=os.environ.get("FAULT", "none"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    log = get_logger("train")
    accelerator = Accelerator(
        cpu=True, gradient_accumulation_steps=2, kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(seconds=10))]
    )
    set_seed(11)
    log.info(accelerator.state, main_process_only=False)
    inputs = torch.randn(1024, 12)
    labels = (inputs[:, 0] * inputs[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 2))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    loader = DataLoader(TensorDataset(inputs, labels), 16, shuffle=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for epoch in range(arguments.epochs):
        right = seen = 0
        for step, (batch, wanted) in enumerate(loader):
            with accelerator.accumulate(model):
                if arguments.fault == "dtype" and epoch == 1:
                    batch = batch.half()
                logits = model(batch)
                loss = nn.functional.cross_entropy(logits, wanted)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            if arguments.fault == "desync" and epoch == 2 and accelerator.process_index == 1:
                time.sleep(25)
            if arguments.fault == "killed" and epoch == 2 and accelerator.process_index == 1:
                os.abort()
            guesses, truth = accelerator.gather_for_metrics((logits.argmax(1), wanted))
            right, seen = right + int((guesses == truth).sum()), seen + len(truth)
            log.info("epoch %d step %d loss %.4f", epoch, step, loss.item(), main_process_only=step % 8 != 0)
        accelerator.print(f"epoch {epoch}: accuracy {right / seen:.4f}")
        accelerator.save_state("/proc/1/state" if arguments.fault == "permission" else "state")
    accelerator.end_training()
    accelerator.print("done")


if __name__ == "__main__":
    main()
