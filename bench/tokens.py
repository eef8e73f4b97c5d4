"""Tokens of 200 records of per-layer statistics and 200 spans: our text beside compact JSON, CSV and TOON.

python -m bench.tokens [--json]

Two tokenizers: Tekken (from the mistral-common wheel) and, where litellm is installed or TIKTOKEN_CACHE_DIR holds it,
o200k_base. Numbers everywhere have the digits that a relative error of 1 % needs, unless `--exact`.
"""

from __future__ import annotations

import argparse
import base64
import csv
import io
import json
import os
from collections.abc import Callable
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import numpy as np
import tiktoken

from tracewinnow.codec import Span, render_series, render_spans


def tokenizers() -> dict[str, Callable[[str], int]]:
    raw = json.loads(files("mistral_common").joinpath("data/tekken_240911.json").read_text())
    size = raw["config"]["default_vocab_size"] - raw["config"]["default_num_special_tokens"]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in raw["vocab"][:size]}
    pattern = raw["config"]["pattern"]
    found = {"tekken": tiktoken.Encoding("tekken", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})}
    spec = find_spec("litellm")
    if spec and spec.origin and "TIKTOKEN_CACHE_DIR" not in os.environ:
        os.environ["TIKTOKEN_CACHE_DIR"] = os.path.join(
            os.path.dirname(spec.origin), "litellm_core_utils", "tokenizers"
        )
    if "TIKTOKEN_CACHE_DIR" in os.environ:
        found["o200k_base"] = tiktoken.get_encoding("o200k_base")
    return {name: (lambda text, e=e: len(e.encode(text, disallowed_special=()))) for name, e in found.items()}


def statistics(exact: bool) -> list[dict[str, Any]]:
    """200 records: 10 layers at 20 steps, four statistics each."""
    rng = np.random.default_rng(7)
    steps, layers = 20, 10
    common = np.cumsum(rng.normal(0, 0.05, (steps, 1, 4)), 0)
    values = np.exp(common + rng.normal(0, 0.05, (steps, layers, 4)) + rng.normal(0, 1, (1, layers, 4)) - [2, 4, 1, 0])
    digits = 9 if exact else 3
    names = [f"model.layers.{layer}.self_attn.q_proj.weight" for layer in range(layers)]
    return [
        {
            "step": 100 * step,
            "layer": names[layer],
            **{
                key: float(f"{np.float32(value):.{digits}g}")
                for key, value in zip(("grad_norm", "mean", "std", "max"), values[step, layer], strict=True)
            },
        }
        for step in range(steps)
        for layer in range(layers)
    ]


def timeline() -> list[dict[str, Any]]:
    """200 spans of one rank: forward, backward, all-reduce and optimizer of 50 steps."""
    rng = np.random.default_rng(8)
    at = 1_700_000_000_000_000_000
    spans = []
    usual = {"train_step.forward": 41e6, "train_step.backward": 83e6, "nccl.all_reduce": 12e6, "optimizer.step": 9e6}
    for _ in range(50):
        for name, ns in usual.items():
            duration = int(ns * np.exp(rng.normal(0, 0.05)))
            spans.append({"name": name, "track": "rank0", "start_ns": at, "duration_ns": duration})
            at += duration + int(rng.exponential(20_000))
    return spans


def compact(records: list[dict[str, Any]]) -> str:
    return json.dumps(records, separators=(",", ":"))


def as_csv(records: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def as_toon(records: list[dict[str, Any]]) -> str:
    """Tabular TOON: the keys once, a line for each record (github.com/toon-format/toon)."""
    head = f"records[{len(records)}]{{{','.join(records[0])}}}:"
    return "\n".join([head, *("  " + ",".join(str(v) for v in record.values()) for record in records)])


def series_text(records: list[dict[str, Any]], exact: bool) -> str:
    keys = [key for key in records[0] if key not in ("step", "layer")]
    steps = sorted({record["step"] for record in records})
    layers = list(dict.fromkeys(record["layer"] for record in records))
    place = {(record["step"], record["layer"]): record for record in records}
    values = np.array([[place[s, name][key] for name in layers for key in keys] for s in steps], np.float32)
    names = [f"{name}.{key}" for name in layers for key in keys]
    return render_series(values, names=names, steps=steps, rel_error=None if exact else 0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--exact", action="store_true", help="series with all digits of a float32")
    options = parser.parse_args()
    records, spans = statistics(options.exact), timeline()
    texts = {
        "series": {
            "tracewinnow": series_text(records, options.exact),
            "json": compact(records), "csv": as_csv(records), "toon": as_toon(records),
        },
        "spans": {
            "tracewinnow": render_spans([Span(s["name"], s["start_ns"], s["duration_ns"], s["track"]) for s in spans]),
            "json": compact(spans), "csv": as_csv(spans), "toon": as_toon(spans),
        },
    }  # fmt: skip
    rows = []
    for tokenizer, count in tokenizers().items():
        for what, forms in texts.items():
            base = count(forms["json"])
            for form, text in forms.items():
                tokens = count(text)
                rows.append(
                    {"tokenizer": tokenizer, "what": what, "form": form, "tokens": tokens, "saved": 1 - tokens / base}
                )
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        told = f"{row['tokens']:6} tokens, {row['saved']:.0%} fewer than JSON"
        print(f"{row['tokenizer']:12} {row['what']:7} {row['form']:12} {told}")


if __name__ == "__main__":
    main()
