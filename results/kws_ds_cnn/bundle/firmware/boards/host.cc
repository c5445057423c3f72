// This machine.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "board.h"

void board_start() {}

void board_print(const char* text) { std::fputs(text, stdout); }

uint64_t board_count() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

const char* board_unit() { return "ns"; }

void board_exit(int status) { std::exit(status); }
