"""What a device computes around the network of a noise suppressor, in C."""
