/* What a noise suppressor computes around its network, in float32. C99 and C++.

   Every hop: enhancement_analyse(), the network, enhancement_apply(). */
#ifndef ENHANCEMENT_DSP_H
#define ENHANCEMENT_DSP_H

#include <stdint.h>

#include "enhancement_constants.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef ENHANCEMENT_INPUT_TYPE EnhancementInput;
typedef ENHANCEMENT_OUTPUT_TYPE EnhancementOutput;

/* The caller's transforms between ENHANCEMENT_FFT_SAMPLES real samples and ENHANCEMENT_BINS complex
   bins (re, im, re, im, ...). Neither scales: one after the other gives the samples times
   ENHANCEMENT_FFT_SAMPLES. The imaginary parts of the first and last bin are 0. */
typedef struct {
  void (*forward)(void *context, const float *samples, float *spectrum);
  void (*inverse)(void *context, const float *spectrum, float *samples);
  void *context;
} EnhancementFft;

/* A stream: ENHANCEMENT_STATE_BYTES, no pointers. */
typedef struct {
  float before[ENHANCEMENT_HOP_SAMPLES];    /* the hop before */
  float tail[ENHANCEMENT_HOP_SAMPLES];      /* to be added to the next hop of output */
  float spectrum[2 * ENHANCEMENT_BINS];     /* of the frame that was analysed last */
#if ENHANCEMENT_RUNNING_LEVEL
  int32_t level;                            /* of the loudest frame of late, steps below full scale */
#endif
  union {                                   /* holds nothing from call to call */
    float features[ENHANCEMENT_INPUT_VALUES];
    struct {
      float spectrum[2 * ENHANCEMENT_BINS];
      float window[ENHANCEMENT_FFT_SAMPLES];
    } audio;
  } scratch;
} EnhancementState;

/* A stream begins. */
void enhancement_init(EnhancementState *state);

/* Takes the next hop of samples, -1 to 1. Returns 1 and the network's input codes
   [ENHANCEMENT_INPUT_VALUES]. */
int enhancement_analyse(EnhancementState *state, const EnhancementFft *fft, const float *samples,
                        EnhancementInput *codes);

/* Takes the network's output codes [ENHANCEMENT_OUTPUT_VALUES] for what was analysed last. Returns
   the hop of samples that lies ENHANCEMENT_DELAY_HOPS before it; the first one lies before the
   stream: drop it. */
void enhancement_apply(EnhancementState *state, const EnhancementFft *fft,
                       const EnhancementOutput *codes, float *samples);

#ifdef ENHANCEMENT_DFT
/* Transforms by the definition: slow, for tests. */
extern const EnhancementFft enhancement_dft;
#endif

#ifdef __cplusplus
}
#endif
#endif
