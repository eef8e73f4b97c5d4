"""The model card: figures and failures of the denoiser, and the plot of how well its probabilities are meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tracewinnow.models.denoiser.training import evidence
from tracewinnow.models.denoiser.training.evaluate import BINS, Judged
from tracewinnow.transforms.features import CLASSES

COLUMNS = (
    ("segments", "segments"),
    ("accuracy", "accuracy"),
    ("macro_f1", "macro F1"),
    ("actionable_precision", "actionable P"),
    ("actionable_recall", "R"),
    ("time_out_recall", "time-outs R"),
    ("healthy_called_actionable", "healthy called actionable"),
    ("calibration_error", "ECE"),
)


def text(figures: dict[str, Any]) -> str:
    """The card, Markdown."""
    facts = figures["model"]
    interval = figures["interval"]
    return "\n".join(
        [
            "# The denoiser",
            "",
            "A linear model over hashed n-grams of a line's message says what the line is by its words; a head (small networks,",
            "averaged) sees that, the same of the lines around, the signals and the score of the rules, how often the template",
            "occurs and where in the log it stands, and gives the four classes of a segment. These two are the fast model; with a",
            "linear head it is the baseline of EVALUATION.md, whose figures stand in ablation.json.",
            *(ENCODER if "fast" in figures else ()),
            "",
            "Trained on segments that readers labelled (../denoiser/labels/README.md): logs that others wrote (LogChunks CC BY",
            "4.0; CiDiff, AlgoPerf, MLPerf, logreduce-tests and bigscience Apache-2.0; modded-nanogpt MIT), jobs recorded by",
            "record.py, builds, tests and services of real programs that were run to be read (builds), jobs that others broke and",
            "marked (jobs), and scenes written for training (all four of this project). No line of the logs that others wrote is",
            "in the files: they hold sums over hashes, and weights. Of builds, jobs and scenes nearly every line is labelled, of",
            "the others a sample with hard cases over-represented.",
            "",
            "Figures on sources that the model did not see:",
            "",
            *table([("all", figures["all"]), *sampled(figures), *figures["by_source"].items()]),
            "| 95 % interval | " + " | ".join(span(interval[key], key) for key, _ in COLUMNS) + " |",
            "",
            *(gains(figures) if "fast" in figures else ()),
            *(evidence_shown(figures["evidence"]) if figures.get("evidence") else ()),
            "Rows are labels, columns what was said (actionable, context, metadata, noise):",
            "",
            "| | a | c | m | n |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {letter} | " + " | ".join(map(str, row)) + " |"
                for letter, row in zip(CLASSES, figures["confusion"]["counts"], strict=True)
            ),
            "",
            "What the pipeline takes for actionable hangs on how much more it costs to miss a cause than to show a line too many",
            "(ACTIONABLE_WEIGHT in transforms/classify.py):",
            "",
            "| weight | accuracy | macro F1 | actionable P | R | time-outs R | healthy called actionable |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(
                f"| {weight} | " + " | ".join(shown(values[key], key) for key, _ in COLUMNS[1:7]) + " |"
                for weight, values in figures["by_weight_of_actionable"].items()
            ),
            "",
            "![Reliability: how often a class is right, against the probability it was given](reliability.svg)",
            "",
            "## Where it fails",
            "",
            "Metadata and context of a source that prints them in its own way are taken for noise, and a line that names a",
            "failure is taken for one where the run went on. Nothing is dropped by this model's word alone: what it calls",
            "actionable is never dropped, and noise is drawn from with a probability that is recorded. Its surest mistakes of each",
            "kind in the recorded jobs, which it had not seen:",
            "",
            "| label | said | p | line |",
            "| --- | --- | --- | --- |",
            *(
                "| {label} | {said} | {p} | ".format(**one)
                + "`"
                + one["line"].replace("|", "¦").replace("`", "'")
                + "` |"
                for one in figures["failures"]
            ),
            "",
            "## Made from",
            "",
            *(f"- {name}: {value}" for name, value in facts.items()),
            "",
        ]
    )


ENCODER = (
    "Where that is in doubt, an encoder (a transformer, the lower layers of MiniLM, fine-tuned, its weights kept as int8) reads",
    "the block with the lines around it, and the two are heard together.",
)


def table(rows: list[tuple[str, dict[str, float]]]) -> list[str]:
    """Figures, one row each."""
    return [
        "| source | " + " | ".join(title for _, title in COLUMNS) + " |",
        "| --- |" + " --- |" * len(COLUMNS),
        *(f"| {name} | " + " | ".join(shown(values[key], key) for key, _ in COLUMNS) + " |" for name, values in rows),
    ]


def sampled(figures: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    """The row of the sources whose segments were sampled, if there are any."""
    return [("all but builds and jobs", figures["sampled"])] if "sampled" in figures else []


def gains(figures: dict[str, Any]) -> list[str]:
    """What the encoder adds to the fast model, on the same segments."""
    rows = [("fast model alone", figures["fast"]["all"]), ("encoder alone", figures["encoder alone"])]
    return [
        "The fast model by itself, the encoder by itself, and the gain of both over the fast model with its 95 %",
        "interval (whole logs drawn):",
        "",
        *table(
            [*rows, ("both, all in doubt read", figures["all"]), ("both, as many read as ships", figures["as shipped"])]
        ),
        "",
        "| | gain | from | to |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | " + " | ".join("-" if value is None else f"{value:+.3f}" for value in values) + " |"
            for name, values in figures["gain"].items()
        ),
        "",
    ]


def evidence_shown(figures: dict[str, Any]) -> list[str]:
    """How much of what was marked as the cause stands in an answer."""
    return [
        "Share of the lines marked as the cause that stand in an answer of so many tokens, each source by a fast model that did",
        "not see it, without the encoder (evidence.py):",
        "",
        *evidence.table(figures),
        "",
    ]


def shown(value: float | None, key: str) -> str:
    """A figure, or a dash where there was nothing to count."""
    return "-" if value is None else f"{value:.0f}" if key == "segments" else f"{value:.3f}"


def span(pair: list[float | None], key: str) -> str:
    """An interval."""
    return "" if key == "segments" else f"{shown(pair[0], key)} to {shown(pair[1], key)}"


def reliability(judged: Judged, path: Path) -> None:
    """Draw how often the class was right against the probability that it was given, in bins of equal count."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "tracewinnow"
    from matplotlib import pyplot

    confidence = judged.probability.max(axis=1)
    right = judged.probability.argmax(axis=1) == judged.label
    bins = [part for part in np.array_split(np.argsort(confidence, kind="stable"), BINS) if len(part)]
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5))
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as it should be")
    axes.plot([confidence[b].mean() for b in bins], [right[b].mean() for b in bins], "o-", label="sources left out")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the class said", ylabel="share that was right")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
