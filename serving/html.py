"""HTML and SVG as values: text is always escaped, markup comes only from `el`. What is shown may be hostile."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from tracewinnow.serving.text import printable

VOID = ("meta", "br", "hr", "line", "rect", "circle", "path", "polyline")


class Markup(str):
    """A string that is markup already."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]


def el(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """An element. In attribute names "_" becomes "-", a last one falls ("class_"); None and False leave it out."""
    told = "".join(
        f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(visible(str(value)))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in VOID and not children:
        return Markup(f"<{tag}{told}/>")
    return Markup(f"<{tag}{told}>{join(children)}</{tag}>")


def join(children: Child) -> Markup:
    """Children one behind the other; what is not Markup is escaped."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int, float)):
        return Markup(escape(visible(str(children))))
    return Markup("".join(map(join, children)))


def visible(text: str) -> str:
    """Characters that HTML forbids, that hide text or turn its direction become visible escapes."""
    return text if text.isascii() and text.isprintable() else printable(text)
