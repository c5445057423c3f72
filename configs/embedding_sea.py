"""The published student of 64 values at 8 kHz in integers, its own float network as teacher; W8A8.

Its weights are a file of the user's, named twice: what training starts from, and what teaches.

    aqtaudio train configs/embedding_sea.py --data DIR --out RUN \
        --init_from sea64.h5.gz --task.teacher.weights sea64.h5.gz

After training alone (no finetuning): --finetune.steps 0. In 4-bit weights:
--recipe.rules.1.weight_bits 4. The first convolution has a rule of its own and stays in 8 bits: its
288 weights in 4 bits would cost most of the embedding.
"""

from aqtaudio.experiment import Experiment, Optimizer
from aqtaudio.frontends.decibels import WindowDecibels
from aqtaudio.models.l3_net import STUDENT_WIDTHS, L3Net
from aqtaudio.recipe import Recipe, Rule
from aqtaudio.tasks.embedding.label_probes import LabelProbe
from aqtaudio.tasks.embedding.task import Embedding
from aqtaudio.tasks.embedding.teachers import Published

STUDENT = L3Net(STUDENT_WIDTHS[3])
FRONTEND = WindowDecibels()  # its mean and scale are the batch norm of the student's input

EXPERIMENT = Experiment(
    model=STUDENT,
    task=Embedding(
        teacher=Published("sea64.h5.gz", STUDENT, FRONTEND),
        clip_ms=1000,
        teacher_hears="clean",
        foreground="any",
        mixing=None,
        skipped=0,
        probes=(
            LabelProbe("sounds", ("noise:*",), clip_ms=5000),
            LabelProbe("second", ("noise:*",), clip_ms=1000, few_shot_draws=0),
        ),
    ),
    frontend=FRONTEND,
    recipe=Recipe(rules=(Rule("conv_1_1"), Rule())),
    optimizer=Optimizer(steps=0),
    finetune=Optimizer(steps=400, batch_size=32, learning_rate=1e-4, warmup_steps=20),
)
