"""Nothing that comes from outside becomes markup."""

from __future__ import annotations

from html import unescape

from hypothesis import given, settings
from hypothesis import strategies as st

from tracewinnow.serving.html import Markup, el, join


def test_elements() -> None:
    assert el("p", "a < b", None, 3, class_="x", aria_label="<>", hidden=True, title=None) == (
        '<p class="x" aria-label="&lt;&gt;" hidden>a &lt; b3</p>'
    )
    assert el("rect", x=1.5) == '<rect x="1.5"/>'
    assert el("ul", [el("li", item) for item in "ab"]) == "<ul><li>a</li><li>b</li></ul>"


@settings(deadline=None)
@given(st.text())
def test_text_never_becomes_markup(text: str) -> None:
    for made in (join(text), el("p", title=text)[len('<p title="') : -len('"></p>')]):
        assert not set("<>\"'") & set(made)
        assert not any(ord(char) < 32 and char not in "\n\t" for char in made)


@settings(deadline=None)
@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_what_can_be_seen_stays_as_it_is(text: str) -> None:
    assert unescape(join(text)) == text


def test_characters_that_hide_or_turn_are_shown() -> None:
    assert join("a\u202eb\x00\x1b[31m") == r"a\u202eb\x00\x1b[31m"
    assert isinstance(join("x"), Markup)
