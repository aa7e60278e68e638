"""`python -m linreg`: the command line."""

from linreg.cli import main

if __name__ == "__main__":
    main()
