/* From sound to the network's input codes, in float32. C99 and C++. */
#ifndef MEL_FEATURES_H
#define MEL_FEATURES_H

#include <stdint.h>

#include "mel_features_constants.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef FEATURES_CODE_TYPE FeaturesCode;

/* The caller's transform of FEATURES_FFT_SAMPLES real samples to FEATURES_FFT_SAMPLES / 2 + 1
   complex bins (re, im, re, im, ...). It does not scale. */
typedef struct {
  void (*forward)(void *context, const float *samples, float *spectrum);
  void *context;
} FeaturesFft;

/* A stream: FEATURES_STATE_BYTES, no pointers. */
typedef struct {
  int32_t missing;                            /* samples, until the first window is full */
#if FEATURES_RUNNING_LEVEL
  int32_t loudest;                            /* band of late, a logarithm in steps */
#endif
  float window[FEATURES_FFT_SAMPLES];         /* this and what follows: nothing from call to call */
  float spectrum[FEATURES_FFT_SAMPLES + 2];
  float bands[FEATURES_BANDS];
  int16_t heard[FEATURES_HEARD_SAMPLES];      /* but this: the newest samples */
} FeaturesState;

/* A stream begins. */
void features_init(FeaturesState *state);

/* Takes the next FEATURES_HOP_SAMPLES samples. Returns 1 and the codes of a frame
   [FEATURES_PER_FRAME]; 0, and no codes, as long as no window was full. */
int features_push(FeaturesState *state, const FeaturesFft *fft, const int16_t *samples,
                  FeaturesCode *codes);

#ifdef FEATURES_DFT
/* The transform by its definition: slow, for tests. */
extern const FeaturesFft features_dft;
#endif

#ifdef __cplusplus
}
#endif
#endif
