"""`python -m ruptura`."""

from ruptura.cli import main

main()
