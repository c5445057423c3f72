// real value = (code - zero point) * scale
#pragma once

#include <cstddef>

namespace aqtaudio {
// Measured on a 64-bit host; 32-bit devices need somewhat less.
constexpr std::size_t kArenaBytes = 11488;
// Input: input [49, 1, 40]
constexpr int kInputValues = 1960;
constexpr float kInputScale = 2.1547334e-02f;
constexpr int kInputZeroPoint = 0;
// Output: logits [8]
constexpr int kOutputValues = 8;
constexpr float kOutputScale = 5.874471e-02f;
constexpr int kOutputZeroPoint = 0;
}  // namespace aqtaudio
