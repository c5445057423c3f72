"""Wake words in at most 64 KB, with nothing beside: a causal MatchboxNet on the micro front end.

Its gain control makes levels matter little. It learns from scenes as the heads on the encoder do
(`wake_words_on_embedding.py`) and, with `task.teacher`, from the answers of such a head, joined
with its encoder. What it hears before a window is other sound, as in a stream.

    aqtaudio train configs/wake_words_alone.py --data VOICES --data DIR --out RUN \\
        --task.teacher JOINED
"""

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.micro import MicroFrontend
from aqtaudio.models.matchbox_net import MatchboxNet
from aqtaudio.tasks.keywords.spotting import Spotting

EXPERIMENT = Experiment(
    model=MatchboxNet(width=40, causal=True),
    task=Spotting(("alexa", "computer", "jarvis"), clip_ms=1300, feature_noise=0.1),
    frontend=MicroFrontend(),
    stream_block_frames=1,
    stream_context_clips=1,
    optimizer=Optimizer(
        steps=4000,
        batch_size=256,
        learning_rate=3e-3,
        warmup_steps=200,
        weight_decay=1e-3,
        label_smoothing=0.0,
        patience=100,
    ),
    finetune=Optimizer(
        steps=600,
        batch_size=256,
        learning_rate=5e-4,
        warmup_steps=50,
        weight_decay=0.0,
        label_smoothing=0.0,
        patience=100,
    ),
    calibration_batches=8,
    evaluate_every=500,
    checkpoint_every=500,
)
