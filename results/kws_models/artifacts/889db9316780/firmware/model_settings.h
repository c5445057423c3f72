// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {
// Measured on a 64-bit host; 32-bit devices need somewhat less.
constexpr std::size_t kArenaBytes = 34192;
// Input: input [1, 20]
constexpr int kInputValues = 20;
constexpr float kInputScale = 4.614322e-02f;
constexpr int kInputZeroPoint = 0;
// Output: logits [8]
constexpr int kOutputValues = 8;
constexpr float kOutputScale = 5.80505e-02f;
constexpr int kOutputZeroPoint = 0;
// Stream: one call takes the next 1 feature frames (20 ms of audio), every frame once.
constexpr int kBlockFrames = 1;
// The states; the interpreter needs a tflite::MicroResourceVariables of so many.
constexpr int kResourceVariables = 1;
}  // namespace aqtaudio
