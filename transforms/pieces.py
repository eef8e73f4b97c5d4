"""Logs too large to be looked at in one go: piece by piece, then one choice over what the pieces kept.

Memory is that of one piece, however long the log. Scores of pieces compare, but a piece knows nothing of the others: what is rare
in its own piece counts as rare.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable, Iterator

from tracewinnow.schemas.trace_pb2 import ClassCount, Note, PreprocessedTrace, Segment
from tracewinnow.transforms import render, tokens
from tracewinnow.transforms.classify import LABELS
from tracewinnow.transforms.lines import encodable, encoding_of, split
from tracewinnow.transforms.offers import copied, offered
from tracewinnow.transforms.options import Options
from tracewinnow.transforms.preprocess import preprocess
from tracewinnow.transforms.stored import stored
from tracewinnow.transforms.trace import Trace

SIZE = 32 << 20  # characters of a piece,
LINES = 500_000  # and its most lines
HEAD = 4096  # bytes that are looked at to tell text from other data
BINARY_SHARE = 0.05  # of control characters: text in any 8-bit encoding has next to none, random bytes have 0.1
CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\b\a\x1b"))
BINARY = "this is binary data, not a log; what is text in it was looked at"


def is_binary(head: bytes) -> bool:
    """Whether data that begins so is no text. A log that was cut while it was written may begin with zeros."""
    text = head.lstrip(b"\0")
    if text[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return False
    return len(text) - len(text.translate(None, CONTROLS)) > BINARY_SHARE * len(text)


def traces(chunks: Iterable[str | bytes]) -> Iterator[tuple[Trace, str]]:
    """The log that the chunks are, in pieces of whole lines, each with a sentence where it was not plain UTF-8. At least one."""
    decoder: codecs.IncrementalDecoder | None = None
    kept: list[str] = []
    held = size = 0
    note, none = "", True
    for chunk in chunks:
        if isinstance(chunk, bytes):
            if decoder is None:
                name, errors, note = encoding_of(chunk)
                note = note or (BINARY if is_binary(chunk[:HEAD]) else "")
                decoder = codecs.getincrementaldecoder(name)(errors)
            kept.append(decoder.decode(chunk))
            size += len(chunk)
        else:
            kept.append(encodable(chunk))
            size += len(chunk) if chunk.isascii() else len(chunk.encode("utf8", "surrogatepass"))
        held += len(kept[-1])
        cut = kept[-1].rfind("\n") + 1
        if held >= SIZE and cut:
            rest = kept[-1][cut:]
            kept[-1] = kept[-1][:cut]
            yield from _traces("".join(kept), size, note)
            kept, held, size, none = [rest], len(rest), 0, False
    if decoder is not None:
        kept.append(decoder.decode(b"", True))
    if none or any(kept):
        yield from _traces("".join(kept), size, note)


def _traces(text: str, size: int, note: str) -> Iterator[tuple[Trace, str]]:
    lines = split(text)
    for start in range(0, max(1, len(lines)), LINES):
        yield Trace(lines=lines[start : start + LINES], bytes_before=size if not start else 0), note


def winnow_pieces(chunks: Iterable[str | bytes], options: Options) -> PreprocessedTrace:
    """Winnow a log that comes in chunks of text or bytes, of any size. A log of one piece gives what `winnow` gives."""
    found: list[PreprocessedTrace] = []
    previous: tuple[Trace, str] | None = None
    for piece in traces(chunks):
        if previous is not None:
            previous[0].ends = False
            found.append(_noted(preprocess(previous[0], options), previous[1]))
        previous = piece
    assert previous is not None  # traces() gives at least one
    if not found:
        return _noted(preprocess(previous[0], options), previous[1])
    found.append(_noted(preprocess(previous[0], options), previous[1]))
    return merged(found, options)


def _noted(result: PreprocessedTrace, note: str) -> PreprocessedTrace:
    if note:
        result.notes.append(Note(stage="read", what="fallback", reason=note))
    return result


def merged(found: list[PreprocessedTrace], options: Options) -> PreprocessedTrace:
    """One result of those of the pieces, in order."""
    result = PreprocessedTrace()
    result.CopyFrom(found[0])
    for name in ("segments", "line_classes", "classes", "text", "seconds"):
        result.ClearField(name)
    shift = 0
    for piece in found:
        for segment in piece.segments:
            segment.first, segment.last = segment.first + shift, segment.last + shift
        for run in piece.line_classes:
            run.first, run.last = run.first + shift, run.last + shift
        shift += piece.lines_before
        joins = (
            result.line_classes and piece.line_classes and result.line_classes[-1].label == piece.line_classes[0].label
        )
        if joins:
            result.line_classes[-1].last = piece.line_classes[0].last
        result.line_classes.extend(piece.line_classes[1 if joins else 0 :])
        for stage, seconds in piece.seconds.items():
            result.seconds[stage] += seconds
    result.lines_before = shift
    for name in ("tokens_before", "bytes_before", "events_before"):
        setattr(result, name, sum(getattr(piece, name) for piece in found))
    result.content_address = hashlib.sha256("".join(piece.content_address for piece in found).encode()).hexdigest()
    del result.notes[:]
    # What befell a later piece alone is said as well; that tokens were estimated, once, though each piece has its figures.
    told = {note.reason if note.stage != "count" else "": note for piece in reversed(found) for note in piece.notes}
    result.notes.extend(told.values())
    result.notes.append(Note(stage="read", what="fallback", reason=f"a large log, looked at in {len(found)} pieces"))
    for piece in found:
        piece.lines_before = shift  # what a mark costs hangs on the length of the whole
    _choose(found, result, options)
    _count(found, result)
    return result


def _choose(found: list[PreprocessedTrace], result: PreprocessedTrace, options: Options) -> None:
    # As in a log of one piece, the score decides, and not the class: what was taken for noise in one may be the cause.
    offers = [offer for i, piece in enumerate(found) for offer in offered(i, piece, "", noise=True)]
    head = [render.HEADER] if options.budget >= render.EXPLAINED_FROM else []
    chosen = stored(offers, found).choose(options.budget - tokens.count("\n".join([*head, ""])))
    while True:
        segments = sorted((offer.segment for offer in chosen), key=lambda s: s.first)
        shown = [(s.first, s.last, render.repeated(s.text, s.count, s.ranks)) for s in segments]
        text = "\n".join([*head, render.render(shown, result.lines_before)]) if shown else ""
        if tokens.count(text) <= options.budget:
            break
        chosen.remove(min(chosen, key=lambda offer: offer.value))
    if not chosen and offers:
        best = max(offers, key=lambda offer: offer.value)
        text = render.beginning(best.segment.text, options.budget)
        segments = [_cut(best.segment, text)] if text else []
    result.text, result.tokens_after, result.bytes_after = text, tokens.count(text), len(text.encode())
    result.segments.extend(segments)


def _cut(segment: Segment, text: str) -> Segment:
    """A segment of which no more than `text`, its beginning, is shown."""
    cut = copied(segment, text)
    if segment.last - segment.first == segment.text.count("\n"):
        cut.last = segment.first + text.count("\n")
    return cut


def _count(found: list[PreprocessedTrace], result: PreprocessedTrace) -> None:
    """Lines and segments of each class, over all pieces: what a piece kept and the choice did not take is dropped."""
    for name in LABELS:
        lines = sum(c.lines_kept + c.lines_dropped for piece in found for c in piece.classes if c.label == name)
        segments = sum(
            c.segments_kept + c.segments_dropped for piece in found for c in piece.classes if c.label == name
        )
        own = [s for s in result.segments if s.label == name]
        kept = sum(s.last - s.first + 1 for s in own)
        result.classes.append(
            ClassCount(
                label=name,
                segments_kept=len(own),
                segments_dropped=max(0, segments - len(own)),
                lines_kept=kept,
                lines_dropped=lines - kept,
            )
        )
