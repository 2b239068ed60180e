"""`python -m selfinstruct` is the command line."""

from selfinstruct.cli.main import main

main()
