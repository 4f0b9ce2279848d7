"""`python -m semedge`."""

from semedge.cli import main

main()
