"""Wake words that nobody recorded: which encoder, how far do seeds differ?

    aqtaudio data synth --say alexa computer jarvis --voices kokoro --takes 200 --out VOICES
    aqtaudio data synth --texts OTHERS.txt --voices kokoro --takes 3 --out OTHERS
    aqtaudio sweep sweeps/wake_words_on_embedding.py --data VOICES --data OTHERS --data DIR

A head on 16 vectors of the speech embedding in W8A8 and in W4A8, three seeds each. A run's costs,
parity and artifact are those of encoder and head together.
"""

from pathlib import Path

from aqtaudio.experiment import load_config
from aqtaudio.study.space import Study, param, product, zipped

EXPERIMENT = load_config(Path(__file__).parents[1] / "configs/wake_words_on_embedding.py")
ENCODERS = "results/embeddings/artifacts"
ON = zipped(
    param("name", "on w8a8", "on w4a8"),
    param("frontend.run", f"{ENCODERS}/2efcef84274d", f"{ENCODERS}/406a97b76b2c"),
)
STUDY = Study("wake_words_on_embedding", EXPERIMENT, product(ON, param("seed", 0, 1, 2)))
