"""The part of a firmware bundle's README that tells how to suppress noise by a mask."""

from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.tasks.enhancement.device.readme import listeners_text, using
from aqtaudio.tasks.enhancement.masking import Masking


def section(frontend: BandSpectrum, masking: Masking, state_bytes: int) -> str:
    """Markdown: what runs where, the order of calls, memory, proof."""
    seen = {
        "log": "logarithms of magnitudes",
        "spectrum": "magnitude and spectrum",
        "compressed": "the compressed spectrum",
    }[frontend.kind]
    if frontend.level == "running":
        seen += ", at a running level,"
    parts = [f"the {masking.kind} mask", *listeners_text(masking)]
    shared = frontend.bins - frontend.low_bins if frontend.high_bands else 0
    tables = 4 * frontend.fft_samples + 5 * shared
    return using(
        frontend,
        f"{seen} of {frontend.bands} bands",
        ", ".join(parts),
        state_bytes,
        tables,
        f"Every hop is shown to the model. What comes out lies one hop ({frontend.hop_ms:g} ms) "
        "before what went in;\nthe first one lies before the stream: drop it. After the last "
        "samples, one hop of silence brings out the\nrest.",
    )
