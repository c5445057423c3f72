"""What the main job trains: one keyword spotter in four precisions."""

from aqtaudio.data.augmentation import Augmentation
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.models.ds_cnn import DSCNN
from aqtaudio.recipe import FLOAT, W4A8, W8A8, low_rank
from aqtaudio.study.space import Study, finetuned
from aqtaudio.sweep.quickstart_corpus import CORPUS
from aqtaudio.tasks.keywords.task import Keywords

EXPERIMENT = Experiment(
    model=DSCNN(width=48, kernel=(10, 8), block_strides=(2, 2)),
    task=Keywords(CORPUS.words, unknown_per_keyword=6.0),
    # The corpus has its own speeds and places of words.
    augmentation=Augmentation(
        time_shift_ms=0.0, speed_change=0.0, spec_time_max_frames=5, spec_frequency_max_bands=2
    ),
    optimizer=Optimizer(steps=400, learning_rate=6e-3, warmup_steps=40),
    finetune=Optimizer(steps=60, learning_rate=1e-3, warmup_steps=10),
    calibration_batches=8,
)
PARENT = {"name": "ds-cnn", "recipe": FLOAT}
LOW_RANK = {
    "recipe": low_rank("pointwise_.*", 0.05, 0.7),
    "optimizer.steps": 100,
    "optimizer.batch_size": 64,
    "optimizer.learning_rate": 2e-3,
    "finetune.steps": 80,
    "finetune.batch_size": 64,
}
CHILDREN = [
    {"name": "w8a8", "recipe": W8A8, "optimizer.steps": 0},
    {"name": "w4a8", "recipe": W4A8, "optimizer.steps": 0},
    {"name": "low rank", **LOW_RANK},
]
STUDY = Study("quickstart", EXPERIMENT, [PARENT, *finetuned([PARENT], CHILDREN)])
