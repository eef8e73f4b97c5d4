"""A grid search in scikit-learn with worker processes; tuning with optuna."""

from __future__ import annotations

import argparse
import os
import signal
import sys

import joblib
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


class Faulty(BaseEstimator, TransformerMixin):
    """Passes its input on, or puts the fault into it."""

    def __init__(self, fault: str = "none") -> None:
        self.fault = fault

    def fit(self, inputs, labels=None):
        self.fitted_ = True
        return self

    def transform(self, inputs):
        if self.fault == "killed" and inputs[0, 0] < 0.2:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "nan":
            inputs = inputs / np.where(inputs[:, :1] > 1.5, 0.0, 1.0)
        if self.fault == "every-fit":
            raise ValueError("unknown token '<pad>' in column 3")
        return inputs


def search(fault: str, jobs: int) -> None:
    inputs, labels = make_classification(1500, 20, n_informative=8, random_state=2)
    train, test, train_labels, test_labels = train_test_split(inputs, labels, random_state=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("step", Faulty(fault)), ("model", MLPClassifier(max_iter=12))])
    grid = {
        "model__hidden_layer_sizes": [(8,), (16,), (16, 8)],
        "model__alpha": [1e-4, 1e-2, 1.0],
        "model__learning_rate_init": [1e-3, 1e-2],
    }
    if fault == "bad-grid":
        grid["model__hidden_sizes"] = grid.pop("model__hidden_layer_sizes")
    found = GridSearchCV(
        pipeline, grid, cv=4, n_jobs=jobs, verbose=3, error_score=np.nan if fault == "every-fit" else "raise"
    )
    found.fit(train, train_labels)
    print(f"best: {found.best_params_} cv={found.best_score_:.4f} test={found.score(test, test_labels):.4f}")
    joblib.dump(found.best_estimator_, "best.joblib")
    if fault == "unknown-category":
        encoder = OneHotEncoder().fit([["red"], ["green"], ["blue"]])
        print("encoding the categories of the scoring set")
        encoder.transform([["green"], ["violet"]])
    if fault == "features":
        joblib.load("best.joblib").predict(test[:, :17])
    if fault == "truncated":
        with open("best.joblib", "r+b") as saved:
            saved.truncate(2000)
        joblib.load("best.joblib")


def tune(fault: str, trials: int) -> None:
    import optuna

    inputs, labels = make_classification(600, 12, random_state=3)

    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("model", ["forest", "logistic"])
        strength = trial.suggest_float("C", 1e-4, 1e2, log=True)
        if fault == "all-trials" or trial.number % 9 == 4:
            raise ValueError(f"Solver does not converge for C={strength:.5f}")
        if trial.number % 7 == 5:
            raise optuna.TrialPruned
        depth = trial.suggest_int("depth", 2, 8)
        model = RandomForestClassifier(15, max_depth=depth) if kind == "forest" else LogisticRegression(C=strength)
        return cross_val_score(model, inputs, labels, cv=3).mean()

    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    study.optimize(objective, n_trials=trials, catch=(ValueError,))
    print(f"finished trials: {len(study.trials)}, best value: {study.best_value:.4f}, best params: {study.best_params}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["search", "tune"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    print(f"Python {sys.version}\njoblib {joblib.__version__}, numpy {np.__version__}, cpus {os.cpu_count()}")
    if arguments.what == "search":
        search(arguments.fault, arguments.jobs)
    else:
        tune(arguments.fault, arguments.trials)


if __name__ == "__main__":
    main()
