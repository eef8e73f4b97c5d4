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

    @tf.function
    def step(value):
        def inner(one):
            return tf.distribute.get_replica_context().all_reduce("mean", one)

        return strategy.run(inner, args=(value,))

    for number in range(200):
        if fault == "killed" and number == 90:
            os.kill(os.getpid(), signal.SIGKILL)
        value = step(tf.constant(float(number)))
        if number % 10 == 0:
            print(f"step {number} mean {float(strategy.experimental_local_results(value)[0]):.3f}", flush=True)
    print("worker done", flush=True)


if __name__ == "__main__":
    main()
