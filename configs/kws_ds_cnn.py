"""DS-CNN S on six keywords, with int8 weights and activations (W8A8).

After training in float, it is trained on in the integers that a device computes.

    aqtaudio train configs/kws_ds_cnn.py --data DIR --out RUN
"""

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.spectral import Mfcc
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.tasks.keywords.task import Keywords

EXPERIMENT = Experiment(
    model=DSCNN(width=64),
    task=Keywords(("yes", "up", "down", "on", "off", "stop")),
    frontend=Mfcc(coefficients=10),
    augmentation=Augmentation(spec_time_masks=0, spec_frequency_masks=0),
    optimizer=Optimizer(steps=3000, learning_rate=3e-3, label_smoothing=0.05),
    finetune=Optimizer(steps=500, learning_rate=5e-4, warmup_steps=30, label_smoothing=0.05),
)
