// Start-up for QEMU's mps3-an547 (Cortex-M55) and mps2-an386 (Cortex-M4). Text and the end go
// through semihosting; under -icount shift=0 an instruction takes one nanosecond, which SysTick
// counts.
#include <stddef.h>
#include <stdint.h>

#include "board.h"

#if defined(__ARM_FEATURE_MVE)  // mps3-an547: 32 MHz
#define NS_PER_TICK_TIMES_4 125
#else  // mps2-an386: 25 MHz
#define NS_PER_TICK_TIMES_4 160
#endif

#define REGISTER(address) (*(volatile uint32_t*)(address))
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define ICSR REGISTER(0xE000ED04)
#define CPACR REGISTER(0xE000ED88)
#define SYSTICK_PENDING (1u << 26)
#define RELOAD 0xFFFFFFu

// From the linker script.
extern uint32_t stack_top[], data_start[], data_end[], data_source[], bss_start[], bss_end[];
extern void (*init_start[])(void);
extern void (*init_end[])(void);

int main(void);
void start(void);

static volatile uint32_t rounds;

static long semihosting(long operation, const void* argument) {
  register long r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void board_print(const char* text) { semihosting(0x04, text); }  // SYS_WRITE0

void board_exit(int status) {
  // SYS_EXIT_EXTENDED with ADP_Stopped_ApplicationExit
  const uint32_t block[] = {0x20026, (uint32_t)status};
  semihosting(0x20, block);
  for (;;) {
  }
}

void board_start(void) {
  SYST_RVR = RELOAD;
  SYST_CVR = 0;
  SYST_CSR = 7;  // the processor's clock, with the interrupt
}

uint64_t board_count(void) {
  uint32_t before, ticks;
  do {
    before = rounds;
    ticks = RELOAD - SYST_CVR;
  } while (before != rounds || (ICSR & SYSTICK_PENDING));
  const uint64_t all = (uint64_t)before * (RELOAD + 1u) + ticks;
  return all * NS_PER_TICK_TIMES_4 / 4;
}

const char* board_unit(void) { return "instructions"; }

static void count_round(void) { ++rounds; }

static void fault(void) {
  board_print("fault: the processor stopped\n");
  board_exit(3);
}

void start(void) {
  CPACR |= 0xFu << 20;  // floating point and vectors
  __asm__ volatile("dsb\n isb" ::: "memory");
  for (volatile uint32_t *to = data_start, *from = data_source; to < data_end;) *to++ = *from++;
  for (volatile uint32_t* to = bss_start; to < bss_end;) *to++ = 0;
  for (void (**init)(void) = init_start; init < init_end; ++init) (*init)();
  board_exit(main());
}

__attribute__((section(".vectors"), used)) static const void* const vectors[16] = {
    stack_top, start, fault, fault, fault, fault, fault, fault,
    0,         0,     0,     fault, fault, 0,     fault, count_round,
};
