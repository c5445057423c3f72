#include "mel_features.h"

#include <math.h>
#include <string.h>

#define HOP FEATURES_HOP_SAMPLES
#define WINDOW FEATURES_WINDOW_SAMPLES
#define HEARD FEATURES_HEARD_SAMPLES
#define BANDS FEATURES_BANDS

static const float kWindow[WINDOW] = FEATURES_WINDOW;
/* Of every band: its first bin, how many, and their weights, one band's after the other's. */
static const uint16_t kFirstBin[BANDS] = FEATURES_FIRST_BIN;
static const uint16_t kBinCount[BANDS] = FEATURES_BIN_COUNT;
static const float kWeights[FEATURES_WEIGHTS_COUNT] = FEATURES_WEIGHTS;
static const float kOffset[FEATURES_PER_FRAME] = FEATURES_OFFSET;
static const float kGain[FEATURES_PER_FRAME] = FEATURES_GAIN;
#if FEATURES_HAS_PROJECTION
static const float kProjection[BANDS][FEATURES_PER_FRAME] = FEATURES_PROJECTION;
#endif

void features_init(FeaturesState *state) {
  memset(state, 0, sizeof(*state));
  state->missing = HEARD;
#if FEATURES_RUNNING_LEVEL
  state->loudest = FEATURES_LEVEL_LEAST;
#endif
}

static void hear(FeaturesState *state, const int16_t *samples) {
  memmove(state->heard, state->heard + HOP, (HEARD - HOP) * sizeof(*samples));
  memcpy(state->heard + HEARD - HOP, samples, HOP * sizeof(*samples));
  if (state->missing > 0) state->missing -= HOP;
}

static float energy_of(const float *spectrum, int bin) {
  const float re = spectrum[2 * bin], im = spectrum[2 * bin + 1];
  const float power = re * re + im * im;
  return FEATURES_POWER ? power : sqrtf(power);
}

/* Logarithms of the bands of the oldest window that was heard. */
static void see(FeaturesState *state, const FeaturesFft *fft) {
  const float *weight = kWeights;
  int i, band;
  for (i = 0; i < WINDOW; ++i) {
    state->window[i] = (float)state->heard[i] / 32768.0f * kWindow[i];
  }
  for (; i < FEATURES_FFT_SAMPLES; ++i) state->window[i] = 0.0f;
  fft->forward(fft->context, state->window, state->spectrum);
  for (band = 0; band < BANDS; ++band) {
    float sum = 0.0f;
    for (i = 0; i < kBinCount[band]; ++i) {
      sum += energy_of(state->spectrum, kFirstBin[band] + i) * *weight++;
    }
    state->bands[band] = logf(FEATURES_FLOOR_ADDS ? sum + FEATURES_FLOOR
                                                  : fmaxf(sum, FEATURES_FLOOR));
  }
}

#if FEATURES_RUNNING_LEVEL
/* Logarithms become steps below the loudest band of late. Halves go to the even step, and so do
   codes: rintf() in the mode that C starts in. */
static void go_below_loudest(FeaturesState *state) {
  const float steps_per_unit = (float)FEATURES_LEVEL_STEPS;
  int band;
  state->loudest -= FEATURES_LEVEL_FALL;
  if (state->loudest < FEATURES_LEVEL_LEAST) state->loudest = FEATURES_LEVEL_LEAST;
  for (band = 0; band < BANDS; ++band) {
    state->bands[band] = rintf(steps_per_unit * state->bands[band]);
    if ((int32_t)state->bands[band] > state->loudest) state->loudest = (int32_t)state->bands[band];
  }
  for (band = 0; band < BANDS; ++band) state->bands[band] -= (float)state->loudest;
}
#endif

/* A feature of the frame before its mean is subtracted. */
static float feature_of(const FeaturesState *state, int feature) {
#if FEATURES_HAS_PROJECTION
  float sum = 0.0f;
  int band;
  for (band = 0; band < BANDS; ++band) {
    sum += state->bands[band] / FEATURES_UNIT * kProjection[band][feature];
  }
  return sum;
#else
  return state->bands[feature];
#endif
}

int features_push(FeaturesState *state, const FeaturesFft *fft, const int16_t *samples,
                  FeaturesCode *codes) {
  const float codes_per_unit = 1.0f / FEATURES_CODE_SCALE;
  int i;
  hear(state, samples);
  if (state->missing > 0) return 0;
  see(state, fft);
#if FEATURES_RUNNING_LEVEL
  go_below_loudest(state);
#endif
  for (i = 0; i < FEATURES_PER_FRAME; ++i) {
    const float feature = (feature_of(state, i) - kOffset[i]) * kGain[i];
    const float code = rintf(feature * codes_per_unit) + (float)FEATURES_CODE_ZERO_POINT;
    codes[i] = (FeaturesCode)fminf(fmaxf(code, FEATURES_CODE_LOWEST), FEATURES_CODE_HIGHEST);
  }
  return 1;
}

#ifdef FEATURES_DFT
static void dft_forward(void *context, const float *samples, float *spectrum) {
  static double cosines[FEATURES_FFT_SAMPLES], sines[FEATURES_FFT_SAMPLES]; /* of one turn */
  int bin, i;
  (void)context;
  for (i = 0; cosines[0] == 0.0 && i < FEATURES_FFT_SAMPLES; ++i) {
    const double turn = 6.283185307179586 * ((i + 1) % FEATURES_FFT_SAMPLES) / FEATURES_FFT_SAMPLES;
    cosines[(i + 1) % FEATURES_FFT_SAMPLES] = cos(turn);
    sines[(i + 1) % FEATURES_FFT_SAMPLES] = sin(turn);
  }
  for (bin = 0; bin <= FEATURES_FFT_SAMPLES / 2; ++bin) {
    double re = 0.0, im = 0.0;
    for (i = 0; i < FEATURES_FFT_SAMPLES; ++i) {
      re += samples[i] * cosines[bin * i % FEATURES_FFT_SAMPLES];
      im -= samples[i] * sines[bin * i % FEATURES_FFT_SAMPLES];
    }
    spectrum[2 * bin] = (float)re;
    spectrum[2 * bin + 1] = (float)im;
  }
}

const FeaturesFft features_dft = {dft_forward, 0};
#endif
