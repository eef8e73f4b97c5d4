"""Dead letters on their way into the table, in files or in BigQuery. What BigQuery refuses is kept in a file, and said there."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from tracewinnow.pipelines.letter_files import TABLE, LetterFiles, cut, letter_row
from tracewinnow.pipelines.options import Settings
from tracewinnow.schemas.dead_letter_pb2 import DeadLetter
from tracewinnow.schemas.tables import date_of
from tracewinnow.stores.bigquery_tables import RowsRefused
from tracewinnow.stores.objects import open_objects
from tracewinnow.stores.parquet_tables import ParquetTables
from tracewinnow.stores.tables import open_tables

LOG = logging.getLogger(__name__)
WHY_CHARS = 500


class DeadLetters:
    """Where dead letters go. Blocks on the stores, and raises what they raise, but never for what a letter holds."""

    def __init__(self, settings: Settings) -> None:
        self.warehouse = settings.warehouse.rstrip("/")
        self.tables = open_tables(settings.tables or settings.warehouse)
        self.files = LetterFiles(open_objects(settings.warehouse))

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Write letters; those that are there already stay as they are, as far as the store can tell."""
        if isinstance(self.tables, ParquetTables):
            self.files.write(letters)
            return
        days: defaultdict[str, list[DeadLetter]] = defaultdict(list)
        for letter in letters:
            if letter.code:  # one without takes others out, which BigQuery cannot
                days[date_of(letter.time_ns)].append(letter)
        for date, of_day in days.items():
            try:
                self._insert(date, of_day)
            except RowsRefused as refused:
                self._set_aside(date, [(of_day[place], why) for place, why in sorted(refused.rows.items())])

    def built(self, topic: str, part: int, window_start_ns: int) -> None:
        """A part of a window was built and written: its letters are taken out, where the store can."""
        if isinstance(self.tables, ParquetTables):
            self.files.built(topic, part, window_start_ns)

    def _insert(self, date: str, letters: Sequence[DeadLetter]) -> None:
        self.tables.write(TABLE, date, "", [letter_row(letter) for letter in letters])

    def _set_aside(self, date: str, refused: Sequence[tuple[DeadLetter, str]]) -> None:
        """Each whole into a file of the warehouse, then a row without what it holds, which says where that is."""
        short = []
        self.files.write([letter for letter, _ in refused])
        for letter, why in refused:
            made = DeadLetter()
            made.CopyFrom(letter)
            made.ClearField("original")
            made.ClearField("headers")
            made.reason = (
                f"{cut(letter.reason, WHY_CHARS)}; BigQuery did not take it whole ({cut(why, WHY_CHARS)}): its "
                f"{len(letter.original):,} bytes stand in {self.warehouse}/tables/{TABLE}/dt={date}/"
            )
            short.append(made)
        try:
            self._insert(date, short)
        except RowsRefused as again:
            LOG.error("%s; these dead letters stand in %s/tables/%s/dt=%s/ alone", again, self.warehouse, TABLE, date)
