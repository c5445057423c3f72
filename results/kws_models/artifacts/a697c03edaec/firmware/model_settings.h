// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {
// Measured on a 64-bit host; 32-bit devices need somewhat less.
constexpr std::size_t kArenaBytes = 51984;
// Input: input [4, 40, 1]
constexpr int kInputValues = 160;
constexpr float kInputScale = 2.1448229e-02f;
constexpr int kInputZeroPoint = 0;
// Output: logits [8]
constexpr int kOutputValues = 8;
constexpr float kOutputScale = 5.6733023e-02f;
constexpr int kOutputZeroPoint = 0;
// Stream: one call takes the next 4 feature frames (80 ms of audio), every frame once.
constexpr int kBlockFrames = 4;
// The states; the interpreter needs a tflite::MicroResourceVariables of so many.
constexpr int kResourceVariables = 11;
}  // namespace aqtaudio
