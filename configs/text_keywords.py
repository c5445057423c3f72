"""An encoder of phones on the frozen speech embedding, and the network that makes filters of text.

aqtaudio train configs/text_keywords.py --data DIR --out RUN
aqtaudio enroll RUN --keyword "hello computer" --negatives DIR --out ARTIFACT
"""

from pathlib import Path

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.models.phone_encoder import PhoneEncoder
from aqtaudio.tasks.text_keywords.task import TextKeywords

ENCODER = Path(__file__).parents[1] / "results/text_keywords/encoder"
EXPERIMENT = Experiment(
    model=PhoneEncoder(),
    task=TextKeywords(held_out=("alexa", "computer", "jarvis")),
    frontend=Embedded(run=str(ENCODER)),
    stream_block_frames=1,
    stream_context_clips=0,
    optimizer=Optimizer(
        steps=4000, batch_size=16, learning_rate=3e-3, warmup_steps=100, weight_decay=1e-2
    ),
    finetune=Optimizer(
        steps=400, batch_size=16, learning_rate=3e-4, warmup_steps=30, weight_decay=0.0
    ),
    calibration_batches=8,
    evaluate_every=200,
    checkpoint_every=200,
)
