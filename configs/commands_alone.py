"""Six commands in at most 64 KB that stand alone: a MatchboxNet on clips, with no encoder.

It learns from recordings and synthetic voices, and from what a head on the speech encoder
(`commands_on_embedding.py`) says of the same clips. Running speech gives it words without end:
stretches of it about as long as a word. Twelve words are kept out of training whole.

    aqtaudio data synth --texts results/commands/words.txt --voices espeak \\
        --languages en-us,en-gb --out WORDS
    aqtaudio data synth --texts results/commands_alone/short_words.txt --voices espeak \\
        --languages en-us,en-gb --seed 1 --out SHORT
    aqtaudio train configs/commands_alone.py --data DIR --data SPEECH --data WORDS --data SHORT \\
        --out RUN
"""

import dataclasses
from pathlib import Path

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import Experiment, Optimizer, load_config
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.recipe import W4A8

HEAD = load_config(Path(__file__).with_name("commands_on_embedding.py"))
TEACHER = "results/commands/artifacts/beff7dea6763"

EXPERIMENT = Experiment(
    model=MatchboxNet(
        width=64,
        first_kernel=5,
        kernels=(7, 9, 11),
        last_kernel=11,
        first_stride=2,
        first_full=True,
    ),
    task=dataclasses.replace(
        HEAD.task,
        unknown_per_keyword=6.0,
        unknown_weight=1.5,
        cut_share=1.0,
        spliced=0.5,
        kept_epochs=4,
        teacher=TEACHER,
    ),
    frontend=MicroFrontend(),
    augmentation=Augmentation(
        noise_max_volume=0.15,
        quieter_db=30.0,
        spec_time_masks=1,
        spec_time_max_frames=4,
        spec_frequency_masks=1,
        spec_frequency_max_bands=4,
    ),
    recipe=W4A8,
    optimizer=Optimizer(
        steps=6000,
        batch_size=128,
        learning_rate=3e-3,
        warmup_steps=200,
        weight_decay=1e-2,
        label_smoothing=0.05,
    ),
    finetune=Optimizer(
        steps=500,
        batch_size=128,
        learning_rate=5e-4,
        warmup_steps=50,
        weight_decay=0.0,
        label_smoothing=0.05,
        patience=100,
    ),
    calibration_batches=8,
    evaluate_every=500,
    checkpoint_every=250,
)
