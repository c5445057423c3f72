// Self-test: the golden inputs through the model on this device, every output code compared.
// Ends with 0 where all are equal, 1 where some differ, 2 where the model does not load or run.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "board.h"
#include "model_data.h"
#include "model_golden.h"
#include "model_operators.h"
#include "model_settings.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

using namespace aqtaudio;

// An arena that is larger than the model's, to look for the least one that would do.
#ifdef AQTAUDIO_ARENA_LIMIT_BYTES
constexpr std::size_t kArenaLimitBytes = AQTAUDIO_ARENA_LIMIT_BYTES;
#else
constexpr std::size_t kArenaLimitBytes = kArenaBytes;
#endif
static_assert(kArenaLimitBytes >= kArenaBytes, "AQTAUDIO_ARENA_LIMIT_BYTES below kArenaBytes");
constexpr std::size_t kArenaStepBytes = 16;

alignas(16) std::uint8_t arena[kArenaLimitBytes];

// The model in an arena of so many bytes; loaded() is false where they do not suffice.
class Loaded {
 public:
  Loaded(const OpResolver& resolver, std::size_t arena_bytes)
      : allocator_(tflite::MicroAllocator::Create(arena, arena_bytes)),
        interpreter_(tflite::GetModel(kModel), resolver, allocator_, Variables(allocator_)),
        loaded_(interpreter_.AllocateTensors() == kTfLiteOk) {}

  bool loaded() const { return loaded_; }
  tflite::MicroInterpreter& interpreter() { return interpreter_; }

 private:
  // What a stream remembers from block to block.
  static tflite::MicroResourceVariables* Variables(tflite::MicroAllocator* allocator) {
    if (kResourceVariables == 0) return nullptr;
    return tflite::MicroResourceVariables::Create(allocator, kResourceVariables);
  }

  tflite::MicroAllocator* allocator_;
  tflite::MicroInterpreter interpreter_;
  bool loaded_;
};

using Output = std::remove_cv_t<std::remove_reference_t<decltype(kGoldenOutputs[0][0])>>;

struct Result {
  bool ran = true;
  long mismatches = 0;
  std::uint64_t count = 0;  // of Invoke() alone
};

void Call(tflite::MicroInterpreter& interpreter, int number, Result& result) {
  std::memcpy(interpreter.input(0)->data.data, kGoldenInputs[number],
              sizeof(kGoldenInputs[number]));
  const std::uint64_t before = board_count();
  result.ran = result.ran && interpreter.Invoke() == kTfLiteOk;
  result.count += board_count() - before;
  const auto* codes = static_cast<const Output*>(interpreter.output(0)->data.data);
  for (int i = 0; i < kOutputValues; ++i) {
    result.mismatches += codes[i] != kGoldenOutputs[number][i];
  }
}

// All golden calls, kRounds times: that the second round of a stream is right proves that Reset()
// forgets the first.
constexpr int kRounds = kResourceVariables == 0 ? 1 : 2;

Result Compare(tflite::MicroInterpreter& interpreter) {
  Result result;
  for (int round = 0; round < kRounds; ++round) {
    if (round > 0) result.ran = result.ran && interpreter.Reset() == kTfLiteOk;
    for (int number = 0; number < kGoldenCalls; ++number) Call(interpreter, number, result);
  }
  return result;
}

// The least arena that loads, from three quarters of what is in use up to `most`, which loads.
std::size_t LeastArena(const OpResolver& resolver, std::size_t used, std::size_t most) {
  std::size_t least = (used - used / 4) / kArenaStepBytes, loads = most / kArenaStepBytes;
  while (least < loads) {
    const std::size_t middle = (least + loads) / 2;
    if (Loaded(resolver, middle * kArenaStepBytes).loaded()) {
      loads = middle;
    } else {
      least = middle + 1;
    }
  }
  return loads * kArenaStepBytes;
}

void Print(const char* name, unsigned long long value, const char* unit) {
  char line[96];
  std::snprintf(line, sizeof(line), "%s: %lu %s\n", name, static_cast<unsigned long>(value), unit);
  board_print(line);
}

void TellLeastArena(const OpResolver& resolver) {
  std::size_t used = 0;
  {
    Loaded model(resolver, kArenaLimitBytes);
    if (!model.loaded()) return;
    used = model.interpreter().arena_used_bytes();
  }
  Print("arena_least_bytes", LeastArena(resolver, used, kArenaLimitBytes), "");
}

int SelfTest() {
  OpResolver resolver;
  if (RegisterOps(resolver) != kTfLiteOk) {
    board_print("the operators do not fit the resolver\n");
    return 2;
  }
  Print("arena_bytes", kArenaBytes, "");
  if (kArenaLimitBytes > kArenaBytes) TellLeastArena(resolver);
  Loaded model(resolver, kArenaBytes);
  if (!model.loaded()) {
    board_print("failed: the model does not load in this arena\n");
    return 2;
  }
  Print("arena_used_bytes", model.interpreter().arena_used_bytes(), "");
  const Result result = Compare(model.interpreter());
  if (!result.ran) {
    board_print("failed: a kernel refused to run\n");
    return 2;
  }
  Print("per_call", result.count / (kRounds * kGoldenCalls), board_unit());
  Print("outputs", 1ull * kRounds * kGoldenCalls * kOutputValues, "");
  Print("mismatches", result.mismatches, "");
  board_print(result.mismatches == 0 ? "passed\n" : "failed: codes differ\n");
  return result.mismatches == 0 ? 0 : 1;
}

}  // namespace

int main() {
  board_start();
  const int status = SelfTest();
  board_exit(status);
  return status;
}
