"""Bandwidth extension by the streaming SEANet of the paper: 692,848 parameters, 311 MMAC/s.

    aqtaudio train configs/bandwidth_seanet.py --data DIR --out RUN

arXiv:2010.10677. ELU, which TFLite Micro has in int8; the samples that go in and the sum that comes
out have 16 bits. The paper's discriminators (`task.adversary.weight`) and its million steps are
days of an accelerator; these are settings for a beginning on one. `bandwidth_seanet_small.py`
is what processors train in hours.
"""

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.wave import WaveBlocks
from aqtaudio.models.seanet import SEANet
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.tasks.bandwidth.loss import Adversary
from aqtaudio.tasks.bandwidth.task import Bandwidth

WIDE = Rule("input|last|sum", activation_bits=16, calibration="max")

EXPERIMENT = Experiment(
    model=SEANet(bounded=False, weight_norm=True),
    task=Bandwidth(adversary=Adversary(weight=0.1)),
    frontend=WaveBlocks(peak=0.5),
    recipe=Recipe(rules=(WIDE, Rule())),
    optimizer=Optimizer(
        steps=100_000, batch_size=16, learning_rate=3e-4, warmup_steps=500, weight_decay=0.0
    ),
    finetune=Optimizer(
        steps=5000, batch_size=16, learning_rate=1e-4, warmup_steps=100, weight_decay=0.0
    ),
    calibration_batches=8,
    evaluate_every=1000,
    checkpoint_every=1000,
    stream_block_frames=1,
    stream_context_clips=0,
)
