"""Numbers as few characters: no more digits than a bound needs, a power of ten hoisted out of a row. FORMAT.md,
section 12."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Decimal:
    """sign digits * 10**exponent, digits without a zero at either end; or a special word."""

    digits: str
    exponent: int
    negative: bool = False
    special: str = ""


@dataclass(frozen=True)
class Bound:
    """How far a printed value may be off: relative, absolute, or (both None) not at all in the given precision."""

    rel: float | None = None
    abs: float | None = None

    def holds(self, printed: float, value: float) -> bool:
        if printed == value:
            return math.copysign(1, printed) == math.copysign(1, value)
        if not (math.isfinite(value) and math.isfinite(printed)) or value == 0:
            return value != value and printed != printed
        if self.rel is not None:
            return abs(printed - value) <= self.rel * abs(value)
        return self.abs is not None and abs(printed - value) <= self.abs


def decimal(value: float, bound: Bound, digits: int = 17) -> Decimal:
    """The fewest digits whose value keeps the bound; digits: as many as the precision ever needs."""
    if not math.isfinite(value):
        return Decimal("", 0, value < 0, "nan" if value != value else "inf")
    if value == 0 or (bound.abs is not None and abs(value) <= bound.abs):
        return Decimal("", 0, math.copysign(1, value) < 0 and value == 0)
    for count in range(1, digits + 1):
        text = f"{value:.{count - 1}e}"
        if count == digits or bound.holds(float(text), value):
            break
    mantissa, _, power = text.lstrip("-").partition("e")
    whole, _, rest = mantissa.partition(".")
    kept = (whole + rest).rstrip("0")
    return Decimal(kept, int(power) - len(whole + rest) + 1 + len(whole + rest) - len(kept), value < 0)


def unit_of(decimals: Sequence[Decimal]) -> int:
    """The power of ten that makes a row shortest."""
    exponents = {d.exponent for d in decimals if d.digits} or {0}
    return min(
        sorted(exponents | {0}, key=abs), key=lambda unit: sum(len(text(d, unit)) for d in decimals) + (unit != 0) * 4
    )


def text(number: Decimal, unit: int) -> str:
    """The number in units of 10**unit: 12, .5, 300, -7, nan."""
    sign = "-" if number.negative else ""
    if number.special:
        return sign + number.special
    if not number.digits:
        return sign + "0"
    shift = number.exponent - unit
    if 0 <= shift <= 6:
        return sign + number.digits + "0" * shift
    if shift < 0 and -shift < len(number.digits) + 4:
        padded = number.digits.rjust(-shift, "0")
        return sign + padded[:shift] + "." + padded[shift:]
    return f"{sign}{number.digits}e{shift}"


def value(text: str, unit: int) -> float:
    """The float nearest to what is written. ValueError if it is no number."""
    if text.lstrip("-") in ("nan", "inf"):
        return float(text)
    mantissa, _, power = text.partition("e")
    return float(f"{mantissa}e{int(power or 0) + unit}")


def whole(value: int) -> Decimal:
    """An integer, all its digits."""
    digits = str(abs(value))
    kept = digits.rstrip("0")
    return Decimal(kept, len(digits) - len(kept) if kept else 0, value < 0)
