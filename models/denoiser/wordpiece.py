"""WordPiece: text to numbers of a vocabulary, as BERT's uncased models do it. Devlin et al. 2019, doi 10.18653/v1/N19-1423.

Our own, because the libraries that do it bring a dozen packages, some of which speak to the network, for these few lines.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence

LONGEST = 40  # characters of a word; a longer one is unknown
REMEMBERED = 1 << 16  # words
WORD = re.compile(r"[^\W_]+|[^\s]")  # letters and digits together, every other sign alone


class WordPiece:
    """vocabulary: pieces in order of their numbers, with [UNK], [CLS] and [SEP]; a piece inside a word begins with ##."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.number = {piece: at for at, piece in enumerate(vocabulary)}
        self.unknown, self.begin, self.end = (self.number[name] for name in ("[UNK]", "[CLS]", "[SEP]"))
        self.word = functools.lru_cache(REMEMBERED)(self._word)

    def __call__(self, text: str) -> list[int]:
        """Numbers of the pieces of a text, without marks of its begin and end."""
        return [number for word in WORD.findall(plain(text)) for number in self.word(word)]

    def _word(self, word: str) -> tuple[int, ...]:
        """The longest piece that fits, again and again; [UNK] where none does."""
        if len(word) > LONGEST:
            return (self.unknown,)
        found, start = [], 0
        while start < len(word):
            for stop in range(len(word), start, -1):
                number = self.number.get(("##" if start else "") + word[start:stop])
                if number is not None:
                    break
            else:
                return (self.unknown,)
            found.append(number)
            start = stop
        return tuple(found)


def plain(text: str) -> str:
    """Small letters without accents."""
    text = text.lower()
    if text.isascii():
        return text
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if unicodedata.category(sign) != "Mn")
