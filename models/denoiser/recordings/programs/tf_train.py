"""Keras on TensorFlow, fed by TFRecord files; callbacks, checkpoints, evaluation."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

logging.set_verbosity(logging.INFO)


def write_records(folder: Path, fault: str) -> list[str]:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    paths = []
    for shard in range(4):
        path = str(folder / f"train-{shard:05d}-of-00004.tfrecord")
        with tf.io.TFRecordWriter(path) as writer:
            for _ in range(400):
                values = random.normal(size=16).astype(np.float32)
                feature = {
                    "values" if fault != "schema" or shard < 3 else "vals": tf.train.Feature(
                        float_list=tf.train.FloatList(value=values)
                    ),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(values.sum() > 0)])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
        paths.append(path)
    if fault == "missing":
        os.remove(paths[2])
    if fault == "corrupt":
        with open(paths[2], "r+b") as record:
            record.seek(20_000)
            record.write(b"\0" * 64)
    return paths


def parse(example):
    found = tf.io.parse_single_example(
        example, {"values": tf.io.FixedLenFeature([16], tf.float32), "label": tf.io.FixedLenFeature([], tf.int64)}
    )
    return found["values"], found["label"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--verbose", type=int, default=1)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    tf.random.set_seed(1)
    logging.info(
        "TensorFlow %s, Keras %s, physical devices: %s",
        tf.__version__,
        tf.keras.__version__,
        tf.config.list_physical_devices(),
    )
    paths = write_records(Path("records"), fault)
    logging.info("input files: %s", paths)
    data = tf.data.TFRecordDataset(paths).map(parse).shuffle(256).batch(16).prefetch(2)
    layers = [
        tf.keras.layers.Input((24 if fault == "shape" else 16,)),
        tf.keras.layers.Dense(64, activation="relu"),
        tf.keras.layers.Dropout(0.1),
        tf.keras.layers.Dense(2),
    ]
    model = tf.keras.Sequential(layers)
    model.summary()
    rate = 1e30 if fault.startswith("nan") else 1e-3
    model.compile(
        tf.keras.optimizers.SGD(rate), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"],
        run_eagerly=fault == "nan-check",
    )  # fmt: skip
    callbacks = [
        tf.keras.callbacks.ModelCheckpoint("ckpt/epoch_{epoch:02d}.keras"),
        tf.keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, verbose=1),
        tf.keras.callbacks.EarlyStopping(monitor="val_auc", mode="max", patience=2),
        tf.keras.callbacks.CSVLogger("history.csv"),
    ]
    os.makedirs("ckpt", exist_ok=True)
    if fault == "nan-check":
        tf.debugging.enable_check_numerics()
    if fault == "nan-terminate":
        callbacks.append(tf.keras.callbacks.TerminateOnNaN())
    if fault == "oom":
        callbacks.append(
            tf.keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: tf.ones([1 << 21, 1 << 20]) if epoch else None
            )
        )
    if fault == "labels":
        data = data.map(lambda values, label: (values, label + 3))
    history = model.fit(data, epochs=arguments.epochs, callbacks=callbacks, verbose=arguments.verbose)
    if fault == "nan-terminate" and np.isnan(history.history["loss"][-1]):
        raise SystemExit("Training stopped by TerminateOnNaN, no usable model was produced")
    if fault == "load":
        Path("ckpt/epoch_02.keras").write_bytes(Path("ckpt/epoch_02.keras").read_bytes()[:5000])
        tf.keras.models.load_model("ckpt/epoch_02.keras")
    if fault == "weights":
        model.save_weights("ckpt/final.weights.h5")
        wide = tf.keras.Sequential([tf.keras.layers.Input((16,)), tf.keras.layers.Dense(80), tf.keras.layers.Dense(2)])
        wide.load_weights("ckpt/final.weights.h5")
    results = model.evaluate(data, verbose=arguments.verbose, return_dict=True)
    logging.info("evaluation: %s", results)
    if fault == "export":
        model.export("/sys/exported")
    model.export("exported")


if __name__ == "__main__":
    main()
