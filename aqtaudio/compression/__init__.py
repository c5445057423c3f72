"""How a model is made smaller: recipe, batch-norm folding, calibration, low rank."""
