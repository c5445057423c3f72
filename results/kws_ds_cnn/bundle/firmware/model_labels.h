// The classes, in the order of the outputs. A detection: the softmax of the outputs, smoothed as
// `aqtaudio listen` does it, rises to the threshold; `aqtaudio detect` finds the threshold for a
// number of false alarms per hour.
#pragma once

static const char* const kModelLabels[8] = {"yes", "up", "down", "on", "off", "stop", "unknown", "silence"};
static const float kModelThreshold = 5.e-01f;
