"""A model in a firmware: C++ sources, a CMake project that proves them, boards that run it."""
