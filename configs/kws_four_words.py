"""Four keywords on the micro front end: MatchboxNet on whole clips, W8A8.

The micro front end is TensorFlow's for microcontrollers, computed here to the integer as a device
does.

    aqtaudio train configs/kws_four_words.py --data DIR --out RUN
"""

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.recipe import W8A8
from aqtaudio.tasks.keywords.task import Keywords

EXPERIMENT = Experiment(
    model=MatchboxNet(width=56),
    task=Keywords(("up", "down", "on", "off")),
    frontend=MicroFrontend(),
    augmentation=Augmentation(spec_time_masks=1, spec_frequency_masks=1),
    recipe=W8A8,
    optimizer=Optimizer(steps=2000, learning_rate=3e-3, label_smoothing=0.05),
    finetune=Optimizer(steps=300, learning_rate=5e-4, warmup_steps=30, label_smoothing=0.05),
)
