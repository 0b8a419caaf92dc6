"""``python -m meanfield``."""

from .cli import main

if __name__ == "__main__":
    main()
