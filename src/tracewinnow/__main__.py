"""`python -m tracewinnow` is the command line."""

from tracewinnow.cli import main

main()
