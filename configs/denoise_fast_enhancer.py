"""FastEnhancer-T from scratch, 16x8.

    aqtaudio train configs/denoise_fast_enhancer.py --data DATA --out RUN

22,000 parameters. It sees linear bins of a spectrum at a running level, magnitudes compressed, and
says a complex mask of these. Where speech was recorded in noise, `task.cleaned_by=WEIGHTS.npz`
(DeepFilterNet3's published weights) takes that off the targets. The larger size, B, is
`denoise_fast_enhancer_base.py`.
"""

from aqtaudio.data.mixing import Mixing
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.models.fast_enhancer import TINY
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.tasks.enhancement.masking import Masking
from aqtaudio.tasks.enhancement.task import Enhancement

EXPERIMENT = Experiment(
    model=TINY,
    task=Enhancement(mixing=Mixing(), filtering=Masking("complex", compression=0.3)),
    frontend=BandSpectrum(low_bins=256, high_bands=0, kind="compressed", level="running"),
    recipe=Recipe(rules=(Rule(activation_bits=16, calibration="max"),)),
    optimizer=Optimizer(
        steps=20_000, batch_size=8, learning_rate=1e-3, warmup_steps=500, weight_decay=0.0
    ),
    finetune=Optimizer(
        steps=300, batch_size=8, learning_rate=1e-4, warmup_steps=10, weight_decay=0.0
    ),
    calibration_batches=4,
    evaluate_every=500,
    checkpoint_every=500,
    stream_block_frames=1,
    stream_context_clips=0,
)
