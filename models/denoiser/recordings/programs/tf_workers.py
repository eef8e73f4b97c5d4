"""One worker of MultiWorkerMirroredStrategy, told by TF_CONFIG who it is."""

from __future__ import annotations

import os
import signal
import sys

import tensorflow as tf


def main() -> None:
    fault = sys.argv[1] if len(sys.argv) > 1 else "none"
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(
            implementation=tf.distribute.experimental.CommunicationImplementation.RING
        )
    )
    print("replicas in sync:", strategy.num_replicas_in_sync, flush=True)

    with strategy.scope():
        mean = tf.Variable(0.0, aggregation=tf.VariableAggregation.MEAN)

    @tf.function
    def step(value):
        strategy.run(lambda one: mean.assign_add(one), args=(value,))

    for number in range(200):
        if fault == "killed" and number == 90:
            os.kill(os.getpid(), signal.SIGKILL)
        step(tf.constant(float(number)))
        if number % 10 == 0:
            print(f"step {number} total {float(mean.numpy()):.3f}", flush=True)
    print("worker done", flush=True)


if __name__ == "__main__":
    main()
