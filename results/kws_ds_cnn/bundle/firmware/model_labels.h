// The classes, in the order of the outputs. A detection: the softmax of the outputs, its
// mean over the smoothing time, rises to the threshold of its class. A class is heard again when
// its mean has fallen below the threshold or to 0.75 of its peak, and its refractory time is
// over; classes don't wait for one another.
#pragma once

static const char* const kModelLabels[8] = {"yes", "up", "down", "on", "off", "stop", "unknown", "silence"};
// Thresholds and times: a guess: `aqtaudio detect` finds better. Over 1: not to be detected.
static const float kModelThresholds[8] = {5.e-01f, 5.e-01f, 5.e-01f, 5.e-01f, 5.e-01f, 5.e-01f, 2.e+00f, 2.e+00f};
static const int kModelSmoothingMs[8] = {300, 300, 300, 300, 300, 300, 300, 300};
static const int kModelRefractoryMs[8] = {700, 700, 700, 700, 700, 700, 700, 700};
// The highest of them, for all classes alike.
static const float kModelThreshold = 5.e-01f;
