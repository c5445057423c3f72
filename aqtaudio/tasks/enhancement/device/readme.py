"""The part of a firmware bundle's README that tells how to suppress noise with it."""

from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.frontends.spectrum import SpectrumFrontend
from aqtaudio.tasks.enhancement.changing import Changing
from aqtaudio.tasks.enhancement.filtering import Filtering


def section(frontend: DeepFilterFeatures, filtering: Filtering, state_bytes: int) -> str:
    """Markdown: what runs where, the order of calls, memory, proof."""
    delay = frontend.skipped_frames + 1
    return using(
        frontend,
        f"{frontend.bands} band levels, {frontend.filtered_bins} low bins, "
        f"{_normalisation(frontend)}",
        _results(filtering),
        state_bytes,
        _table_bytes(frontend),
        f"The model is not shown the first {frontend.skipped_frames} hops of a stream: so far it "
        f"looks ahead.\nWhat comes out lies {delay} hops ({delay * frontend.hop_ms:g} ms) before "
        "what went in; the first one\nlies before the stream: drop it. After the last samples, "
        f"{delay} hops of silence bring out the rest.",
    )


def using(
    frontend: SpectrumFrontend,
    seen: str,
    done: str,
    state_bytes: int,
    table_bytes: int,
    order: str,
) -> str:
    """The same, of what a network sees, what is done with its results, and when."""
    hop, rate = frontend.hop_samples, frontend.sample_rate_hz
    return f"""\
# Noise suppression

Hop by hop, {hop} samples ({frontend.hop_ms:g} ms) at {rate} Hz:

| where | what |
|---|---|
| `enhancement_analyse()`, float32 | window, transform, {seen}, input codes |
| the model, integers | one `Invoke()`: a frame of codes in, a frame of codes out |
| `enhancement_apply()`, float32 | {done}, transform back, window, overlap |

`enhancement_dsp.c`, `.h` and `enhancement_sound.h` are C99, also C++, and need nothing but `math.h`
and `string.h`: no allocation, no file-scope state. `enhancement_constants.h` holds this run's
settings. The transform is yours: two functions between {frontend.fft_samples} real samples and
{frontend.bins} bins, re and im of each in turn. Neither scales{_radix(frontend.fft_samples)}.

```c
static EnhancementState state;  /* one per stream */
EnhancementFft fft = {{my_forward, my_inverse, my_context}};
EnhancementInput given[ENHANCEMENT_INPUT_VALUES];
EnhancementOutput made[ENHANCEMENT_OUTPUT_VALUES];

enhancement_init(&state); /* and the interpreter's Reset(): a stream begins */
for (;;) {{
  read_hop(samples); /* float, -1 to 1 */
  if (!enhancement_analyse(&state, &fft, samples, given)) continue;
  invoke_model(given, made); /* given to input(0), Invoke(), output(0) to made */
  enhancement_apply(&state, &fft, made, samples);
  play_hop(samples);
}}
```

{order}
`given` and `made` may be the model's own tensors.

- `EnhancementState`: {state_bytes:,} bytes per stream.
- Tables in flash: {table_bytes:,} bytes.
- Stack: less than 1 KiB, without your transform.
- The model's memory (`kArenaBytes`) and code come on top.

`enhancement_golden.h` proves a build: samples, the codes that `enhancement_analyse()` must give
(mathematics libraries round differently: one code apart, in fewer than one in 200), the model's
codes for them, and the sound that `enhancement_apply()` must make of these (within 1e-5).
`-DENHANCEMENT_DFT` adds `enhancement_dft`, a slow transform to compare yours with.
"""


def _radix(samples: int) -> str:
    """What not every library's transform does."""
    return "" if samples.bit_count() == 1 else f"; {samples} is no power of two"


def _normalisation(frontend: DeepFilterFeatures) -> str:
    kind = "level-invariant" if frontend.level_invariant else "published"
    falls = f", which hears falls of {frontend.fall_db:g} dB" if frontend.fall_db else ""
    return f"the {kind} normalisation{falls}"


def _results(filtering: Filtering) -> str:
    parts = [
        f"complex filters over {filtering.taps} frames, {filtering.ahead} of them ahead",
        "band gains" + (" of all bins" if filtering.gains == "all" else " above the low bins"),
    ]
    return ", ".join(parts + listeners_text(filtering))


def listeners_text(filtering: Changing) -> list[str]:
    """Post-filter and limit, where there are any."""
    limit = filtering.attenuation_limit_db
    found = [f"post-filter ({filtering.post_filter:g})"] if filtering.post_filter else []
    return found + ([f"at most {limit:g} dB of attenuation"] if limit is not None else [])


def _table_bytes(frontend: DeepFilterFeatures) -> int:
    """Window, band edges, starts of running means: values of four bytes."""
    starts = frontend.bands + frontend.filtered_bins
    return 4 * (frontend.fft_samples + frontend.bands + 1 + starts)
