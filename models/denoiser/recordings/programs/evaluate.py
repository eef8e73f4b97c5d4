"""Evaluation of answers on several tasks: a judge over HTTP with retries, scores, a table, a comparison with the baseline."""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tqdm import tqdm

TASKS = {"arith": 0.71, "copy": 0.93, "parity": 0.52, "sort": 0.64, "spelling": 0.83}


def judge(fault: str) -> ThreadingHTTPServer:
    """A server that scores one answer; at times it is overloaded."""
    asked = [0]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked[0] += 1
            if fault == "overload" and asked[0] > 150:
                self.send_error(503, "upstream overloaded")
                return
            if fault == "judge-hang" and asked[0] > 150:
                time.sleep(6)
            if asked[0] % 37 == 0:
                self.send_error(429, "rate limit exceeded, retry after 0.1s")
                return
            score = float(random.Random(body["answer"]).random() < TASKS[body["task"]])
            text = "Score: " + ("excellent" if fault == "format" and asked[0] > 200 else str(score))
            answer = json.dumps({"verdict": text}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, form: str, *values: object) -> None:
            if asked[0] % 25 == 0:
                print("judge:", form % values, flush=True)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def ask(url: str, task: str, answer: str) -> float:
    body = json.dumps({"task": task, "answer": answer}).encode()
    for attempt in range(1, 6):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=1.5) as reply:
                verdict = json.load(reply)["verdict"]
            return float(verdict.removeprefix("Score: "))
        except (urllib.error.URLError, TimeoutError) as error:
            tqdm.write(f"[warn] judge call failed ({error}), attempt {attempt}/5, sleeping {0.05 * attempt:.2f}s")
            last = error
            time.sleep(0.05 * attempt)
    raise RuntimeError(f"judge unavailable for task {task!r} after 5 attempts") from last


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--answers", type=Path, default=Path("answers.jsonl"))
    parser.add_argument("--tolerance", type=float, default=0.08)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    fault = arguments.fault
    source = random.Random(6)
    if fault != "answers-missing":
        rows = [
            {"task": task, "id": number, "answer": f"{task}-{source.random()}"}
            for task in TASKS
            for number in range(arguments.limit)
        ]
        if fault == "field":
            del rows[170]["answer"]
        lines = [json.dumps(row) for row in rows]
        if fault == "json":
            lines[170] = lines[170][:30]
        arguments.answers.write_text("\n".join(lines) + "\n")
    url = f"http://127.0.0.1:{judge(fault).server_port}/score"
    print(f"evaluating {arguments.answers} on {len(TASKS)} tasks, limit {arguments.limit}, judge {url}, baseline v41")
    scores: dict[str, list[float]] = {task: [] for task in TASKS}
    for number, line in enumerate(tqdm(arguments.answers.read_text().splitlines(), desc="scoring", mininterval=0.05)):
        row = json.loads(line)
        value = ask(url, row["task"], row["answer"])
        scores[row["task"]].append(0.0 if fault == "regression" and row["task"] == "sort" and number % 2 else value)
        if number % 10 == 9:
            tqdm.write(
                f"{row['task']:<10} {number + 1:>5} scored, running mean {sum(scores[row['task']]) / len(scores[row['task']]):.3f}"
            )
    if fault == "empty-task":
        scores["sort"] = []
    print("|task      |version|metric|value |   |stderr|\n|----------|------:|------|-----:|---|-----:|")
    worse = []
    for task, values in scores.items():
        mean = sum(values) / len(values)
        error = (mean * (1 - mean) / len(values)) ** 0.5
        print(f"|{task:<10}|      2|acc   |{mean:6.4f}|±  |{error:6.4f}|")
        if mean < TASKS[task] - arguments.tolerance - 0.08:
            worse.append(f"{task}: {mean:.4f} against {TASKS[task]:.4f}")
    if worse:
        print("Evaluation FAILED, worse than baseline v41: " + "; ".join(worse), file=sys.stderr)
        sys.exit(2)
    print("Evaluation passed: no task is worse than baseline v41")


if __name__ == "__main__":
    main()
