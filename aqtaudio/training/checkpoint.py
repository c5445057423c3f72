"""Checkpoints of a phase: exact state, written atomically by orbax."""

import contextlib
import errno
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from aqtaudio.errors import BadInput

Measures = Mapping[str, Any]  # of one step: names to floats

logging.getLogger("absl").setLevel(logging.ERROR)


class Checkpoints:
    """The checkpoints below one directory; the newest two are kept."""

    def __init__(self, directory: Path):
        """`directory` is made when something is saved."""
        self.directory = directory.absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    @property
    def latest(self) -> int | None:
        """Step of the newest complete checkpoint."""
        return self._manager.latest_step()

    @property
    def measures(self) -> list[Measures]:
        """What the newest checkpoint was saved with."""
        step = self.latest
        if step is None:
            return []
        try:
            return list((self._manager.metadata(step).custom_metadata or {}).get("measures", []))
        except Exception as error:  # noqa: BLE001 - orbax raises many kinds
            raise self._damaged(step, error) from error

    def save(self, step: int, state: Any, measures: Sequence[Measures] = ()) -> None:
        """Writes `state` as of `step`, unless it is there.

        measures: of the steps that no line of metrics tells of yet.

        Raises OSError, which names the checkpoint, where it cannot be written.
        """
        if self.latest != step:
            kept = [{name: float(value) for name, value in one.items()} for one in measures]
            arguments = ocp.args.StandardSave(state)
            try:
                with _without_stray_threads():
                    self._manager.save(step, args=arguments, custom_metadata={"measures": kept})
            except Exception as error:  # noqa: BLE001 - orbax raises many kinds
                refused = _refusal(error)
                if refused is None:
                    raise
                told = f"cannot be written: {refused}; with enough space, the same command goes on"
                raise OSError(errno.EIO, told, str(self.directory / str(step))) from error

    def restore(self, template: Any) -> Any:
        """The newest state; `template` gives structure, shapes and dtypes.

        Raises BadInput when there is none, or it is damaged or of another shape.
        """
        step = self.latest
        if step is None:
            raise BadInput(f"{self.directory}: no checkpoint")
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        try:
            with _without_stray_threads():
                restored = self._manager.restore(step, args=ocp.args.StandardRestore(abstract))
            # Not bound to a device, as fresh arrays are: bound ones beside fresh ones, and then
            # the bound ones that a step makes of them, are two compilations of the step.
            found = jax.tree.map(lambda x: jnp.asarray(np.asarray(x)), restored)
        except Exception as error:  # noqa: BLE001 - orbax raises many kinds
            raise self._damaged(step, error) from error
        return found

    def _damaged(self, step: int, error: Exception) -> BadInput:
        reason = " ".join(str(error).split())[:300]
        return BadInput(
            f"{self.directory / str(step)}: a damaged or foreign checkpoint; without that "
            f"folder, training goes on from an older one ({reason})"
        )


def exists(directory: Path) -> bool:
    """Whether a complete checkpoint is there (without creating the directory)."""
    if not directory.is_dir():
        return False
    with Checkpoints(directory) as checkpoints:
        return checkpoints.latest is not None


def _refusal(error: BaseException | None) -> str | None:
    """What the system said, of an error that it is behind; None of another.

    Of threads orbax raises errors of their own; tensorstore's are ValueErrors with a status.
    """
    seen = []
    while error is not None and error not in seen:
        if isinstance(error, OSError) and error.errno is not None:
            return os.strerror(error.errno)
        for number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EACCES):
            if os.strerror(number) in str(error):
                return os.strerror(number)
        seen.append(error)
        error = error.__cause__ or error.__context__
    return None


@contextlib.contextmanager
def _without_stray_threads() -> Iterator[None]:
    """What fails leaves reads and writes behind that end, loudly, after the loop that awaited them.

    They end when they like: what they say is taken away before anything fails, and from then on.
    """
    hook, sys.unraisablehook = sys.unraisablehook, _but_closed_loops
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # what it tells is raised, too
    try:
        yield
    except Exception:
        for name in ("asyncio", "concurrent.futures"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        raise
    sys.unraisablehook = hook


def _but_closed_loops(unraisable: Any) -> None:
    if "Event loop is closed" not in str(unraisable.exc_value):
        sys.__unraisablehook__(unraisable)
