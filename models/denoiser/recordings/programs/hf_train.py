"""A small causal language model with random weights in the transformers Trainer; nothing comes from the hub."""

from __future__ import annotations

import argparse
import logging
import os
import sys

import torch
import transformers
from datasets import Dataset
from transformers import (
    DataCollatorForLanguageModeling,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

logging.basicConfig(
    format="%(asctime)s - %(levelname)s - %(name)s - %(message)s", datefmt="%m/%d/%Y %H:%M:%S", stream=sys.stdout
)
log = logging.getLogger("run_clm")
log.setLevel(logging.INFO)
WORDS = "the a of in to on model loss rank step data node graph cache batch token layer head weight scale mask".split()  # noqa: SIM905


def tokenizer(fault: str) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {word: number for number, word in enumerate(["<pad>", "<unk>", "</s>", *WORDS])}
    if fault == "vocabulary":
        words = {word: 30 * number for word, number in words.items()}
    made = Tokenizer(WordLevel(words, "<unk>"))
    made.pre_tokenizer = Whitespace()
    pad = None if fault == "no-pad" else "<pad>"
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=pad, unk_token="<unk>", eos_token="</s>")


class Explode(TrainerCallback):
    def on_step_begin(self, args, state, control, model=None, **more):
        if state.global_step == 60:
            with torch.no_grad():
                model.lm_head.weight.fill_(float("nan"))


class StopOnNan(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **more):
        if logs and not torch.isfinite(torch.tensor(float(logs.get("grad_norm", 0.0) or 0.0))):
            log.error("grad_norm is %s at step %d, loss %s", logs["grad_norm"], state.global_step, logs.get("loss"))
            raise RuntimeError(f"training became unstable at step {state.global_step}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--out", default="out")
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    if arguments.verbose:
        transformers.utils.logging.set_verbosity_info()
    if fault == "hub":
        from transformers import AutoTokenizer

        AutoTokenizer.from_pretrained("example-lab/unlikely-tokenizer-7")
    words = tokenizer(fault)
    generator = torch.Generator().manual_seed(0)
    picks = torch.randint(0, len(WORDS), (800, 24), generator=generator).tolist()
    data = Dataset.from_dict(
        {"text": [" ".join(WORDS[each] for each in line[: 10 + number % 14]) for number, line in enumerate(picks)]}
    )
    if fault == "map":
        data = data.map(lambda row: {"text": None} if row["text"].startswith("mask") else row)
    data = data.map(
        lambda rows: words(rows["text"], truncation=True, max_length=24), batched=True, remove_columns=["text"]
    )
    config = LlamaConfig(
        vocab_size=48, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=64, pad_token_id=0, eos_token_id=2, bos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    log.info("model config %s", config)
    log.warning("Process rank: %s, device: cpu, distributed: %s", os.environ.get("RANK", "0"), "RANK" in os.environ)
    split = data.train_test_split(0.1, seed=1)
    options = TrainingArguments(
        arguments.out, max_steps=arguments.steps, per_device_train_batch_size=8, logging_steps=5, save_steps=50,
        eval_steps=50, eval_strategy="steps", save_total_limit=2, learning_rate=1e-3, warmup_steps=10, report_to=[],
        use_cpu=True, logging_nan_inf_filter=False, load_best_model_at_end=True, seed=3,
        metric_for_best_model="eval_f1" if fault == "metric" else "eval_loss",
    )  # fmt: skip
    log.info("Training/evaluation parameters %s", options)
    callbacks = [Explode(), StopOnNan()] if fault == "nan" else [Explode()] if fault == "nan-silent" else []
    trainer = Trainer(
        model, options, DataCollatorForLanguageModeling(words, mlm=False), split["train"], split["test"],
        processing_class=words, callbacks=callbacks,
    )  # fmt: skip
    result = trainer.train(resume_from_checkpoint=arguments.resume or None)
    trainer.save_model(os.path.join(arguments.out, "final"))
    trainer.log_metrics("train", result.metrics)
    found = trainer.evaluate()
    trainer.log_metrics("eval", found)
    if fault == "shape-load":
        small = LlamaConfig(**{**config.to_dict(), "vocab_size": 40})
        LlamaForCausalLM.from_pretrained(os.path.join(arguments.out, "final"), config=small)


if __name__ == "__main__":
    main()
