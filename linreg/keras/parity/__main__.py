"""`python -m linreg.keras.parity '{"rules": ["Adam"]}'`: the comparison with this process's setting, line by line."""

import json
import sys

from linreg.keras.parity.settings import Asked, write_parts


def _write(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    write_parts(Asked(**asked | {"rules": tuple(asked["rules"])}), _write)
