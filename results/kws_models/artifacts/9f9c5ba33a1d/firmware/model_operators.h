// The operators of the model, and no others, so that the linker drops the rest.
#pragma once

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace aqtaudio {
using OpResolver = tflite::MicroMutableOpResolver<12>;

inline TfLiteStatus RegisterOps(OpResolver& resolver) {
  TF_LITE_ENSURE_STATUS(resolver.AddConv2D());
  TF_LITE_ENSURE_STATUS(resolver.AddReshape());
  TF_LITE_ENSURE_STATUS(resolver.AddFullyConnected());
  TF_LITE_ENSURE_STATUS(resolver.AddStridedSlice());
  TF_LITE_ENSURE_STATUS(resolver.AddAdd());
  TF_LITE_ENSURE_STATUS(resolver.AddLogistic());
  TF_LITE_ENSURE_STATUS(resolver.AddMul());
  TF_LITE_ENSURE_STATUS(resolver.AddTanh());
  TF_LITE_ENSURE_STATUS(resolver.AddSub());
  TF_LITE_ENSURE_STATUS(resolver.AddConcatenation());
  TF_LITE_ENSURE_STATUS(resolver.AddBatchMatMul());
  TF_LITE_ENSURE_STATUS(resolver.AddSoftmax());
  return kTfLiteOk;
}
}  // namespace aqtaudio
