"""A byte-level language model: embedding, two hidden layers, softmax over the next byte. Plain numpy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
CONTEXT, WIDTH, HIDDEN, BYTES = 16, 24, 192, 256
SLOPE = np.float32(0.1)  # of the leaky rectifier


class ByteModel:
    """Parameters by name, float32, the same on every rank."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)

        def matrix(rows: int, columns: int) -> Floats:
            return np.asarray(rng.standard_normal((rows, columns)) * np.sqrt(2.0 / rows), np.float32)

        self.tensors: dict[str, Floats] = {
            "embed": rng.standard_normal((BYTES, WIDTH)).astype(np.float32),
            "hidden.0.weight": matrix(CONTEXT * WIDTH, HIDDEN),
            "hidden.0.bias": np.zeros(HIDDEN, np.float32),
            "hidden.1.weight": matrix(HIDDEN, HIDDEN),
            "hidden.1.bias": np.zeros(HIDDEN, np.float32),
            "head.weight": matrix(HIDDEN, BYTES) * np.float32(0.3),
            "head.bias": np.zeros(BYTES, np.float32),
        }

    def loss(self, windows: npt.NDArray[np.uint8]) -> tuple[float, dict[str, Floats]]:
        """Cross entropy in nats and its gradients. windows: uint8[batch, CONTEXT + 1], the last byte is the target."""
        p = self.tensors
        inputs, target = windows[:, :-1], windows[:, -1]
        batch = len(windows)
        x0 = p["embed"][inputs].reshape(batch, -1)  # (batch, CONTEXT * WIDTH)
        z1 = x0 @ p["hidden.0.weight"] + p["hidden.0.bias"]
        x1 = np.where(z1 > 0, z1, SLOPE * z1)  # (batch, HIDDEN)
        z2 = x1 @ p["hidden.1.weight"] + p["hidden.1.bias"]
        x2 = np.where(z2 > 0, z2, SLOPE * z2)
        logits = x2 @ p["head.weight"] + p["head.bias"]  # (batch, BYTES)
        shifted = logits - logits.max(axis=1, keepdims=True)
        exp = np.exp(shifted)
        total = exp.sum(axis=1, keepdims=True)
        loss = float(np.mean(np.log(total[:, 0]) - shifted[np.arange(batch), target]))

        d3 = exp / total
        d3[np.arange(batch), target] -= 1
        d3 /= np.float32(batch)
        d2 = (d3 @ p["head.weight"].T) * np.where(z2 > 0, np.float32(1), SLOPE)
        d1 = (d2 @ p["hidden.1.weight"].T) * np.where(z1 > 0, np.float32(1), SLOPE)
        embed = np.zeros_like(p["embed"])
        np.add.at(embed, inputs, (d1 @ p["hidden.0.weight"].T).reshape(batch, CONTEXT, WIDTH))
        gradients = {
            "embed": embed,
            "hidden.0.weight": x0.T @ d1,
            "hidden.0.bias": d1.sum(axis=0),
            "hidden.1.weight": x1.T @ d2,
            "hidden.1.bias": d2.sum(axis=0),
            "head.weight": x2.T @ d3,
            "head.bias": d3.sum(axis=0),
        }
        return loss, gradients

    def flatten(self, tensors: dict[str, Floats]) -> Floats:
        """One vector for the collective, in the order of the parameters."""
        return np.concatenate([tensors[name].ravel() for name in self.tensors])

    def unflatten(self, vector: Floats) -> dict[str, Floats]:
        """The inverse of flatten."""
        found, at = {}, 0
        for name, tensor in self.tensors.items():
            found[name] = vector[at : at + tensor.size].reshape(tensor.shape)
            at += tensor.size
        return found


class Momentum:
    """Stochastic gradient descent with momentum 0.9."""

    def __init__(self, model: ByteModel) -> None:
        self.model = model
        self.velocity = {name: np.zeros_like(tensor) for name, tensor in model.tensors.items()}

    def step(self, gradients: dict[str, Floats], rate: float) -> None:
        """Change the model in place."""
        for name, gradient in gradients.items():
            self.velocity[name] *= np.float32(0.9)
            self.velocity[name] += gradient
            self.model.tensors[name] -= np.float32(rate) * self.velocity[name]
