"""Objects, tables and the archive: each an interface with an embedded and a cloud implementation."""
