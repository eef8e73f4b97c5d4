"""An image classifier in torch: YAML configuration, a loader with workers, progress bars, checkpoints."""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

import torch
import yaml
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

CONFIG = """\
seed: 17
data: {root: data/shapes, images: 1600, size: 24, classes: 10, batch_size: 32, workers: 2}
model: {name: small_cnn, width: 24, dropout: 0.1}
optimizer: {name: sgd, lr: 0.05, momentum: 0.9, weight_decay: 0.0005, nesterov: true}
schedule: {name: cosine, epochs: 4, warmup_steps: 20}
checkpoint: {dir: checkpoints, keep: 3}
"""


class Shapes(Dataset):
    def __init__(self, count: int, size: int, classes: int, fault: str) -> None:
        self.count, self.size, self.classes, self.fault = count, size, classes, fault

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int):
        if index == 1043:
            if self.fault == "worker-exception":
                with open(f"data/shapes/img_{index:06d}.png", "rb") as image:
                    image.read()
            if self.fault == "worker-killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "worker-hang":
                time.sleep(60)
        if index % 611 == 7:
            warnings.warn(f"image {index}: ICC profile is corrupt, ignored", stacklevel=2)
        generator = torch.Generator().manual_seed(index)
        label = index % self.classes
        image = torch.randn(3, self.size, self.size, generator=generator) * 0.3 + label / self.classes
        if self.fault == "label-range" and index == 1200:
            label = self.classes + 1
        if self.fault == "image-shape" and index == 900:
            image = image[:1]
        return image, label


class SmallCnn(nn.Module):
    def __init__(self, width: int, size: int, classes: int, dropout: float, fault: str) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        flat = 2 * width * (size // 4) ** 2
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(flat - (fault == "linear-shape"), classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images).flatten(1))


def load_extension() -> None:
    """A fast path that is not there: the traceback is printed, and the job goes on."""
    try:
        import fused_augment  # noqa: F401
    except ImportError:
        traceback.print_exc()
        print("WARNING: fused_augment could not be loaded, falling back to the slow path", file=sys.stderr)


def save(state: dict, folder: Path, epoch: int) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"epoch_{epoch:03d}.pt"
    torch.save(state, path)
    print(f"=> saved checkpoint '{path}' ({path.stat().st_size / 1e6:.2f} MB)")


def resume(model: nn.Module, path: Path) -> int:
    print(f"=> loading checkpoint '{path}'")
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    print(f"=> resumed from epoch {state['epoch']}")
    return state["epoch"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", default="image.yaml")
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    parser.add_argument("--no-bar", action="store_true")
    arguments = parser.parse_args()
    fault = arguments.fault
    if arguments.config == "image.yaml":
        Path("image.yaml").write_text(CONFIG)
    with open(arguments.config) as text:
        config = yaml.safe_load(text)
    print(
        f"PyTorch {torch.__version__}  Python {platform.python_version()}  CUDA available: {torch.cuda.is_available()}"
    )
    print("Configuration:")
    print(yaml.safe_dump(config))
    load_extension()
    data, torch_threads = config["data"], torch.get_num_threads()
    torch.manual_seed(config["seed"])
    print(f"intra-op threads: {torch_threads}, start method: {torch.multiprocessing.get_start_method()}")
    dataset = Shapes(data["images"], data["size"], data["classes"], fault)
    loader = DataLoader(
        dataset, data["batch_size"], num_workers=data["workers"], shuffle=False,
        timeout=5 if fault == "worker-hang" else 0, pin_memory=True,
    )  # fmt: skip
    model = SmallCnn(config["model"]["width"], data["size"], data["classes"], config["model"]["dropout"], fault)
    print(model)
    print(f"parameters: {sum(each.numel() for each in model.parameters()):,}")
    optimizer = torch.optim.SGD(
        model.parameters(), config["optimizer"]["lr"], config["optimizer"]["momentum"],
        weight_decay=config["optimizer"]["weight_decay"], nesterov=True,
    )  # fmt: skip
    epochs = arguments.epochs or config["schedule"]["epochs"]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    first = resume(model, arguments.resume) if arguments.resume else 0
    if fault == "scheduler-order":
        schedule.step()
    for epoch in range(first, epochs):
        model.train()
        seen = right = 0
        bar = tqdm(loader, desc=f"Epoch {epoch + 1}/{epochs}", disable=arguments.no_bar, mininterval=0.05)
        for step, (images, labels) in enumerate(bar):
            if fault == "dtype" and epoch == 1:
                images = images.double()
            logits = model(images)
            if fault == "oom" and epoch == 1 and step == 20:
                keep = torch.empty(1 << 44)
                del keep
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(labels)
            right += int((logits.argmax(1) == labels).sum())
            bar.set_postfix(loss=f"{loss.item():.4f}", acc=f"{right / seen:.3f}")
            if arguments.no_bar and step % 10 == 0:
                print(
                    f"Epoch: [{epoch}][{step:3d}/{len(loader)}]  Loss {loss.item():.4e}  Acc@1 {100 * right / seen:6.2f}"
                )
        schedule.step()
        print(f" * epoch {epoch + 1} Acc@1 {100 * right / seen:.3f} lr {schedule.get_last_lr()[0]:.5f}")
        save({"epoch": epoch + 1, "model": model.state_dict()}, Path(config["checkpoint"]["dir"]), epoch + 1)
    print("Training complete.")


if __name__ == "__main__":
    main()
