#include "enhancement_dsp.h"
#include "enhancement_sound.h"

#define BANDS ENHANCEMENT_BANDS
#define LOW_BINS ENHANCEMENT_FILTERED_BINS
/* Running means die out in minutes of digital silence; 0 times infinity is no feature. */
#define LEAST_DIVISOR 1e-37f

static const int kBandEdges[BANDS + 1] = ENHANCEMENT_BAND_EDGES;
static const float kLevelStarts[BANDS] = ENHANCEMENT_LEVEL_STARTS;
static const float kMagnitudeStarts[LOW_BINS] = ENHANCEMENT_MAGNITUDE_STARTS;

/* The spectrum of so many frames ago. */
static float *spectrum_at(EnhancementState *state, int frames_ago) {
  const int place = (state->newest + ENHANCEMENT_SPECTRA - frames_ago) % ENHANCEMENT_SPECTRA;
  return state->spectra[place];
}

void enhancement_init(EnhancementState *state) {
  memset(state, 0, sizeof(*state));
  memcpy(state->levels, kLevelStarts, sizeof(kLevelStarts));
  memcpy(state->magnitudes, kMagnitudeStarts, sizeof(kMagnitudeStarts));
#if ENHANCEMENT_LEVEL_INVARIANT
  memcpy(state->minima, kLevelStarts, sizeof(kLevelStarts));
  state->overall = ENHANCEMENT_OVERALL_START;
  state->above = ENHANCEMENT_USUAL_ABOVE_DB;
#endif
}

static void hear(EnhancementState *state, const EnhancementFft *fft, const float *samples) {
  float *spectrum;
  int i;
  state->newest = (state->newest + 1) % ENHANCEMENT_SPECTRA;
  spectrum = spectrum_at(state, 0);
  transform(state, fft, samples, spectrum);
  for (i = 0; i < 2 * BINS; ++i) spectrum[i] /= (float)ENHANCEMENT_FFT_SAMPLES;
}

/* Mean powers of bands; 0 where a band has no bins. */
static void band_powers(const float *spectrum, float *powers) {
  int band, bin;
  for (band = 0; band < BANDS; ++band) {
    const int first = kBandEdges[band], end = kBandEdges[band + 1];
    float sum = 0.0f;
    for (bin = first; bin < end; ++bin) sum += power_of(spectrum, bin);
    powers[band] = end > first ? sum / (float)(end - first) : 0.0f;
  }
}

/* Writes features of bands. The frame gets its share in the running means, unless they are held. */
static void update_means(EnhancementState *state, const float *spectrum, const float *powers,
                         float floor, int is_held, float *features) {
  int i;
  for (i = 0; i < BANDS; ++i) {
    const float level = 10.0f * log10f(powers[i] + floor);
    const float mean = ENHANCEMENT_NEW_SHARE * level + ENHANCEMENT_DECAY * state->levels[i];
    features[i] = (level - mean) / ENHANCEMENT_LEVEL_SCALE_DB;
    if (!is_held) state->levels[i] = mean;
  }
  if (is_held) return;
  for (i = 0; i < LOW_BINS; ++i) {
    state->magnitudes[i] = ENHANCEMENT_NEW_SHARE * sqrtf(power_of(spectrum, i)) +
                           ENHANCEMENT_DECAY * state->magnitudes[i];
  }
}

/* Writes features of low bins. */
static void normalise_bins(const EnhancementState *state, const float *spectrum, float level,
                           float *features) {
  int bin;
  for (bin = 0; bin < LOW_BINS; ++bin) {
    const float scale = 1.0f / sqrtf(fmaxf(state->magnitudes[bin] * level, LEAST_DIVISOR));
    features[2 * bin] = spectrum[2 * bin] * scale;
    features[2 * bin + 1] = spectrum[2 * bin + 1] * scale;
  }
}

#if ENHANCEMENT_LEVEL_INVARIANT
/* Of the bands that have bins, between the two nearest. */
static float quantile(const float *values, float share) {
  float sorted[BANDS], place, part;
  int band, i, count = 0, low, high;
  for (band = 0; band < BANDS; ++band) {
    if (kBandEdges[band] == kBandEdges[band + 1]) continue;
    for (i = count++; i > 0 && sorted[i - 1] > values[band]; --i) sorted[i] = sorted[i - 1];
    sorted[i] = values[band];
  }
  place = share * (float)(count - 1);
  low = (int)place;
  high = low + 1 < count ? low + 1 : low;
  part = place - (float)low;
  return sorted[low] * (1.0f - part) + sorted[high] * part;
}

/* The same of a minus b. */
static float quantile_above(const float *a, const float *b, float share) {
  float differences[BANDS];
  int band;
  for (band = 0; band < BANDS; ++band) differences[band] = a[band] - b[band];
  return quantile(differences, share);
}

/* Moves everything that follows the level of the input. */
static void louder(EnhancementState *state, float by_db) {
  const float factor = powf(10.0f, by_db / 20.0f);
  int i;
#if ENHANCEMENT_FALL_FRAMES
  int frame;
#endif
  if (by_db == 0.0f) return;
  for (i = 0; i < BANDS; ++i) {
    state->levels[i] += by_db;
    state->minima[i] += by_db;
#if ENHANCEMENT_FALL_FRAMES
    for (frame = 0; frame < ENHANCEMENT_FALL_FRAMES; ++frame) state->heard[frame][i] += by_db;
#endif
  }
  for (i = 0; i < LOW_BINS; ++i) state->magnitudes[i] *= factor;
  state->overall *= factor;
}

#if ENHANCEMENT_FALL_FRAMES
/* Whether the level falls, and by how much more than was seen in the last frame, in dB. A step
   inside of a frame is seen in part, then whole. */
static int falls(const EnhancementState *state, const float *heard_db, float *by_db) {
  const float *older = state->heard[0];
  const float most_db = quantile_above(heard_db, older, ENHANCEMENT_HIGH_QUANTILE);
  *by_db = quantile_above(heard_db, older, 0.5f);
  return most_db + state->fell < -ENHANCEMENT_FALL_DB;
}

static void remember(EnhancementState *state, const float *heard_db) {
  const size_t bytes = sizeof(state->heard[0]);
  memmove(state->heard[0], state->heard[1], (ENHANCEMENT_FALL_FRAMES - 1) * bytes);
  memcpy(state->heard[ENHANCEMENT_FALL_FRAMES - 1], heard_db, bytes);
}
#endif

/* Before the first frame that is not silent, everything is as if it had been heard already. */
static void begin(EnhancementState *state, const float *heard_db) {
  memcpy(state->minima, heard_db, sizeof(state->minima));
#if ENHANCEMENT_FALL_FRAMES
  {
    int frame;
    for (frame = 0; frame < ENHANCEMENT_FALL_FRAMES; ++frame) remember(state, heard_db);
  }
#endif
}

/* Moves the state where the level steps down. */
static void follow_step(EnhancementState *state, const float *heard_db) {
  const float above = quantile_above(heard_db, state->minima, ENHANCEMENT_LOW_QUANTILE);
#if ENHANCEMENT_FALL_FRAMES
  float fall_db;
  if (falls(state, heard_db, &fall_db)) {
    louder(state, fall_db);
    state->fell = fall_db;
    return;
  }
  state->fell = 0.0f;
#endif
  if (above < ENHANCEMENT_STEP_DB) {
    louder(state, above - state->above);
  } else {
    state->above += ENHANCEMENT_NEW_SHARE * (above - state->above);
  }
}

/* Moves the state to the frame's level where it has to be moved at once: at the first frame that is
   not silent, at steps. Returns whether the frame is silent. */
static int follow_level(EnhancementState *state, const float *powers) {
  const int is_silent = quantile(powers, 0.5f) < ENHANCEMENT_SILENT_POWER;
  const int is_first = !state->is_started && !is_silent;
  float heard_db[BANDS], rise;
  int i;
  for (i = 0; i < BANDS; ++i) {
    heard_db[i] = 10.0f * log10f(powers[i] + ENHANCEMENT_SILENT_POWER);
  }
  rise = quantile_above(heard_db, state->levels, 0.5f);
  louder(state, is_first ? rise - ENHANCEMENT_FIRST_RISE_DB
                         : fmaxf(rise - ENHANCEMENT_MOST_RISE_DB, 0.0f));
  if (is_first) begin(state, heard_db);
  if (state->is_started && !is_silent) follow_step(state, heard_db);
  for (i = 0; i < BANDS; ++i) {
    state->minima[i] = fminf(state->minima[i] + ENHANCEMENT_MINIMUM_RISE_DB, heard_db[i]);
  }
#if ENHANCEMENT_FALL_FRAMES
  if (is_silent) state->fell = 0.0f;
  remember(state, heard_db);
#endif
  if (is_first) state->is_started = 1;
  return is_silent;
}

static float level_of(const EnhancementState *state) {
  return state->overall / ENHANCEMENT_USUAL_MAGNITUDE;
}

static void update_overall(EnhancementState *state, const float *spectrum) {
  float sum = 0.0f;
  int bin;
  for (bin = 0; bin < LOW_BINS; ++bin) sum += sqrtf(power_of(spectrum, bin));
  state->overall += ENHANCEMENT_OVERALL_NEW * (sum / (float)LOW_BINS - state->overall);
}

static void normalise(EnhancementState *state, const float *spectrum, float *features) {
  float powers[BANDS], level, floor;
  int is_silent, is_held;
  band_powers(spectrum, powers);
  is_silent = follow_level(state, powers);
  is_held = is_silent && !state->is_started;
  level = level_of(state);
  floor = fmaxf(ENHANCEMENT_POWER_FLOOR * (level * level), ENHANCEMENT_SILENT_POWER);
  if (!is_held) update_overall(state, spectrum);
  update_means(state, spectrum, powers, floor, is_held, features);
  normalise_bins(state, spectrum, level_of(state), features + BANDS);
}
#else
static void normalise(EnhancementState *state, const float *spectrum, float *features) {
  float powers[BANDS];
  band_powers(spectrum, powers);
  update_means(state, spectrum, powers, ENHANCEMENT_POWER_FLOOR, 0, features);
  normalise_bins(state, spectrum, 1.0f, features + BANDS);
}
#endif

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
  hear(state, fft, samples);
  normalise(state, spectrum_at(state, 0), state->scratch.features);
  if (state->skipped < ENHANCEMENT_SKIPPED_FRAMES) {
    ++state->skipped;
    return 0;
  }
  quantise(state->scratch.features, codes);
  return 1;
}

static float real_value(const EnhancementOutput *codes, int index) {
  return (float)(codes[index] - ENHANCEMENT_OUTPUT_ZERO_POINT) * ENHANCEMENT_OUTPUT_SCALE;
}

float enhancement_snr_db(const EnhancementOutput *codes) {
  const float share = real_value(codes, ENHANCEMENT_OUTPUT_VALUES - 1);
  return ENHANCEMENT_LEAST_SNR_DB + (ENHANCEMENT_MOST_SNR_DB - ENHANCEMENT_LEAST_SNR_DB) * share;
}

/* Low bins: sums of products over frames around the one that is enhanced. */
static void filter_low_bins(EnhancementState *state, const EnhancementOutput *codes,
                            float *enhanced) {
  int bin, tap;
  memset(enhanced, 0, 2 * LOW_BINS * sizeof(*enhanced));
  for (tap = 0; tap < ENHANCEMENT_TAPS; ++tap) {
    const float *noisy = spectrum_at(state, ENHANCEMENT_SPECTRA - 1 - tap);
    for (bin = 0; bin < LOW_BINS; ++bin) {
      const int index = BANDS + 2 * (bin * ENHANCEMENT_TAPS + tap);
      const float re = real_value(codes, index), im = real_value(codes, index + 1);
      enhanced[2 * bin] += re * noisy[2 * bin] - im * noisy[2 * bin + 1];
      enhanced[2 * bin + 1] += re * noisy[2 * bin + 1] + im * noisy[2 * bin];
    }
  }
}

static void apply_gains(const EnhancementOutput *codes, const float *noisy, float *enhanced) {
  int band, i;
  for (band = 0; band < BANDS; ++band) {
    const float gain = real_value(codes, band);
    for (i = 2 * kBandEdges[band]; i < 2 * kBandEdges[band + 1]; ++i) {
      if (i >= 2 * LOW_BINS) {
        enhanced[i] = gain * noisy[i];
      } else if (ENHANCEMENT_GAINS_OF_ALL_BINS) {
        enhanced[i] *= gain;
      }
    }
  }
}

void enhancement_apply(EnhancementState *state, const EnhancementFft *fft,
                       const EnhancementOutput *codes, float *samples) {
  const float *noisy = spectrum_at(state, ENHANCEMENT_SKIPPED_FRAMES);
  float *enhanced = state->scratch.audio.spectrum;
  filter_low_bins(state, codes, enhanced);
  apply_gains(codes, noisy, enhanced);
  as_wanted(noisy, enhanced);
  synthesise(state, fft, 1.0f, samples);
}
