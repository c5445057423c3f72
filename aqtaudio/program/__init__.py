"""The frozen integer program: kernels, execution, cost, TFLite, TFLite Micro, LiteRT, checks."""
