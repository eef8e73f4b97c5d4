"""A transformer block in jax, flax and optax, with orbax checkpoints; jax.distributed over processes of one machine."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from pathlib import Path

from absl import logging as absl_logging

absl_logging.set_verbosity(absl_logging.INFO)
absl_logging.use_absl_handler()
log = logging.getLogger("absl")


def start_processes(arguments: argparse.Namespace) -> None:
    import jax

    log.info("process %d of %d connects to 127.0.0.1:%d", arguments.process, arguments.processes, arguments.port)
    jax.distributed.initialize(
        f"127.0.0.1:{arguments.port}", arguments.processes, arguments.process,
        initialization_timeout=arguments.wait, heartbeat_timeout_seconds=10,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--process", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--port", type=int, default=29711)
    parser.add_argument("--wait", type=int, default=60)
    parser.add_argument("--workdir", type=Path, default=Path("run"))
    parser.add_argument("--fault", default=os.environ.get("FAULT", "none"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    if arguments.processes > 1:
        start_processes(arguments)
    import flax
    import flax.linen as nn
    import jax
    import jax.numpy as jnp
    import optax
    import orbax.checkpoint as ocp

    if fault == "debug-nan":
        jax.config.update("jax_debug_nans", True)
    log.info("jax %s, flax %s, optax %s", jax.__version__, flax.__version__, optax.__version__)
    log.info("devices: %s, process %d of %d", jax.devices(), jax.process_index(), jax.process_count())

    class Block(nn.Module):
        width: int

        @nn.compact
        def __call__(self, tokens: jax.Array) -> jax.Array:
            hidden = nn.Embed(64, self.width)(tokens)
            hidden = hidden + nn.MultiHeadDotProductAttention(num_heads=5 if fault == "heads" else 4)(
                nn.LayerNorm()(hidden)
            )
            hidden = hidden + nn.Dense(self.width)(nn.gelu(nn.Dense(4 * self.width)(nn.LayerNorm()(hidden))))
            return nn.Dense(64)(hidden)

    model = Block(32)
    tokens = jnp.zeros((4, 16), jnp.int32)
    parameters = model.init(jax.random.key(0), tokens)
    log.info(
        "\n%s",
        model.tabulate(jax.random.key(0), tokens, depth=1, console_kwargs={"width": 110, "force_terminal": False}),
    )
    tree = jax.tree.map(jnp.shape, parameters)
    log.info("parameter shapes: %s", tree)
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(optax.warmup_cosine_decay_schedule(0, 3e-3, 20, 600))
    )
    state = optimizer.init(parameters)
    manager = ocp.CheckpointManager(arguments.workdir.absolute(), options=ocp.CheckpointManagerOptions(max_to_keep=2))
    first = 0
    if arguments.processes == 1 and manager.latest_step() is not None:
        first = manager.latest_step()
        wanted = parameters
        if fault == "restore":
            wanted = Block(48).init(jax.random.key(0), tokens)
        parameters = manager.restore(first, args=ocp.args.StandardRestore(wanted))
        log.info("restored step %d from %s", first, arguments.workdir)

    def loss_of(parameters, tokens, scale):
        logits = model.apply(parameters, tokens[:, :-1])
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()
        if fault == "concrete" and loss > 100:
            return loss * 0
        return loss + jnp.log(scale)

    @jax.jit
    def update(parameters, state, tokens, scale):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, tokens, scale)
        updates, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss, optax.global_norm(gradients)

    key = jax.random.key(arguments.process + 1)
    for step in range(first + 1, first + arguments.steps + 1):
        begun = time.perf_counter()
        key, one = jax.random.split(key)
        start = jax.random.randint(one, (8, 1), 0, 64)
        batch = (start + jnp.arange(17) * 3) % 64
        if fault == "float-tokens" and step == 40:
            batch = batch.astype(jnp.float32)
        bad = fault in ("nan", "debug-nan") and step > arguments.steps // 2
        parameters, state, loss, norm = update(parameters, state, batch, jnp.float32(-1.0 if bad else 1.0))
        if fault == "oom" and step == 60:
            jnp.zeros((1 << 22, 1 << 22)).block_until_ready()
        if fault == "kill" and step == 80 and arguments.process == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if step % arguments.every == 0:
            log.info(
                "[%d] loss=%.4f grad_norm=%.3f steps_per_sec=%.1f", step, loss, norm, 1 / (time.perf_counter() - begun)
            )
        if step % 100 == 0 and arguments.processes == 1:
            manager.save(step, args=ocp.args.StandardSave(parameters))
            manager.wait_until_finished()
        if fault == "nan" and not jnp.isfinite(loss) and step % 50 == 0:
            log.fatal("Loss became non-finite: loss=%s at step %d. Check the learning rate and the data.", loss, step)
        if arguments.processes > 1:
            time.sleep(0.02)
            if step % 60 == 0:
                from jax.experimental import multihost_utils

                multihost_utils.sync_global_devices(f"step_{step}")
    manager.close()
    log.info("training finished, final loss %.4f", loss)
    if arguments.processes > 1:
        jax.distributed.shutdown()
    sys.exit(0)


if __name__ == "__main__":
    main()
