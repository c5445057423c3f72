"""How far a command is that goes through many things."""

import sys
import time

EVERY_S = 30.0


class Progress:
    """Things done, things per second and time left, on standard error: one line on a terminal,
    elsewhere a line every half minute and at the end.
    """

    def __init__(self, what: str) -> None:
        """`what`: name of many of them."""
        self._what = what
        self._start, self._said = time.monotonic(), float("-inf")

    def __call__(self, done: int, total: int, before: int | None = None) -> None:
        """Shows it, where it is time to.

        `before`: so many were there when it began; None: that cannot be.
        """
        now, live = time.monotonic(), sys.stderr.isatty()
        if now - self._said < (0.2 if live else EVERY_S) and done < total:
            return
        self._said = now
        speed = max(0, done - (before or 0)) / max(now - self._start, 1e-9)
        left = f", {_duration((total - done) / speed)} left" if speed and done < total else ""
        there = f" ({before} were there)" if before is not None else ""
        line = f"{done} of {total} {self._what}{there}, {speed:.2f} {self._what}/s{left}"
        end = "" if live and done < total else "\n"
        print(f"\r\033[K{line}" if live else line, end=end, file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
