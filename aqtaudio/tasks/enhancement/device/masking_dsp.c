#include "enhancement_dsp.h"
#include "enhancement_sound.h"

#define BANDS ENHANCEMENT_BANDS
#define LOW_BINS ENHANCEMENT_LOW_BINS
#define HIGH_BINS (BINS - LOW_BINS)
#define PARTS ENHANCEMENT_BAND_PARTS

#if BANDS > LOW_BINS
/* Of every bin above the low ones: a band, and the share that the band after it has. */
static const unsigned char kBandOf[HIGH_BINS] = ENHANCEMENT_BAND_OF;
static const float kNextShare[HIGH_BINS] = ENHANCEMENT_NEXT_SHARE;
#endif

void enhancement_init(EnhancementState *state) {
  memset(state, 0, sizeof(*state));
#if ENHANCEMENT_RUNNING_LEVEL
  state->level = ENHANCEMENT_LEVEL_LEAST;
#endif
}

#if ENHANCEMENT_RUNNING_LEVEL
/* Of the frame: root mean square of its samples, in steps. */
static int32_t level_of(const float *spectrum) {
  const float samples = (float)ENHANCEMENT_FFT_SAMPLES;
  float sum = -power_of(spectrum, BINS - 1), dbfs;
  int bin;
  for (bin = ENHANCEMENT_LEVEL_FROM_BIN; bin < BINS; ++bin) sum += 2.0f * power_of(spectrum, bin);
  dbfs = 10.0f * log10f(fmaxf(2.0f * sum / (samples * samples), ENHANCEMENT_SMALLEST));
  return (int32_t)rintf((float)ENHANCEMENT_LEVEL_STEPS * dbfs);
}

/* Follows the loudest frame of late. What brings it to the level that the network is shown. */
static float gain_of(EnhancementState *state) {
  const int32_t now = level_of(state->spectrum);
  state->level -= ENHANCEMENT_LEVEL_FALL;
  if (state->level < now) state->level = now;
  if (state->level < ENHANCEMENT_LEVEL_LEAST) state->level = ENHANCEMENT_LEVEL_LEAST;
  return powf(10.0f, (ENHANCEMENT_LEVEL_SHOWN_DBFS -
                      (float)state->level / (float)ENHANCEMENT_LEVEL_STEPS) / 20.0f);
}
#else
static float gain_of(EnhancementState *state) {
  (void)state;
  return 1.0f;
}
#endif

/* What a bin adds to its bands. */
static void parts_of(const float *spectrum, int bin, float gain, float *parts) {
#if ENHANCEMENT_LOG
  parts[0] = log10f(fmaxf(gain * sqrtf(power_of(spectrum, bin)), ENHANCEMENT_SMALLEST));
#elif ENHANCEMENT_COMPRESSED
  const float power = gain * gain * power_of(spectrum, bin) + ENHANCEMENT_SMALLEST;
  const float shrunk = gain * powf(power, ENHANCEMENT_SHRINKING);
  parts[0] = shrunk * spectrum[2 * bin];
  parts[1] = shrunk * spectrum[2 * bin + 1];
#else
  parts[0] = sqrtf(gain * gain * power_of(spectrum, bin) + ENHANCEMENT_SMALLEST);
  parts[1] = gain * spectrum[2 * bin];
  parts[2] = gain * spectrum[2 * bin + 1];
#endif
}

#if BANDS > LOW_BINS
static void see_high(const float *spectrum, float gain, float *features) {
  float parts[PARTS];
  int bin, part;
  memset(features + LOW_BINS * PARTS, 0, (BANDS - LOW_BINS) * PARTS * sizeof(*features));
  for (bin = 0; bin < HIGH_BINS; ++bin) {
    float *band = features + (LOW_BINS + kBandOf[bin]) * PARTS;
    const float share = kNextShare[bin];
    parts_of(spectrum, LOW_BINS + bin, gain, parts);
    for (part = 0; part < PARTS; ++part) {
      band[part] += (1.0f - share) * parts[part];
      if (share > 0.0f) band[PARTS + part] += share * parts[part];
    }
  }
}
#endif

static void see(const float *spectrum, float gain, float *features) {
  int bin;
  for (bin = 0; bin < LOW_BINS; ++bin) parts_of(spectrum, bin, gain, features + bin * PARTS);
#if BANDS > LOW_BINS
  see_high(spectrum, gain, features);
#endif
}

/* Halves go to the even code: rintf() in the mode that C starts in. */
static void quantise(const float *features, EnhancementInput *codes) {
  const float codes_per_unit = 1.0f / ENHANCEMENT_INPUT_SCALE;
  int i;
  for (i = 0; i < ENHANCEMENT_INPUT_VALUES; ++i) {
    const float code = rintf(features[i] * codes_per_unit) + (float)ENHANCEMENT_INPUT_ZERO_POINT;
    codes[i] = (EnhancementInput)fminf(fmaxf(code, ENHANCEMENT_INPUT_LOWEST),
                                       ENHANCEMENT_INPUT_HIGHEST);
  }
}

int enhancement_analyse(EnhancementState *state, const EnhancementFft *fft, const float *samples,
                        EnhancementInput *codes) {
  transform(state, fft, samples, state->spectrum);
  see(state->spectrum, gain_of(state), state->scratch.features);
  quantise(state->scratch.features, codes);
  return 1;
}

/* A value of a band's mask. */
static float mask_of(const EnhancementOutput *codes, int band, int part) {
  const int index = band * ENHANCEMENT_MASK_PARTS + part;
  return (float)(codes[index] - ENHANCEMENT_OUTPUT_ZERO_POINT) * ENHANCEMENT_OUTPUT_SCALE;
}

/* The same of a bin. */
static float spread(const EnhancementOutput *codes, int bin, int part) {
#if BANDS > LOW_BINS
  int band;
  float share, mask;
  if (bin < LOW_BINS) return mask_of(codes, bin, part);
  band = LOW_BINS + kBandOf[bin - LOW_BINS];
  share = kNextShare[bin - LOW_BINS];
  mask = (1.0f - share) * mask_of(codes, band, part);
  if (share > 0.0f) mask += share * mask_of(codes, band + 1, part);
  return mask;
#else
  return mask_of(codes, bin < LOW_BINS ? bin : LOW_BINS - 1, part);
#endif
}

/* From a mask of compressed magnitudes to one of magnitudes: what the former is multiplied by. */
static float expansion(float mask, float turned) {
#if ENHANCEMENT_EXPANDED
  return powf(mask * mask + turned * turned + ENHANCEMENT_TINY, ENHANCEMENT_EXPANDING);
#else
  (void)mask;
  (void)turned;
  return 1.0f;
#endif
}

static void apply_mask(const EnhancementOutput *codes, const float *noisy, float *enhanced) {
  int bin;
  for (bin = 0; bin < BINS; ++bin) {
    const float re = noisy[2 * bin], im = noisy[2 * bin + 1];
    float mask = spread(codes, bin, 0);
#if ENHANCEMENT_MASK_PARTS == 2
    float turned = spread(codes, bin, 1);
    const float more = expansion(mask, turned);
    turned *= more;
    mask *= more;
    enhanced[2 * bin] = mask * re - turned * im;
    enhanced[2 * bin + 1] = mask * im + turned * re;
#else
    mask *= expansion(mask, 0.0f);
    enhanced[2 * bin] = mask * re;
    enhanced[2 * bin + 1] = mask * im;
#endif
  }
}

void enhancement_apply(EnhancementState *state, const EnhancementFft *fft,
                       const EnhancementOutput *codes, float *samples) {
  float *enhanced = state->scratch.audio.spectrum;
  apply_mask(codes, state->spectrum, enhanced);
  as_wanted(state->spectrum, enhanced);
  synthesise(state, fft, 1.0f / (float)ENHANCEMENT_FFT_SAMPLES, samples);
}
