// Runs a TFLite file of one input and one output with the kernels that it is linked with: input
// codes from standard input, output codes to standard output, call after call.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

constexpr int kMostVariables = 256;

using Resolver = tflite::MicroMutableOpResolver<31>;

void Register(Resolver& resolver) {
  resolver.AddAdd();
  resolver.AddAssignVariable();
  resolver.AddAveragePool2D();
  resolver.AddBatchMatMul();
  resolver.AddCallOnce();
  resolver.AddConcatenation();
  resolver.AddConv2D();
  resolver.AddDepthwiseConv2D();
  resolver.AddElu();
  resolver.AddFullyConnected();
  resolver.AddHardSwish();
  resolver.AddL2Normalization();
  resolver.AddLeakyRelu();
  resolver.AddLogistic();
  resolver.AddMaxPool2D();
  resolver.AddMean();
  resolver.AddMul();
  resolver.AddPad();
  resolver.AddPrelu();
  resolver.AddQuantize();
  resolver.AddReadVariable();
  resolver.AddRelu();
  resolver.AddReshape();
  resolver.AddRsqrt();
  resolver.AddSoftmax();
  resolver.AddStridedSlice();
  resolver.AddSub();
  resolver.AddSum();
  resolver.AddTanh();
  resolver.AddTranspose();
  resolver.AddVarHandle();
}

std::vector<std::uint8_t> Contents(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return {};
  std::vector<std::uint8_t> content;
  std::uint8_t part[4096];
  while (std::size_t count = std::fread(part, 1, sizeof(part), file)) {
    content.insert(content.end(), part, part + count);
  }
  std::fclose(file);
  return content;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return 2;
  static std::vector<std::uint8_t> model = Contents(arguments[1]);
  static std::vector<std::uint8_t> memory(64 << 20);
  static Resolver resolver;
  Register(resolver);
  auto* allocator = tflite::MicroAllocator::Create(memory.data(), memory.size());
  tflite::MicroInterpreter interpreter(
      tflite::GetModel(model.data()), resolver, allocator,
      tflite::MicroResourceVariables::Create(allocator, kMostVariables));
  if (interpreter.AllocateTensors() != kTfLiteOk) return 3;
  TfLiteTensor* input = interpreter.input(0);
  while (std::fread(input->data.raw, 1, input->bytes, stdin) == input->bytes) {
    if (interpreter.Invoke() != kTfLiteOk) return 4;
    TfLiteTensor* output = interpreter.output(0);
    std::fwrite(output->data.raw, 1, output->bytes, stdout);
  }
  return 0;
}
