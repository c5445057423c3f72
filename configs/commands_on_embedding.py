"""Six commands on the speech embedding: a head that hears 20 vectors (1.6 s), all in integers.

Twelve words are kept out of training whole, so that validation tells what becomes of words that
nobody thought of. More other words, of synthetic voices say, come as another folder. Levels are
drawn over 40 dB.

    aqtaudio data synth --texts OTHERS.txt --voices kokoro --takes 3 --out VOICES
    aqtaudio train configs/commands_on_embedding.py --data DIR --data VOICES --out RUN
    aqtaudio join RUN --out ARTIFACT
"""

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.models.embedding_head import EmbeddingHead
from aqtaudio.tasks.keywords.task import Keywords

ENCODER = "results/embeddings/artifacts/406a97b76b2c"
NAMED = ("no", "go", "left", "right")
DRAWN = ("sheila", "tree", "marvin", "zero", "dog", "one", "six", "four")
"""The first eight, in the order of their hash, of the 17 other words with few recordings."""

EXPERIMENT = Experiment(
    model=EmbeddingHead(width=24, hidden=32),
    task=Keywords(
        ("yes", "up", "down", "on", "off", "stop"),
        clip_ms=1615,
        unknown_per_keyword=2.5,
        unheard=(*NAMED, *DRAWN),
        kept_epochs=8,
    ),
    frontend=Embedded(run=ENCODER),
    augmentation=Augmentation(
        noise_max_volume=0.2, quieter_db=40.0, spec_time_masks=0, spec_frequency_masks=0
    ),
    stream_block_frames=1,
    stream_context_clips=0,
    optimizer=Optimizer(
        steps=2000,
        batch_size=256,
        learning_rate=3e-3,
        warmup_steps=100,
        weight_decay=1e-3,
        label_smoothing=0.05,
        patience=100,
    ),
    finetune=Optimizer(
        steps=400,
        batch_size=256,
        learning_rate=5e-4,
        warmup_steps=50,
        weight_decay=0.0,
        label_smoothing=0.05,
        patience=100,
    ),
    calibration_batches=8,
    evaluate_every=200,
    checkpoint_every=500,
)
