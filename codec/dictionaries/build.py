"""Writes v1.bin: the phrases that a coder of log text starts with. Run `python codec/dictionaries/build.py`.

All phrases are written here by hand or put together below from parts; no text of any log is in them. A published
file is
never changed: what it would say differently becomes the next version, and texts name the version they were written
with.
"""

from pathlib import Path

LAYERS = [
    "attn",
    "attention",
    "self_attn",
    "mlp",
    "feed_forward",
    "embed_tokens",
    "embeddings",
    "layernorm",
    "norm",
    "conv",
]
PARTS = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "out_proj",
    "qkv",
    "query",
    "key",
    "value",
    "gate_proj",
    "up_proj",
    "down_proj",
]
PARAMETERS = [".weight", ".bias", ".scale", ".running_mean", ".running_var"]
STATISTICS = [
    "grad_norm",
    "weight_norm",
    "mean",
    "std",
    "min",
    "max",
    "loss",
    "learning_rate",
    "throughput",
    "step_time",
]
ERRORS = [
    "ValueError",
    "TypeError",
    "KeyError",
    "IndexError",
    "RuntimeError",
    "AssertionError",
    "AttributeError",
    "ImportError",
    "ModuleNotFoundError",
    "FileNotFoundError",
    "NotImplementedError",
    "MemoryError",
    "OSError",
    "TimeoutError",
    "ConnectionResetError",
    "BrokenPipeError",
    "KeyboardInterrupt",
    "FloatingPointError",
    "torch.OutOfMemoryError",
    "torch.cuda.OutOfMemoryError",
    "torch.distributed.DistBackendError",
    "jax.errors.JaxRuntimeError",
    "XlaRuntimeError",
]
PHRASES = """Traceback (most recent call last):
During handling of the above exception, another exception occurred:
The above exception was the direct cause of the following exception:
  File "", line , in <module>
, in forward
, in __call__
    return raise
CUDA error: device-side assert triggered
CUDA error: an illegal memory access was encountered
CUDA out of memory. Tried to allocate  GiB. GPU has a total capacity of  GiB of which  MiB is free.
NCCL WARN NCCL INFO unhandled system error
Watchdog caught collective operation timeout:
Connection reset by peer Connection refused Broken pipe
No space left on device Permission denied No such file or directory
Segmentation fault (core dumped) Bus error Killed
Out of memory: Killed process exited with code signal 9 (SIGKILL) signal 15 (SIGTERM)
loss is nan gradient overflow, skipping step, reducing loss scale to
RESOURCE_EXHAUSTED: DEADLINE_EXCEEDED: UNAVAILABLE: INTERNAL:
ECC error Xid (PCI: preempted heartbeat lost
size mismatch for expected  but got  shape dtype device rank local_rank world size
saving checkpoint at iteration loading checkpoint from
elapsed time per iteration (ms): | learning rate: | lm loss: | grad norm:
[INFO] [WARNING] [ERROR] INFO: WARNING: ERROR: DEBUG - INFO - - WARNING - - ERROR -
epoch step iteration rank [rank]: Epoch Step {"step": , "loss": , "time":"""


def build() -> bytes:
    """The dictionary: what is likeliest stands last, where it costs the fewest bits."""
    names = [f"model.layers.{layer}.{part}{kind}" for layer in LAYERS for part in PARTS[:6] for kind in PARAMETERS[:2]]
    words = names + LAYERS + PARTS + PARAMETERS + STATISTICS + [error + ": " for error in ERRORS] + [PHRASES]
    return "\n".join(words).encode()


if __name__ == "__main__":
    Path(__file__).with_name("v1.bin").write_bytes(build())
