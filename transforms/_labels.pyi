import re
from collections.abc import Callable

def without_label(lines: list[str], match: Callable[[str], re.Match[str] | None]) -> list[str]: ...
