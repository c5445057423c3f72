/* From sound to a spectrum and back, for enhancement_dsp.c alone. */
#ifndef ENHANCEMENT_SOUND_H
#define ENHANCEMENT_SOUND_H

#include <math.h>
#include <string.h>

#include "enhancement_dsp.h"

#define HOP ENHANCEMENT_HOP_SAMPLES
#define BINS ENHANCEMENT_BINS

static const float kWindow[ENHANCEMENT_FFT_SAMPLES] = ENHANCEMENT_WINDOW;

static void transform(EnhancementState *state, const EnhancementFft *fft, const float *samples,
                      float *spectrum) {
  float *window = state->scratch.audio.window;
  int i;
  for (i = 0; i < HOP; ++i) {
    window[i] = state->before[i] * kWindow[i];
    window[HOP + i] = samples[i] * kWindow[HOP + i];
  }
  memcpy(state->before, samples, sizeof(state->before));
  fft->forward(fft->context, window, spectrum);
}

static float power_of(const float *spectrum, int bin) {
  const float re = spectrum[2 * bin], im = spectrum[2 * bin + 1];
  return re * re + im * im;
}

#if ENHANCEMENT_HAS_POST_FILTER
/* What is attenuated is attenuated further (Valin et al., arXiv:2008.04259). */
static void post_filter(const float *noisy, float *enhanced) {
  const float half_pi = 1.57079632679f, beta = ENHANCEMENT_POST_FILTER;
  int bin;
  for (bin = 0; bin < BINS; ++bin) {
    const float ratio = sqrtf(power_of(enhanced, bin)) /
                        (sqrtf(power_of(noisy, bin)) + ENHANCEMENT_TINY);
    const float gain = fminf(fmaxf(ratio, ENHANCEMENT_TINY), 1.0f);
    const float excess = 1.0f / fmaxf(sinf(half_pi * gain), ENHANCEMENT_TINY);
    const float factor = (1.0f + beta) / (1.0f + beta * (excess * excess));
    enhanced[2 * bin] *= factor;
    enhanced[2 * bin + 1] *= factor;
  }
}
#endif

/* What only listeners want. */
static void as_wanted(const float *noisy, float *enhanced) {
#if ENHANCEMENT_HAS_POST_FILTER
  post_filter(noisy, enhanced);
#endif
#if ENHANCEMENT_HAS_ATTENUATION_LIMIT
  {
    int i;
    for (i = 0; i < 2 * BINS; ++i) {
      enhanced[i] = ENHANCEMENT_KEPT * noisy[i] + (1.0f - ENHANCEMENT_KEPT) * enhanced[i];
    }
  }
#endif
  (void)noisy;
  (void)enhanced;
}

/* The spectrum in scratch, times a factor, as sound. */
static void synthesise(EnhancementState *state, const EnhancementFft *fft, float factor,
                       float *samples) {
  float *spectrum = state->scratch.audio.spectrum, *window = state->scratch.audio.window;
  int i;
  spectrum[1] = 0.0f;
  spectrum[2 * BINS - 1] = 0.0f;
  fft->inverse(fft->context, spectrum, window);
  for (i = 0; i < ENHANCEMENT_FFT_SAMPLES; ++i) window[i] *= factor;
  for (i = 0; i < HOP; ++i) {
    samples[i] = window[i] * kWindow[i] + state->tail[i];
    state->tail[i] = window[HOP + i] * kWindow[HOP + i];
  }
}

#ifdef ENHANCEMENT_DFT
#define LENGTH ENHANCEMENT_FFT_SAMPLES

static double cosines[LENGTH], sines[LENGTH]; /* of one turn */

static void fill_tables(void) {
  int i;
  if (cosines[0] != 0.0) return;
  for (i = 0; i < LENGTH; ++i) {
    cosines[i] = cos(6.283185307179586 * i / LENGTH);
    sines[i] = sin(6.283185307179586 * i / LENGTH);
  }
}

static void dft_forward(void *context, const float *samples, float *spectrum) {
  int bin, i;
  (void)context;
  fill_tables();
  for (bin = 0; bin < BINS; ++bin) {
    double re = 0.0, im = 0.0;
    for (i = 0; i < LENGTH; ++i) {
      re += samples[i] * cosines[bin * i % LENGTH];
      im -= samples[i] * sines[bin * i % LENGTH];
    }
    spectrum[2 * bin] = (float)re;
    spectrum[2 * bin + 1] = (float)im;
  }
}

static void dft_inverse(void *context, const float *spectrum, float *samples) {
  int bin, i;
  (void)context;
  fill_tables();
  for (i = 0; i < LENGTH; ++i) {
    double sum = spectrum[0] + (i % 2 ? -1.0 : 1.0) * spectrum[2 * BINS - 2];
    for (bin = 1; bin < BINS - 1; ++bin) {
      sum += 2.0 * spectrum[2 * bin] * cosines[bin * i % LENGTH];
      sum -= 2.0 * spectrum[2 * bin + 1] * sines[bin * i % LENGTH];
    }
    samples[i] = (float)sum;
  }
}

const EnhancementFft enhancement_dft = {dft_forward, dft_inverse, 0};
#endif

#endif
