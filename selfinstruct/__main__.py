"""`python -m selfinstruct` is the command line."""

from selfinstruct.cli import main

main()
