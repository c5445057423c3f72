// The operators of the model, and no others, so that the linker drops the rest.
#pragma once

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace aqtaudio {
using OpResolver = tflite::MicroMutableOpResolver<9>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {
  TF_LITE_ENSURE_STATUS(resolver.AddCallOnce());
  TF_LITE_ENSURE_STATUS(resolver.AddFullyConnected());
  TF_LITE_ENSURE_STATUS(resolver.AddReshape());
  TF_LITE_ENSURE_STATUS(resolver.AddVarHandle());
  TF_LITE_ENSURE_STATUS(resolver.AddReadVariable());
  TF_LITE_ENSURE_STATUS(resolver.AddConcatenation());
  TF_LITE_ENSURE_STATUS(resolver.AddStridedSlice());
  TF_LITE_ENSURE_STATUS(resolver.AddAssignVariable());
  TF_LITE_ENSURE_STATUS(resolver.AddDepthwiseConv2D());
  return kTfLiteOk;
}
}  // namespace aqtaudio
