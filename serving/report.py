"""One page about one job that needs nothing else: no script, no request, every text from outside escaped."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Collection, Iterator, Sequence
from importlib import resources

from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.serving.charts import choose, draw
from tracewinnow.serving.html import Markup, el
from tracewinnow.serving.raw import series_of, window_name
from tracewinnow.serving.text import SECOND, duration, number, utc
from tracewinnow.serving.timeline import CLASSES, timeline
from tracewinnow.serving.warehouse import Job, Warehouse
from tracewinnow.transforms.answer import Answer
from tracewinnow.version import VERSION

POLICY = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
SNIPPETS = 4  # of what was stored but left out, in an opened gap


def report(
    job: Job, traces: Sequence[PreprocessedTrace], answer: Answer, warehouse: Warehouse, unread: Sequence[str] = ()
) -> str:
    """The page, as HTML. unread: a sentence for each trace that is missing in `traces`.

    Reads at most 64 MiB of the archive for the charts; blocks on it.
    """
    style = resources.files("tracewinnow.serving").joinpath("report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    series, left_out = series_of(warehouse, job.job_id, [trace.window_start_ns for trace in traces])
    charts = choose(series)
    kept = [segment for _, segment in answer.chosen]
    body = el(
        "main",
        _header(job),
        _tokens(answer),
        _section("Timeline", timeline(job, traces, kept), _legend()),
        _section("What explains it", list(_kept(job, traces, answer, warehouse.uri)), id_="kept"),
        _section(
            "Numbers",
            el("div", [draw(chart) for chart in charts], class_="charts"),
            el("p", left_out, class_="dim") if left_out else None,
        ) if charts else None,
        _account(job, traces, unread),
        el("footer", f"Made by tracewinnow {VERSION}. Every line that is not here is in the archive: ",
           el("code", "tracewinnow lines --help")),
    )  # fmt: skip
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY.format(digest)),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{job.job_id}: {job.state}"),
        Markup(f"<style>{style}</style>"),
    )  # fmt: skip
    skip = el("a", "Skip to what explains it", href="#kept", class_="skip")
    return "<!doctype html>\n" + el("html", head, el("body", skip, body), lang="en")


def _section(title: str, *content: Markup | list[Markup] | None, id_: str | None = None) -> Markup:
    return el("section", el("h2", title), content, id_=id_)


def _header(job: Job) -> Markup:
    ranks = f"{len(job.ranks)} of {job.world_size} seen" if job.world_size else str(len(job.ranks) or "")
    facts = {
        "model": job.model,
        "accelerator": job.accelerator,
        "user": job.user,
        "started": f"{utc(job.begun_ns)} UTC" if job.begun_ns else "",
        "lasted": duration(job.lasted_ns) if job.lasted_ns else "",
        "ranks": ranks,
        "exit code": "" if job.exit_code is None else str(job.exit_code),
        "lines": number(job.lines),
    }
    cause = None
    if job.reason:
        cause = el(
            "div", el("b", "First failure that was reported"), el("span", job.reason, class_="mono"), class_="cause"
        )
    return el(
        "header",
        el("p", "tracewinnow ", el("span", "/ job report"), class_="brand"),
        el("div", el("h1", job.job_id), el("span", job.state, class_=f"badge {job.state.split()[0]}"), class_="title"),
        cause,
        el(
            "dl", [el("div", el("dt", name), el("dd", value)) for name, value in facts.items() if value], class_="facts"
        ),
        class_="top",
    )


def _tokens(answer: Answer) -> Markup:
    before, after = max(answer.tokens_before, 1), answer.tokens
    share = 100 * after / before
    told = f"{share:.1f} %" if share >= 1 else f"{share:.2g} %"
    bar = el(
        "svg", el("rect", width=1000, height=14, class_="all"),
        el("rect", width=f"{min(max(10 * share, 4), 1000):.1f}", height=14, class_="kept"),
        viewBox="0 0 1000 14", preserveAspectRatio="none", class_="bar", role="img",
        aria_label=f"{after} of {before} tokens",
    )  # fmt: skip
    numbers = el(
        "div", el("strong", number(answer.tokens_before)), el("span", "→", class_="arrow"), el("strong", number(after)),
        el("span", f"tokens, {told} of what the job printed", class_="dim"), class_="tokens",
    )  # fmt: skip
    text = el(
        "details", el("summary", "The answer as a language model gets it"), el("pre", answer.text), class_="gap text"
    )
    return _section("Tokens", numbers, bar, text)


def _legend() -> Markup:
    return el("ul", [el("li", label, class_=f"of-{label}") for label in CLASSES], class_="legend")


def _kept(job: Job, traces: Sequence[PreprocessedTrace], answer: Answer, uri: str) -> Iterator[Markup]:
    """Segments and gaps of every window, in time order; then summaries of numbers, which have no lines."""
    numbers: list[Segment] = []
    for trace in traces:
        chosen = [segment for trace_id, segment in answer.chosen if trace_id == trace.trace_id]
        numbers += [segment for segment in chosen if not segment.first]
        if len(traces) > 1 and trace.lines_before:
            part = f", part {trace.part}" if trace.part else ""
            yield el(
                "p",
                f"Window {window_name(trace.window_start_ns)}{part}: {number(trace.lines_before)} lines",
                class_="window",
            )
        at = 1
        for segment in sorted((s for s in chosen if s.first), key=lambda s: (s.first, s.last)):
            if segment.first > at:
                yield _gap(job, trace, at, segment.first - 1, chosen, uri)
            yield _segment(segment, job)
            at = max(at, segment.last + 1)
        if at <= trace.lines_before:
            yield _gap(job, trace, at, trace.lines_before, chosen, uri)
    if numbers:
        yield el("p", "Summaries of numbers", class_="window")
        yield from (_segment(segment, job) for segment in numbers)
    if not traces:
        yield el("p", "Nothing of this job has been processed yet.", class_="dim")


def _segment(segment: Segment, job: Job) -> Markup:
    label = segment.label if segment.label in CLASSES else "noise"
    about = f"confidence {segment.confidence:.2f}, score {segment.score:.2f}, keep probability {segment.keep_probability:.2f}"
    told: list[Markup] = [el("b", segment.label or segment.kind, title=about)]
    if segment.first_time_ns and job.begun_ns:
        after = f"{(segment.first_time_ns - job.begun_ns) / SECOND:+.1f} s"
        told.append(el("span", after, title=f"{utc(segment.first_time_ns)} UTC"))
    if segment.ranks:
        told.append(el("span", _ranks(list(segment.ranks))))
    if segment.first:
        one = segment.first == segment.last
        told.append(el("span", f"line {segment.first:,}" if one else f"lines {segment.first:,} to {segment.last:,}"))
    if segment.count > 1:
        told.append(el("span", f"× {segment.count:,}"))
    return el("div", el("div", told, class_="meta"), el("pre", segment.text), class_=f"segment of-{label}")


def _ranks(ranks: list[int]) -> str:
    return (
        f"rank {ranks[0]}"
        if len(ranks) == 1
        else "ranks " + ", ".join(map(str, ranks[:8])) + ("…" if len(ranks) > 8 else "")
    )


def _gap(job: Job, trace: PreprocessedTrace, first: int, last: int, chosen: Sequence[Segment], uri: str) -> Markup:
    """A gap that opens: how many lines of what class, what is stored of them, and the command that fetches them."""
    counts = dict.fromkeys(CLASSES, 0)
    for of in trace.line_classes:
        inside = min(of.last, last) - max(of.first, first) + 1
        if inside > 0:
            counts[of.label if of.label in CLASSES else "noise"] += inside
    told = ", ".join(f"{number(count)} {label}" for label, count in counts.items() if count)
    command = ["tracewinnow", "lines", "--warehouse", uri, "--window", window_name(trace.window_start_ns)]
    command += ["--part", str(trace.part)] if trace.part else []
    command += ["--", job.job_id, f"{first}-{last}"]  # an id may begin with a dash
    shown = {segment.first for segment in chosen}
    stored = [s for s in trace.segments if s.first and first <= s.first and s.last <= last and s.first not in shown]
    stored.sort(key=lambda s: -s.score)
    some = sorted(stored[:SNIPPETS], key=lambda s: s.first)
    lines, more = last - first + 1, len(stored) - len(some)
    content = [
        *(_segment(s, job) for s in some),
        el("p", f"{number(more)} more segments are stored.", class_="dim") if more else None,
        el("code", shlex.join(command), class_="command", title="fetches these lines"),
    ]
    what = f"{number(lines)} {'line' if lines == 1 else 'lines'} left out" + (f": {told}" if told else "")
    return el("details", el("summary", what), el("div", content), class_="gap")


def _account(job: Job, traces: Sequence[PreprocessedTrace], unread: Sequence[str]) -> Markup:
    kept: dict[str, list[int]] = {}
    for trace in traces:
        for of in trace.classes:
            row = kept.setdefault(of.label, [0, 0, 0, 0])
            for at, value in enumerate((of.segments_kept, of.segments_dropped, of.lines_kept, of.lines_dropped)):
                row[at] += value
    heads = ("class", "segments stored", "segments dropped", "lines stored", "lines dropped")
    windows = [
        (
            utc(t.window_start_ns) + (f" part {t.part}" if t.part else ""),
            *map(number, (t.lines_before, t.tokens_before, t.tokens_after, t.revision)),
            " → ".join(t.route),
        )
        for t in traces
    ]
    window_heads = ("start (UTC)", "lines", "tokens before", "tokens stored", "batches", "stages")
    versions = sorted({f"{name} {value}" for trace in traces for name, value in trace.versions.items()})
    notes = sorted({f"{note.stage} {note.what}: {note.reason}" for trace in traces for note in trace.notes})
    holes = el("p", "None: every batch of every process came, up to the last that was seen.", class_="dim")
    if job.holes or unread:
        holes = _list([*map(str, job.holes), *unread])
    skipped = [el("h3", "Stages that were skipped or fell back"), _list(notes)] if notes else []
    content = [
        *(el("h3", "Holes"), holes),
        *(el("h3", "Classes"), _table(heads, [(label, *map(number, row)) for label, row in sorted(kept.items())])),
        *(el("h3", "Windows"), _table(window_heads, windows, text={0, 5})),
        *skipped,
        *(el("h3", "Versions"), el("p", ", ".join(versions) or "not stated", class_="dim")),
    ]
    return _section("Account", content)


def _list(items: Sequence[str]) -> Markup:
    return el("ul", [el("li", item) for item in items], class_="plain")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text: Collection[int] = (0,)) -> Markup:
    """Columns are numbers but for those in `text`. It scrolls by itself where the screen is narrow."""
    kinds = [None if at in text else "n" for at in range(len(head))]

    def cells(tag: str, row: Sequence[str]) -> Markup:
        return el("tr", [el(tag, cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)])

    body = el("tbody", [cells("td", row) for row in rows])
    return el("div", el("table", el("thead", cells("th", head)), body), class_="scroll", tabindex=0)
