"""`python -m quorate` is the program `quorate`."""

from quorate.cli.main import main

if __name__ == "__main__":
    main()
