"""What hangs together is one block."""

from __future__ import annotations

import numpy as np
import pytest

from tracewinnow.transforms import lines, signals
from tracewinnow.transforms.blocks import blocks, untangled

PYTHON = """step 4 loss 1.2
Traceback (most recent call last):
  File "/opt/app/train.py", line 12, in <module>
    main()
  File "/opt/app/train.py", line 8, in main
    raise ValueError("bad shape")
ValueError: bad shape
step 5 loss 1.1"""
JAVA = """INFO started
Exception in thread "main" java.lang.IllegalStateException: no leader
	at com.example.Store.open(Store.java:41)
	at com.example.Main.main(Main.java:12)
	... 4 more
INFO stopped"""
RUST = """   Compiling sieve v0.1.0
error[E0308]: mismatched types
  --> src/main.rs:4:18
   |
 4 |     let x: i32 = "a";
   |                  ^^^ expected `i32`, found `&str`

warning: unused variable"""
CPP = """g++ -c a.cc
a.cc:3:10: error: expected ';' before 'return'
    3 |   int x = 4
      |            ^
make: *** [a.o] Error 1"""
GO = """ok pkg/a 0.1s
goroutine 1 [running]:
main.work(0xc00001, 0x5)
	/srv/app/main.go:8 +0x1d
main.main()
	/srv/app/main.go:4 +0x1d
exit status 2"""
NODE = """> test
TypeError: x.map is not a function
    at run (/srv/app/index.js:4:7)
    at Object.<anonymous> (/srv/app/index.js:9:1)
done"""


def of(text: str, ranks: list[int] | None = None) -> list[int]:
    judged = lines.judged(lines.visible(text.split("\n")))
    bits = np.array([signals.look(line) for line in judged], np.uint64)
    return blocks(bits, np.array(ranks or [-1] * len(judged), np.int32)).tolist()


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [(PYTHON, 1, 6), (JAVA, 1, 4), (RUST, 1, 5), (CPP, 1, 3), (GO, 1, 5), (NODE, 1, 3)],
    ids=["python", "java", "rust", "c++", "go", "node"],
)
def test_a_block_is_whole_and_alone(text: str, first: int, last: int) -> None:
    numbers = of(text)
    assert len(set(numbers[first : last + 1])) == 1
    assert numbers[first - 1] != numbers[first]
    assert numbers[last + 1] != numbers[last]


def test_ranks_that_print_at_once_are_untangled() -> None:
    body = PYTHON.split("\n")[1:7]
    text = "\n".join(f"[rank{rank}]: {line}" for line in body for rank in (0, 1))
    numbers = of(text, [0, 1] * len(body))
    assert len(set(numbers[::2])) == len(set(numbers[1::2])) == 1
    assert numbers[0] != numbers[1]


def test_one_rank_needs_no_untangling() -> None:
    assert untangled(np.array([-1, 3, 3, -1], np.int32)) is None


def test_no_lines() -> None:
    assert len(blocks(np.zeros(0, np.uint64), np.zeros(0, np.int32))) == 0
