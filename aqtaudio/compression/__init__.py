"""How a model is made smaller: batch-norm folding, calibration, low rank."""
