"""ray: tasks and actors, ray.data, ray.train with torch, ray.tune."""

from __future__ import annotations

import argparse
import os
import signal
import time

import ray


def actors(fault: str) -> None:
    @ray.remote(max_restarts=1 if fault == "none" else 0, max_task_retries=1 if fault == "none" else 0)
    class Evaluator:
        def __init__(self, number: int) -> None:
            self.number, self.done = number, 0

        def evaluate(self, shard: int) -> float:
            self.done += 1
            if shard % 10 == 0:
                print(f"evaluator {self.number}: shard {shard} ({self.done} done)")
            if fault == "actor-killed" and shard == 33:
                os.kill(os.getpid(), signal.SIGKILL)
            if fault == "actor-exception" and shard == 33:
                raise KeyError("bleu")
            if fault == "timeout" and shard == 33:
                time.sleep(60)
            return shard * 0.5

    evaluators = [Evaluator.remote(number) for number in range(2)]
    for shard in range(60):
        values = ray.get([each.evaluate.remote(shard) for each in evaluators], timeout=8)
        if shard % 5 == 0:
            print(f"shard {shard}: {values}", flush=True)
    print("evaluation complete")


def tasks(fault: str) -> None:
    tries = ray.put(0)

    @ray.remote(max_retries=2, retry_exceptions=[OSError], num_cpus=64 if fault == "infeasible" else 1)
    def fetch(part: int, tries: int) -> int:
        flag = f"/tmp/ray-part-{os.environ.get('JOB_KEY', 'x')}-{part}"
        if part % 7 == 3 and not os.path.exists(flag):
            open(flag, "w").close()
            raise OSError(f"part {part}: connection reset by peer")
        if os.path.exists(flag):
            os.remove(flag)
        if fault == "task-exception" and part == 22:
            raise ValueError("part 22: header says 512 records, found 498")
        return part

    for begin in range(0, 40, 10):
        done = ray.get([fetch.remote(part, tries) for part in range(begin, begin + 10)], timeout=15)
        print(f"fetched parts {done[0]}..{done[-1]}", flush=True)


def data(fault: str) -> None:
    def tokenize(batch):
        if fault == "map-exception" and (batch["id"] == 7777).any():
            raise RuntimeError("tokenizer: cannot encode row 7777: surrogates not allowed")
        batch["length"] = batch["id"] % 97
        return batch

    rows = ray.data.range(20_000, override_num_blocks=12).map_batches(tokenize, batch_size=500)
    rows = rows.filter(lambda row: row["length"] > 3)
    print(rows.groupby("length").count().take(3))
    rows.write_parquet("out_parquet")
    print("rows:", ray.data.read_parquet("out_parquet").count())


def train(fault: str) -> None:
    import ray.train
    from ray.train.torch import TorchTrainer, prepare_model

    def loop(config):
        import torch

        rank = ray.train.get_context().get_world_rank()
        model = prepare_model(torch.nn.Linear(8, 1))
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        for epoch in range(6):
            inputs = torch.randn(32, 8)
            loss = (model(inputs).squeeze(-1) - inputs.sum(1)).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(f"rank {rank} epoch {epoch} loss {loss.item():.4f}")
            if fault == "worker-exception" and rank == 1 and epoch == 3:
                raise FloatingPointError("loss scale underflow: scale 2**-24 at epoch 3")
            if fault == "worker-killed" and rank == 1 and epoch == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            ray.train.report({"loss": loss.item(), "epoch": epoch})

    trainer = TorchTrainer(
        loop, scaling_config=ray.train.ScalingConfig(num_workers=2, use_gpu=fault == "no-gpu"),
        run_config=ray.train.RunConfig(name="linear", storage_path=os.path.abspath("ray_results")),
    )  # fmt: skip
    print(trainer.fit())


def tune(fault: str) -> None:
    from ray import tune

    def objective(config):
        for step in range(8):
            if config["lr"] > 0.5:
                raise OverflowError(f"loss overflow at step {step} with lr={config['lr']:.3f}")
            tune.report({"score": 1 / (1 + abs(config["lr"] - 0.05)) + step * 0.01})

    low = 0.6 if fault == "every-trial" else 0.001
    tuner = tune.Tuner(
        objective,
        param_space={"lr": tune.uniform(low, 0.9)},
        tune_config=tune.TuneConfig(metric="score", mode="max", num_samples=8),
    )
    print(tuner.fit().get_best_result().config)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["actors", "tasks", "data", "train", "tune"])
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fault == "no-cluster":
        ray.init(address="127.0.0.1:6390")
    ray.init(num_cpus=4, include_dashboard=False, object_store_memory=150_000_000)
    {"actors": actors, "tasks": tasks, "data": data, "train": train, "tune": tune}[arguments.what](arguments.fault)
    ray.shutdown()


if __name__ == "__main__":
    main()
