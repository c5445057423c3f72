// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {
// Enough with TensorFlow Lite Micro's reference kernels and with CMSIS-NN; README.md, "Memory".
constexpr std::size_t kArenaBytes =
    sizeof(void*) == 8 ? 20048 : 17648;
// Input: input [49, 10, 1]
constexpr int kInputValues = 490;
constexpr float kInputScale = 4.614322e-02f;
constexpr int kInputZeroPoint = 0;
// Output: logits [8]
constexpr int kOutputValues = 8;
constexpr float kOutputScale = 5.93765e-02f;
constexpr int kOutputZeroPoint = 0;
// Streams: what a model remembers is in so many tflite::MicroResourceVariables.
constexpr int kResourceVariables = 0;
}  // namespace aqtaudio
