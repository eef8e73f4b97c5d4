"""A regression in lightning: callbacks, validation, checkpoints, loggers."""

from __future__ import annotations

import argparse
import os
import signal

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regression(L.LightningModule):
    def __init__(self, width: int = 32, rate: float = 1e-3, fault: str = "none") -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, 1))
        self.unused = nn.Linear(4, 4) if fault == "unused" else None

    def training_step(self, batch, index):
        inputs, wanted = batch
        loss = nn.functional.mse_loss(self.net(inputs).squeeze(-1), wanted)
        if self.hparams.fault == "nan" and self.current_epoch == 2:
            loss = loss * float("inf") - loss * float("inf")
        if self.hparams.fault == "none-loss" and self.current_epoch == 1:
            return {"value": loss}
        if self.hparams.fault == "preempted" and self.current_epoch == 2 and index == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        if self.hparams.fault == "interrupt" and self.current_epoch == 2 and index == 3:
            os.kill(os.getpid(), signal.SIGINT)
        self.log("train_loss", loss, prog_bar=True, on_epoch=True, on_step=True)
        return loss

    def validation_step(self, batch, index):
        inputs, wanted = batch
        loss = nn.functional.mse_loss(self.net(inputs).squeeze(-1), wanted)
        self.log("val_loss", loss, prog_bar=True, sync_dist=self.hparams.fault != "none")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), self.hparams.rate)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--bar", choices=["tqdm", "rich", "none"], default="tqdm")
    parser.add_argument("--resume")
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    L.seed_everything(42)
    inputs = torch.randn(2000, 16)
    wanted = inputs.sum(1) + 0.1 * torch.randn(2000)
    if fault == "rank-exception" and int(os.environ.get("LOCAL_RANK", 0)) == 1:
        wanted = wanted[:1999]
    loaders = [
        DataLoader(TensorDataset(inputs, wanted), 32, shuffle=True, num_workers=0),
        DataLoader(TensorDataset(inputs, wanted), 64),
    ]
    callbacks = [
        EarlyStopping("val_loss", patience=3, verbose=True, check_finite=True)
        if fault != "monitor"
        else EarlyStopping("val/loss"),
        ModelCheckpoint(
            "ckpt", monitor="val_loss", save_top_k=2, verbose=True, filename="{epoch}-{val_loss:.3f}", save_last=True
        ),
        LearningRateMonitor(),
    ]
    if arguments.bar != "none":
        callbacks.append(RichProgressBar() if arguments.bar == "rich" else TQDMProgressBar(refresh_rate=5))
    trainer = L.Trainer(
        max_epochs=arguments.epochs, accelerator="gpu" if fault == "gpu" else "cpu", devices=arguments.devices, callbacks=callbacks,
        strategy="ddp" if arguments.devices > 1 else "auto", logger=CSVLogger("logs"), log_every_n_steps=5,
        enable_progress_bar=arguments.bar != "none", detect_anomaly=fault == "nan", gradient_clip_val=1.0, num_sanity_val_steps=2,
    )  # fmt: skip
    model = Regression(fault=fault)
    if fault == "hyperparameters":
        trainer.fit(model, *loaders)
        Regression.load_from_checkpoint("ckpt/last.ckpt", width=48)
    trainer.fit(model, *loaders, ckpt_path=arguments.resume)
    print(trainer.validate(model, loaders[1]))
    if fault == "nan-stop":
        raise SystemExit("no finite checkpoint to export")


if __name__ == "__main__":
    main()
