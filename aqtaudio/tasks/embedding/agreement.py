"""How near a student's vectors are to its teacher's."""

import numpy as np


def agreement(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """Figures of vectors [n, D] against the teacher's [n, D].

    Returns:
      "cosine": mean of the cosines. "centred_cosine": of the vectors without the teacher's mean,
      in its deviations, which is what a head sees that standardises. "relative_error": norm of the
      error over that of the teacher's vectors. "explained": 1 - mean squared error over variance,
      the average over coordinates.
    """
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    error = ours - theirs
    mean, deviation = theirs.mean(0), theirs.std(0)
    used = deviation > 1e-6 * deviation.max(initial=1e-30)
    scaled = (x[:, used] - mean[used] for x in (ours, theirs))
    ours_z, theirs_z = (x / deviation[used] for x in scaled)
    return {
        "cosine": _cosine(ours, theirs),
        "centred_cosine": _cosine(ours_z, theirs_z),
        "relative_error": float(np.linalg.norm(error) / max(np.linalg.norm(theirs), 1e-12)),
        "explained": float(np.mean(1 - np.square(error[:, used]).mean(0) / deviation[used] ** 2)),
    }


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean(np.einsum("nd,nd->n", a, b) / np.maximum(norms, 1e-12)))
