// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {
// Measured on a 64-bit host; 32-bit devices need somewhat less.
constexpr std::size_t kArenaBytes = 66512;
// Input: input [1, 40, 1]
constexpr int kInputValues = 40;
constexpr float kInputScale = 2.1547334e-02f;
constexpr int kInputZeroPoint = 0;
// Output: logits [8]
constexpr int kOutputValues = 8;
constexpr float kOutputScale = 3.2873984e-02f;
constexpr int kOutputZeroPoint = 0;
// Stream: one call takes the next 1 feature frames (20 ms of audio), every frame once.
constexpr int kBlockFrames = 1;
// The states; the interpreter needs a tflite::MicroResourceVariables of so many.
constexpr int kResourceVariables = 15;
}  // namespace aqtaudio
