// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {
// Measured on a 64-bit host; 32-bit devices need somewhat less.
constexpr std::size_t kArenaBytes = 38752;
// Input: input [8, 1, 40]
constexpr int kInputValues = 320;
constexpr float kInputScale = 2.1547334e-02f;
constexpr int kInputZeroPoint = 0;
// Output: logits [8]
constexpr int kOutputValues = 8;
constexpr float kOutputScale = 5.2432e-02f;
constexpr int kOutputZeroPoint = 0;
// Stream: one call takes the next 8 feature frames (160 ms of audio), every frame once.
constexpr int kBlockFrames = 8;
// The states; the interpreter needs a tflite::MicroResourceVariables of so many.
constexpr int kResourceVariables = 8;
}  // namespace aqtaudio
