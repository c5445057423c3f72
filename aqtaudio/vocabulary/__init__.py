"""The layers a model may use, and the readings that interpret them."""
