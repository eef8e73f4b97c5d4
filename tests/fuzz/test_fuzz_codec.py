"""A short run of the fuzzer; docs/codec.md has the long one."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location("fuzz_codec", Path(__file__).parent / "fuzz_codec.py")
assert spec
assert spec.loader
fuzz_codec = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz_codec)


def test_mutated_containers_are_read_or_refused() -> None:
    outcomes = fuzz_codec.run(cases=4000, seed=1)
    # The mutations reach every part: some are still read, and each kind of refusal is among them.
    assert {"read", "Corrupt", "Truncated", "TooNew", "BadArgument"} <= outcomes.keys()


def test_the_corpus_is_read_as_it_is() -> None:
    for data in fuzz_codec.corpus():
        for reader in fuzz_codec.BY_CONTENT[data[5]]:
            reader(data)
        assert fuzz_codec.repair(data)[:30] == data[:30]
