"""DeepFilterNet3 at 16 kHz from its published weights, W8A8 with int16 where int8 hurts.

    aqtaudio train configs/denoise_deep_filter_net.py --data DIR --out RUN --init_from WEIGHTS.npz

WEIGHTS.npz holds the published arrays by their names, batch norm folded into the weights. The bands
of the features are those of 48 kHz; the ones above 8 kHz are empty. The features do not depend on
the level of the input (`level_invariant`), and notice where the level drops abruptly (`fall_db`).

Steps and learning rates are those of fine-tuning. A run without WEIGHTS starts from scratch: it
needs many more steps, and batch norm (`model.norm`).
"""

from aqtaudio.data.mixing import Mixing
from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.deep_filter import DeepFilterFeatures
from aqtaudio.models.deep_filter_net import DeepFilterNet3
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.tasks.enhancement.task import Enhancement

# Int16 where int8 hurts: the edges of the program, gains and filters, the states of the GRUs.
WIDE = (
    Rule(r"input|results|gain_decoder/gain_share|snr_share", activation_bits=16, calibration="max"),
    Rule(r"filter_decoder/(filters|bounded|all)", activation_bits=16, calibration="max"),
    Rule(r".*/gru_\d/cell", activation_bits=16, calibration="max"),
)

EXPERIMENT = Experiment(
    model=DeepFilterNet3(norm=False, pathway=False),
    task=Enhancement(mixing=Mixing(level_dbfs=(-60.0, -15.0))),
    frontend=DeepFilterFeatures(sample_rate_hz=16_000, level_invariant=True, fall_db=15.0),
    recipe=Recipe(rules=(*WIDE, Rule())),
    optimizer=Optimizer(
        steps=300, batch_size=8, learning_rate=1.5e-4, warmup_steps=20, weight_decay=0.0
    ),
    finetune=Optimizer(
        steps=150, batch_size=8, learning_rate=1e-4, warmup_steps=10, weight_decay=0.0
    ),
    calibration_batches=4,
    evaluate_every=100,
    checkpoint_every=100,
    stream_block_frames=1,
    stream_context_clips=0,
)
