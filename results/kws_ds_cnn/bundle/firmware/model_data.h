// The model as a TFLite file in memory.
#pragma once

#include <cstddef>

namespace aqtaudio {
constexpr std::size_t kModelBytes = 10208;
extern const unsigned char kModel[kModelBytes];
}  // namespace aqtaudio
