"""What commands tell: answers on standard output, what goes on on standard error."""

import json
import sys
from collections.abc import Callable
from typing import Any


def say(text: str) -> None:
    """Tells what goes on; standard output is for answers."""
    print(text, file=sys.stderr, flush=True)


def answer(value: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """Prints an answer for people or as JSON."""
    if as_json:
        print(json.dumps(value))
    else:
        show(value)
