// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {
// Measured on a 64-bit host; 32-bit devices need somewhat less.
constexpr std::size_t kArenaBytes = 14752;
// Input: input [49, 10, 1]
constexpr int kInputValues = 490;
constexpr float kInputScale = 4.614322e-02f;
constexpr int kInputZeroPoint = 0;
// Output: logits [8]
constexpr int kOutputValues = 8;
constexpr float kOutputScale = 5.93765e-02f;
constexpr int kOutputZeroPoint = 0;
}  // namespace aqtaudio
