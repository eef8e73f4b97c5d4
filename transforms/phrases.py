"""Phrases that tell of trouble where no single word does: of each the text that must stand in a line, a pattern, and the signal."""

from __future__ import annotations

import re

NO = re.compile(
    r"\bno (?:space left|(?:new )?(?:progress|output|response|heartbeat)|route|module named|rule to make|free|matching|available"
    r"|longer (?:reach|avail|exist|respond|alive|running|valid)\w*|(?:\w+ )?(?:samples|batches|tests) (?:found|ran|left|in)"
    r"|kernel image|(?:[\w-]+ )?(?:device|gpu|tpu)s? (?:\w+ )?(?:found|detected|available|visible))",
    re.I,
)
# A comparison is what a program says where it asked for more than it has.
THAN = re.compile(
    r"\b(?:larger|bigger|longer|greater|higher|older|newer|fewer|smaller|shorter|less) than\b(?! usual)"
    r"|\bmore than (?:the )?(?:allowed|permitted)\b",
    re.I,
)
LIMIT = re.compile(
    r"\b(?:reach(?:ed|es)|hit|over|beyond|above|below|under|due to)\b(?: [\w.'-]+){0,4} (?:limit|threshold|maximum|minimum)\b"
    r"|\b(?:limits?|maximum) (?:was |has been )?(?:reached|hit)\b",
    re.I,
)
PUT_DOWN = re.compile(r"\b(?:was|were|been) (?:cancell?ed|terminated|interrupted)\b", re.I)
PHRASES = (
    ("out of", re.compile(r"out of (?:memory|disk|space|range|bounds|resources|host memory)", re.I), "fatal"),
    ("out of ", re.compile(r"\bout of (?:date|sync)\b", re.I), "refusal"),
    ("out_of_", re.compile(r"\bout_of_(?:mem|range|bounds|resources)", re.I), "fatal"),
    ("time", re.compile(r"\btim(?:ed|es|ing)[ -]out\b", re.I), "timeout"),
    ("no ", NO, "refusal"),
    ("ran out", re.compile(r"\bran out\b", re.I), "refusal"),
    ("by zero", re.compile(r"\bby zero\b", re.I), "refusal"),
    ("empty", re.compile(r"\b(?:(?:is|are|was|were) empty|empty slice)\b", re.I), "refusal"),
    ("is ", re.compile(r"\bis (?:None|null|nil|zero|full|dirty|offline|overloaded)\b", re.I), "refusal"),
    (" than ", THAN, "refusal"),
    ("limit", LIMIT, "refusal"),
    ("imum", LIMIT, "refusal"),
    ("threshold", LIMIT, "refusal"),
    (" no ", re.compile(r"\b(?:contains?|has|have|had|there (?:is|are|was|were)) no\b", re.I), "refusal"),
    ("never", re.compile(r"\b(?:is|was|were|has|have) never\b", re.I), "refusal"),
    ("requires", re.compile(r"\brequires (?!restart)", re.I), "refusal"),
    ("race", re.compile(r"\b(?:data race|race (?:condition|detected))\b", re.I), "fatal"),
    (" fault", re.compile(r"\b(?:protection|page|access|bus) fault\b", re.I), "fatal"),
    ("attempt", re.compile(r"\battempt(?:ed)? to\b", re.I), "refusal"),
    (
        "would ",
        re.compile(r"\b(?:would|needs?|should) (?:to )?(?:be )?(?:reformat|chang|overwrit|updat)\w*", re.I),
        "refusal",
    ),
    ("multiple def", re.compile(r"\bmultiple definitions?\b", re.I), "refusal"),
    ("nothing ", re.compile(r"\bnothing (?:provides|found|matche[sd])\b", re.I), "refusal"),
    ("quickly", re.compile(r"\btoo quickly\b", re.I), "refusal"),
    ("read-only", re.compile(r"\bread-only file ?system\b|\bremount\w*\b.{0,40}\bread-only\b", re.I), "refusal"),
    ("virtual method", re.compile(r"\bpure virtual method called\b", re.I), "fatal"),
    ("went ", re.compile(r"\bwent (?:offline|away|down|wrong|silent)\b", re.I), "refusal"),
    ("been ", PUT_DOWN, "refusal"),
    ("was ", PUT_DOWN, "refusal"),
    (" up", re.compile(r"\bg(?:ave|iving) up\b", re.I), "refusal"),
    ("abnormal", re.compile(r"\babnormal(?:ly)?\b", re.I), "refusal"),
    ("in use", re.compile(r"\balready in use\b", re.I), "refusal"),
    ("dump", re.compile(r"core dumped", re.I), "fatal"),
    ("n't", re.compile(r"\b(?:ca|could|does|did|is|are|was|were|wo|has|have|had)n't\b", re.I), "refusal"),
    ("renamed ", re.compile(r"\brenamed (?:to|from)\b", re.I), "refusal"),
    ("too ", re.compile(r"\btoo (?:many|large|long|few|small|big|old|deep)\b", re.I), "refusal"),
)
