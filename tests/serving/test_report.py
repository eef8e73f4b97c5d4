"""The page: complete, self-contained, and safe whatever the job printed."""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser

import pytest

from tests.serving.conftest import SECOND, START, WINDOW, Writer, batch
from tracewinnow.schemas.trace_pb2 import PreprocessedTrace, Segment
from tracewinnow.serving.html import VOID
from tracewinnow.serving.raw import find_window, line_range, read_trace
from tracewinnow.serving.report import report
from tracewinnow.serving.timeline import CLASSES, histogram, line_times
from tracewinnow.serving.warehouse import Warehouse
from tracewinnow.stores.archive import Archive
from tracewinnow.transforms.answer import Answer

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)> \x1b]0;gone\x07 \u202e &lt; ' \""


class Page(HTMLParser):
    """Checks nesting, and collects tags, attributes and commands."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID or tag in ("rect", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(writer: Writer, job: str = "job one", budget_of: slice = slice(None)) -> str:
    made = batch(job, 1, 0, [f"line {number}" if number % 10 else HOSTILE for number in range(50)])
    for step in range(20):
        event = made.events.add(time_ns=START + step * SECOND)
        event.metrics.step = step
        event.metrics.metrics.add(name="loss", value=float("nan") if step > 15 else 1.0 + step % 2)
    made.events.add(time_ns=START + 20 * SECOND).crash.message = HOSTILE
    trace = writer.window([made])
    trace.line_classes.add(first=1, last=20, label="noise")
    trace.line_classes.add(first=21, last=trace.lines_before, label="context")
    for first in (11, 21, 31):
        trace.segments.add(
            first=first,
            last=first,
            kind="lines",
            label="actionable",
            text=HOSTILE,
            count=3,
            ranks=[1],
            first_time_ns=START + first,
        )
    trace.segments.add(kind="series", text="loss 1 → NaN", label="actionable")
    trace.versions["tracewinnow"] = HOSTILE
    trace.notes.add(stage="rank", what="fallback", reason=HOSTILE)
    writer.trace(trace)
    warehouse = Warehouse(str(writer.folder))
    chosen = tuple((trace.trace_id, segment) for segment in trace.segments)[budget_of]
    return report(warehouse.job(job), warehouse.traces(job), Answer("text", 40, 1000, chosen), warehouse)


@pytest.mark.parametrize("job", ["job one", HOSTILE])
def test_the_page_is_well_formed_and_has_nothing_that_acts_or_loads(writer: Writer, job: str) -> None:
    page = Page(page_of(writer, job))
    assert not page.tags & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "link",
        "base",
        "form",
        "input",
        "audio",
        "video",
    }
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "style", "srcset", "action")
        assert name != "href" or (value or "").startswith("#")


def test_its_policy_allows_its_own_style_and_nothing_else(writer: Writer) -> None:
    text = page_of(writer)
    policy = unescape(re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1])  # type: ignore[index]
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]  # type: ignore[index]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "url(" not in style
    assert "@import" not in style


def test_it_tells_the_cause_the_numbers_and_the_account(writer: Writer) -> None:
    text = page_of(writer)
    assert "1,000" in text
    assert "not finite from step 16 on" in text
    assert "10 lines left out: 10 noise" in text
    assert "rank fallback" in text
    assert "loss 1 → NaN" in text


def test_the_command_of_each_gap_fetches_its_lines(writer: Writer) -> None:
    text = page_of(writer)
    archive = Archive(writer.store)
    whole = read_trace(archive, "job one", START).lines
    commands = [shlex.split(unescape(found)) for found in re.findall(r'class="command"[^>]*>([^<]*)<', text)]
    assert [command[-1] for command in commands] == ["1-10", "12-20", "22-30", f"32-{len(whole)}"]
    for command in commands:
        assert command[:4] == ["tracewinnow", "lines", "--warehouse", str(writer.folder)]
        assert command[-3:-1] == ["--", "job one"]
        assert line_range(command[-1])[1] <= len(whole)
        assert find_window(archive, "job one", command[command.index("--window") + 1]) == START


def test_its_commands_run_for_a_job_that_looks_like_an_option(writer: Writer) -> None:
    found = re.findall(r'class="command"[^>]*>([^<]*)<', page_of(writer, "-x run"))
    said = subprocess.run([sys.executable, "-m", *shlex.split(unescape(found[0]))], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines()[1:3] == ["line 1", "line 2"]


def test_what_is_stored_but_not_chosen_is_in_the_gap(writer: Writer) -> None:
    text = page_of(writer, budget_of=slice(0, 1))
    assert text.count('class="segment of-actionable"') == 3  # one chosen, two in the gap behind it


def test_a_job_without_traces(writer: Writer) -> None:
    writer.window([batch("empty", 0, 0, [])])
    warehouse = Warehouse(str(writer.folder))
    Page(report(warehouse.job("empty"), [], Answer("", 0, 0, ()), warehouse))


def test_histogram_counts_every_line_once() -> None:
    trace = PreprocessedTrace(lines_before=1000, window_start_ns=START, window_end_ns=START + WINDOW)
    trace.line_classes.add(first=1, last=900, label="noise")
    trace.line_classes.add(first=901, last=1000, label="actionable")
    counts = histogram([trace], START, START + WINDOW)
    assert counts.sum(1).tolist() == [100, 0, 0, 900]
    assert counts[CLASSES.index("actionable"), : counts.shape[1] // 2].sum() == 0


def test_times_of_lines_lie_between_known_ones() -> None:
    trace = PreprocessedTrace(lines_before=101, window_start_ns=START, window_end_ns=START + 100)
    trace.segments.append(Segment(first=51, first_time_ns=START + 90, last_time_ns=START + 90))
    times = line_times(trace, [1, 26, 51, 76, 101])  # type: ignore[arg-type]
    assert (times - START).round().tolist() == pytest.approx([0, 45, 90, 95, 100], abs=256)
