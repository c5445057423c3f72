// The operators of the model, and no others, so that the linker drops the rest.
#pragma once

#ifndef TF_LITE_STATIC_MEMORY
#error "Compile with -DTF_LITE_STATIC_MEMORY, as the library is: else tensors have another layout."
#endif

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace aqtaudio {
using OpResolver = tflite::MicroMutableOpResolver<4>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {
  TF_LITE_ENSURE_STATUS(resolver.AddConv2D());
  TF_LITE_ENSURE_STATUS(resolver.AddDepthwiseConv2D());
  TF_LITE_ENSURE_STATUS(resolver.AddAveragePool2D());
  TF_LITE_ENSURE_STATUS(resolver.AddFullyConnected());
  return kTfLiteOk;
}
}  // namespace aqtaudio
