"""How a model is compressed, under the name that every config.json has for it."""

from aqtaudio.recipe import FLOAT, Recipe, Rule, low_rank

__all__ = ["FLOAT", "Recipe", "Rule", "low_rank"]
