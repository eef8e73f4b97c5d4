"""Batch generation with a small causal language model of transformers, its weights random and saved on the spot."""

from __future__ import annotations

import argparse
import logging
import resource
import time
from pathlib import Path

import torch
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

logging.basicConfig(level=logging.INFO, format="[%(asctime)s][%(name)s][%(levelname)s] %(message)s")
log = logging.getLogger("generate")


def save(folder: Path, fault: str) -> None:
    config = GPT2Config(
        vocab_size=200, n_positions=64, n_embd=48, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=199
    )
    model = GPT2LMHeadModel(config)
    if fault == "nan-weights":
        with torch.no_grad():
            model.transformer.h[1].mlp.c_fc.weight[0, 0] = float("nan")
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    if fault == "header":
        path.write_bytes(b"<html>404</html>" + path.read_bytes()[16:])
    if fault == "no-weights":
        path.unlink()
    if fault == "no-config":
        (folder / "config.json").unlink()
    if fault == "bad-config":
        (folder / "config.json").write_text((folder / "config.json").read_text().replace('"n_head": 4', '"n_head": 5'))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, default=Path("models/tiny"))
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    save(arguments.model, fault)
    log.info("loading %s", arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model)
    log.info("loaded, %d parameters, generation config %s", model.num_parameters(), model.generation_config)
    torch.manual_seed(0)
    written = 0
    begun = time.time()
    with open("generations.txt", "w") as out:
        for batch in tqdm(range(arguments.batches), desc="generating", mininterval=0.1):
            length = 70 if fault == "too-long" and batch == 22 else 8 + batch % 5
            prompts = torch.randint(0, 199, (4, length))
            if fault == "token-range" and batch == 22:
                prompts[2, 3] = 4096
            mask = torch.ones(3 if fault == "mask" and batch == 22 else 4, length, dtype=torch.long)
            if fault == "memory" and batch == 22:
                resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))
                prompts = prompts.repeat(400_000, 1)
                mask = mask.repeat(400_000, 1)
            made = model.generate(prompts, attention_mask=mask, do_sample=True, max_new_tokens=12, pad_token_id=199)
            for row in made.tolist():
                out.write(" ".join(map(str, row)) + "\n")
            written += made.numel()
            if batch % 3 == 0:
                log.info("batch %d: %d new tokens, %.1f tok/s", batch, made.numel(), written / (time.time() - begun))
    log.info("wrote generations.txt, %d tokens", written)


if __name__ == "__main__":
    main()
