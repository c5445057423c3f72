"""Another detector of the same words, whose answers a smaller one learns from."""

import json
from collections.abc import Sequence

from aqtaudio.errors import BadInput
from aqtaudio.frontends.embedded import Embedded


def teacher_of(run: str, words: Sequence[str]) -> Embedded:
    """The front end whose features are the logits of a detector of these words.

    Raises BadInput where the run is none.
    """
    teacher = Embedded(run=run)
    known = json.loads((teacher.folder / "config.json").read_text())["task"].get("keywords", [])
    if list(known) != list(words):
        raise BadInput(
            f"task.teacher: {run} listens for {', '.join(known) or 'no words'}; "
            f"allowed: {', '.join(words)}, in this order"
        )
    return teacher
