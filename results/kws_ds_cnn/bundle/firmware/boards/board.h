// What the self-test needs of a board. For one of yours: these functions in a folder, and
// -DBOARD=FOLDER.
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
// Ends; 0 is fine.
void board_exit(int status);

#ifdef __cplusplus
}
#endif
