"""What ESPHome's micro_wake_word asks of a TFLite file.

Found in ESPHome's sources (components/micro_wake_word: streaming_model.cpp, micro_wake_word.cpp)
and in those of the kernels that it runs (esp-tflite-micro, kernels/esp_nn).
"""

from typing import Literal

Target = Literal["micro", "esphome"]
"""What a file may be checked for: TFLite Micro, or this component, too."""
REGISTERED = frozenset(
    """
    CALL_ONCE VAR_HANDLE RESHAPE READ_VARIABLE STRIDED_SLICE CONCATENATION ASSIGN_VARIABLE CONV_2D
    MUL ADD MEAN FULLY_CONNECTED LOGISTIC QUANTIZE DEPTHWISE_CONV_2D AVERAGE_POOL_2D MAX_POOL_2D PAD
    PACK SPLIT_V
    """.split()
)
"""Operators that it registers; any other one is an error when it loads the file."""
FEATURES = 40
MOST_FRAMES = 255
"""Of a call: it counts them in 8 bits."""
MOST_VARIABLES = 20
INPUT_GRID = (666 / 256 / 25.6, -128)
"""Scale and zero point of the codes that it makes of features, in units of 25.6 of their steps. The
device reads neither; runtimes on computers quantize by what the file says."""
INPUT_TOLERANCE = 0.01
"""Of the scale: published models say 26/255, which is 0.3 % more than what the device does."""
OUTPUT_GRID = (1 / 256, 0)
