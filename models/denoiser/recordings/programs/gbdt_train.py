"""Gradient boosting with xgboost, lightgbm or catboost on a made table: training, evaluation, a quality gate."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd


def table(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(rows, 12)), columns=[f"f{number:02d}" for number in range(12)])
    frame["city"] = random.choice(["ber", "muc", "ham", "cgn"], rows)
    frame["clicked"] = (
        frame.f00 + frame.f01 * frame.f02 + (frame.city == "ber") + random.normal(size=rows) > 0.8
    ).astype(int)
    return frame


def score(name: str, labels: np.ndarray, guesses: np.ndarray, gate: float) -> None:
    from sklearn.metrics import log_loss, roc_auc_score

    auc = roc_auc_score(labels, guesses)
    print(f"[{name}] test auc={auc:.4f} logloss={log_loss(labels, guesses):.4f} (gate: auc >= {gate})")
    if auc < gate:
        print(
            f"[{name}] ERROR: model regressed, auc {auc:.4f} is below the gate {gate}; not promoting", file=sys.stderr
        )
        sys.exit(3)


def xgboost_job(train: pd.DataFrame, test: pd.DataFrame, rounds: int, fault: str, gate: float) -> None:
    import xgboost as xgb

    print(f"xgboost {xgb.__version__}, build: {dict(list(xgb.build_info().items())[:6])}")
    features = [name for name in train if name.startswith("f")]
    labels = train.clicked.astype(float)
    if fault == "nan-label":
        labels.iloc[4711] = np.nan
    parameters = {"objective": "binary:logistic", "eval_metric": ["logloss", "auc"], "max_depth": 4, "eta": 0.1,
                  "nthread": 2, "tree_method": "hist", "unused_option": 1, "verbosity": 2}  # fmt: skip
    if fault == "objective":
        parameters["objective"] = "binary:logitsic"
    if fault == "gate":
        features = features[5:]
    matrix, held = xgb.DMatrix(train[features], labels), xgb.DMatrix(test[features], test.clicked)
    booster = xgb.train(parameters, matrix, rounds, [(matrix, "train"), (held, "valid")], verbose_eval=1)
    booster.save_model("model.ubj")
    print(f"saved model.ubj ({Path('model.ubj').stat().st_size} bytes)")
    if fault == "corrupt":
        whole = Path("model.ubj").read_bytes()
        Path("model.ubj").write_bytes(whole[: len(whole) // 3])
    loaded = xgb.Booster(model_file="model.ubj")
    if fault == "features":
        held = xgb.DMatrix(
            test[["city_code", *features[1:]]] if "city_code" in test else test[features[::-1]], test.clicked
        )
    score("xgboost", test.clicked.to_numpy(), loaded.predict(held), gate)


def lightgbm_job(train: pd.DataFrame, test: pd.DataFrame, rounds: int, fault: str, gate: float) -> None:
    import lightgbm as lgb

    features = [name for name in train if name not in ("clicked", "city")]
    parameters = {"objective": "binary", "metric": ["binary_logloss", "auc"], "num_leaves": 31, "learning_rate": 0.1,
                  "num_threads": 2, "feature_fraction": 0.8, "bagging_freq": 1, "subsample": 0.8, "verbosity": 1}  # fmt: skip
    labels = train.clicked
    if fault == "labels":
        parameters.update(objective="multiclass", num_class=3, metric="multi_logloss")
        labels = labels * 3
    if fault == "empty":
        train, labels = train.iloc[:0], labels.iloc[:0]
    data = lgb.Dataset(train[features], labels)
    held = lgb.Dataset(test[features], test.clicked, reference=data)
    if fault == "text":
        data = lgb.Dataset(train[[*features, "city"]], labels)
    model = lgb.train(parameters, data, rounds, [held], callbacks=[lgb.log_evaluation(1), lgb.early_stopping(50)])
    model.save_model("model.txt")
    columns = features[:-2] if fault == "features" else features
    score("lightgbm", test.clicked.to_numpy(), model.predict(test[columns]), gate)


def catboost_job(train: pd.DataFrame, test: pd.DataFrame, rounds: int, fault: str, gate: float) -> None:
    from catboost import CatBoostClassifier, Pool

    if fault == "nan-category":
        train.loc[train.index[99], "city"] = np.nan
    if fault == "one-class":
        train["clicked"] = 1
    pool = Pool(train.drop(columns="clicked"), train.clicked, cat_features=["city"])
    held = Pool(test.drop(columns="clicked"), test.clicked, cat_features=["city"])
    model = CatBoostClassifier(
        iterations=rounds, depth=5, learning_rate=0.1, eval_metric="AUC", thread_count=2, random_seed=1,
        used_ram_limit="1gb", train_dir="catboost_info", snapshot_interval=1,
    )  # fmt: skip
    model.fit(pool, eval_set=held, verbose=1)
    if fault == "features":
        held = Pool(test.drop(columns=["clicked", "f03"]), test.clicked, cat_features=["city"])
    score("catboost", test.clicked.to_numpy(), model.predict_proba(held)[:, 1], gate)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=["xgboost", "lightgbm", "catboost"])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--rows", type=int, default=8000)
    parser.add_argument("--gate", type=float, default=0.7)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--fault", default="none", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    warnings.warn(
        "table() is deprecated and will be removed in 3.0; use feature_store.read()", DeprecationWarning, stacklevel=1
    )
    frame = pd.read_parquet(arguments.data) if arguments.data else table(arguments.rows, 7)
    print(frame.describe().to_string())
    cut = len(frame) * 4 // 5
    print(f"train rows: {cut}, test rows: {len(frame) - cut}, positives: {frame.clicked.mean():.3f}")
    if arguments.fault == "memory":
        frame = pd.concat([frame] * 20_000, ignore_index=True)
    job = {"xgboost": xgboost_job, "lightgbm": lightgbm_job, "catboost": catboost_job}[arguments.library]
    job(frame.iloc[:cut].copy(), frame.iloc[cut:].copy(), arguments.rounds, arguments.fault, arguments.gate)


if __name__ == "__main__":
    main()
