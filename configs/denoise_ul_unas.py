"""UL-UNAS from its published weights, 16x8 without training.

    aqtaudio train configs/denoise_ul_unas.py --data DIR --out RUN --init_from WEIGHTS.npz

WEIGHTS.npz holds the published arrays by their PyTorch names (trained on
the DNS3 challenge). No step is trained: the network is calibrated on mixtures of the recordings in
DIR, at all levels: it hears them at a running one. With `optimizer.steps` and `finetune.steps`
above 0 it is fine-tuned on them.
"""

from aqtaudio.data.mixing import Mixing
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.band_spectrum import BandSpectrum
from aqtaudio.models.ul_unas import ULUNAS
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.tasks.enhancement.masking import Masking
from aqtaudio.tasks.enhancement.task import Enhancement

EXPERIMENT = Experiment(
    model=ULUNAS(),
    task=Enhancement(mixing=Mixing(), filtering=Masking("real")),
    frontend=BandSpectrum(kind="log", level="running", level_shown_dbfs=-25.0),
    recipe=Recipe(rules=(Rule(activation_bits=16, calibration="max"),), loops=True),
    optimizer=Optimizer(
        steps=0, batch_size=8, learning_rate=5e-4, warmup_steps=20, weight_decay=0.0
    ),
    finetune=Optimizer(
        steps=0, batch_size=8, learning_rate=1e-4, warmup_steps=10, weight_decay=0.0
    ),
    calibration_batches=4,
    evaluate_every=100,
    checkpoint_every=100,
    stream_block_frames=1,
    stream_context_clips=0,
)
