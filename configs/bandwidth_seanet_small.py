"""Bandwidth extension by a small SEANet: speech of 8 kHz to 16 kHz, W8A8 with int16 samples.

    aqtaudio train configs/bandwidth_seanet_small.py --data DIR --out RUN

Four samples at a time (`patch`), so that most of the network runs at 4 kHz and below. The samples
that go in and the sum that comes out have 16 bits: the input passes through, and 8 bits are too
coarse for it. Everything else has 8. Features are brought to one level (`peak`), so the network is
not asked what a level is.

`task.adversary.weight` 0.1 adds discriminators, which take three times as long a step.
"""

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.wave import WaveBlocks
from aqtaudio.models.seanet import SEANet
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.tasks.bandwidth.task import Bandwidth

WIDE = Rule("input|last|sum", activation_bits=16, calibration="max")

EXPERIMENT = Experiment(
    model=SEANet(
        channels=(16, 24, 48, 64),
        strides=(4, 4, 4),
        dilations=(1, 3),
        bottleneck=64,
        bottleneck_kernel=2,
        patch=4,
        activation="leaky_relu",
        biased=True,
        bounded=False,
    ),
    task=Bandwidth(),
    frontend=WaveBlocks(peak=0.5),
    recipe=Recipe(rules=(WIDE, Rule())),
    optimizer=Optimizer(
        steps=10_000, batch_size=8, learning_rate=1.5e-3, warmup_steps=100, weight_decay=0.0
    ),
    finetune=Optimizer(
        steps=1000, batch_size=8, learning_rate=2e-4, warmup_steps=50, weight_decay=0.0
    ),
    calibration_batches=4,
    evaluate_every=500,
    checkpoint_every=500,
    stream_block_frames=1,
    stream_context_clips=0,
)
