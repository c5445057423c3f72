// What the self-test needs of a board. For one of yours: these functions in a folder, with its
// start-up code, and -DBOARD=FOLDER; README.md, "A board of yours".
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Starts the counter.
void board_start(void);
// Writes text.
void board_print(const char* text);
// What has gone by since board_start(), in units of board_unit().
uint64_t board_count(void);
// "ns", "cycles", "instructions".
const char* board_unit(void);
// Ends, with the status of main.cc. The emulated boards end with 3 at a fault of the processor.
void board_exit(int status);

#ifdef __cplusplus
}
#endif
