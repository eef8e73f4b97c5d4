"""From a line to its template: the variable parts masked, so that lines of one kind compare equal.

Over bytes, in one pass; a line end stays a line end. At each place the first rule that fits:

    white space         a run becomes one space; none at the ends of a line
    quoted value        "…" '…' `…` without white space that is no plain word, and not inside a word   "*"
    temporary path      /tmp/ and what follows, up to white space, quote or bracket                     /tmp/*
    directories         of a path or address with two slashes or more and a letter before the last one;
                        the name behind it is masked by itself                                          */
    identifier          UUID; MAC and IPv6 address; 0x and hexadecimal; seven or more hexadecimal digits,
                        mixed; 24 or more letters and digits, mixed; each a whole word                  #
    number              digits, also joined by one of . : , / + - (times, dates, addresses, versions),
                        with its sign and exponent                                                      #
    decoration          more than three of one of . = - _ * ~ + > #                                     three of it

Quoted phrases keep their words: in msg="connection refused" they are the message.
"""

from __future__ import annotations

import re

WORD = rb"[0-9A-Za-z_\x80-\xff]"
PATH = rb"[0-9A-Za-z_.+@%~\-]"
HEX = rb"[0-9a-fA-F]{1,4}(?!" + WORD + rb")"
BYTE = rb"[0-9a-fA-F]{2}(?!" + WORD + rb")"
NAME = (  # identifiers, but for where they begin
    rb"(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    rb"|" + HEX + rb"(?::" + HEX + rb"){7}"
    rb"|(?=[a-fA-F:]{0,40}[0-9])"
    + HEX
    + rb"(?::"
    + HEX
    + rb"){0,6}::(?:"
    + HEX
    + rb"(?::"
    + HEX
    + rb"){0,6}|(?!"
    + WORD
    + rb"))"
    rb"|" + BYTE + rb"(?::" + BYTE + rb"){5}"
    rb"|0[xX][0-9a-fA-F]+"
    rb"|(?=[0-9]*[A-Za-z])(?=[A-Za-z]*[0-9])(?:[0-9a-fA-F]{7,}|[0-9A-Za-z]{24,})"
    rb")(?!" + WORD + rb")"
)
RULES = re.compile(
    rb"(?P<blank>[ \t\x0b\x0c\r]+)"
    rb"|(?<!" + WORD + rb")(?P<quote>[\"'`])(?!(?:[A-Za-z_]+)(?P=quote))(?:(?!(?P=quote))[^\s]){1,200}(?P=quote)"
    rb"|(?P<tmp>(?<!" + WORD + rb")/tmp/[^\s\"'`,;:()\[\]{}<>]+)"
    rb"|(?P<path>(?<!"
    + PATH
    + rb")(?<!/)(?=(?:"
    + PATH
    + rb"|/)*[A-Za-z](?:"
    + PATH
    + rb"|/)*/)(?:"
    + PATH
    + rb"*/){2,})"
    rb"|(?P<identifier>(?<!" + WORD + rb")" + NAME + rb")"
    rb"|(?P<number>(?:(?<!" + WORD + rb")(?<![+\-.])[+\-](?!" + NAME + rb"))?[0-9]+(?:[.:,/+\-][0-9]+)*"
    rb"(?:[eE][+\-]?[0-9]+(?!" + WORD + rb"))?)"
    rb"|(?P<decoration>(?P<sign>[.=\-_*~+>#])(?P=sign){3,})"
)


def _replace(found: re.Match[bytes]) -> bytes:
    kind = found.lastgroup
    if kind == "blank":
        return b" "
    if kind == "quote":
        return found["quote"] + b"*" + found["quote"]
    if kind == "tmp":
        return b"/tmp/*"
    if kind == "path":
        return b"*/"
    if kind == "decoration":
        return found["sign"] * 3
    return b"#"


def reference(data: bytes) -> bytes:
    """The masker in Python, over lines with line ends, to read and to check the kernel (_mask.pyx) against; 100 times slower."""
    return b"\n".join(RULES.sub(_replace, line).strip(b" ") for line in data.split(b"\n"))
