"""Wake words on the speech embedding: a head that hears 16 vectors (1.3 s), all in integers.

aqtaudio data synth --texts WORDS.txt --voices kokoro --takes 200 --out VOICES
aqtaudio train configs/wake_words_on_embedding.py --data VOICES --data DIR --out RUN
aqtaudio join RUN --out ARTIFACT
"""

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.embedded import Embedded
from aqtaudio.models.embedding_head import EmbeddingHead
from aqtaudio.tasks.keywords.spotting import Spotting

ENCODER = "results/embeddings/artifacts/2efcef84274d"
EXPERIMENT = Experiment(
    model=EmbeddingHead(width=16, hidden=24),
    task=Spotting(("alexa", "computer", "jarvis")),
    frontend=Embedded(run=ENCODER),
    stream_block_frames=1,
    stream_context_clips=0,
    optimizer=Optimizer(
        steps=3000,
        batch_size=512,
        learning_rate=3e-3,
        warmup_steps=100,
        weight_decay=1e-3,
        label_smoothing=0.0,
    ),
    finetune=Optimizer(
        steps=600,
        batch_size=512,
        learning_rate=5e-4,
        warmup_steps=50,
        weight_decay=0.0,
        label_smoothing=0.0,
    ),
    calibration_batches=8,
    evaluate_every=300,
    checkpoint_every=300,
)
