"""MatchboxNet 3x1 as a stream of 20 ms blocks, with int8 weights and activations (W8A8).

It is causal: it looks at no later frame. After training in float, it is trained on in the integers
that a device computes. At width 56 a second of audio takes fewer MACs (multiplications with an
addition) than with DS-CNN (`kws_ds_cnn.py`).

    aqtaudio train configs/kws_matchbox_net.py --data DIR --out RUN
"""

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.spectral import LogMel
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.tasks.keywords.task import Keywords

EXPERIMENT = Experiment(
    model=MatchboxNet(width=56, causal=True),
    task=Keywords(("yes", "up", "down", "on", "off", "stop")),
    frontend=LogMel(mel_bands=40),
    augmentation=Augmentation(spec_time_masks=0, spec_frequency_masks=0),
    optimizer=Optimizer(steps=2500, learning_rate=3e-3, label_smoothing=0.05),
    finetune=Optimizer(steps=400, learning_rate=5e-4, warmup_steps=30, label_smoothing=0.05),
    stream_block_frames=1,
)
