"""Recipe: how a model is compressed, as a value.

Ordered rules from layer paths to bits, calibration and rank. The first rule whose pattern matches
a layer's whole path wins; a layer that no rule matches is an error. Mixed precision is a longer
list.
"""

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Literal

from aqtaudio.errors import BadInput
from aqtaudio.settings import added

Mode = Literal["float", "fake", "native"]
MODES = ("float", "fake", "native")
TARGETS = ("micro", "litert")
KERNELS = ("everywhere", "reference")
MOST_STRIPES = 10
"""What one concatenation joins (tflite-micro, concatenation.cc: kMaxInputNum)."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """What happens to the layers whose path matches `pattern` (a regular expression).

    Attributes:
      pattern: matched against the whole path, e.g. "pointwise_.*".
      weight_bits: 8 or 4.
      activation_bits: 8; 16 (with 8-bit weights: "16x8"); or 4 (study precision: relu edges only,
        signed edges stay at 8).
      calibration: how an activation range follows from the batches it sees: "max", "mean_max"
        (mean over batches of the largest magnitude), or a quantile such as "q0.999" (mean over
        batches of that quantile of the magnitudes).
      svd_penalty: weight of the sparsity term on singular values; a layer with a penalty is trained
        as U diag(s) V and truncated afterwards. None: an ordinary kernel.
      int4_dense: how a dense layer with 4-bit weights runs: "tensor" (one weight scale: all that
        TFLite Micro's dense layer can do) or "conv" (a 1x1 convolution, a scale per channel).
    """

    pattern: str = ".*"
    weight_bits: int = 8
    activation_bits: int = 8
    calibration: str = "mean_max"
    svd_penalty: float | None = None
    int4_dense: Literal["tensor", "conv"] = added("tensor")

    def __post_init__(self):
        try:
            re.compile(self.pattern)
        except (re.error, TypeError) as error:
            raise BadInput(f"recipe pattern {self.pattern!r}: {error}") from error
        for field, allowed in (("weight_bits", (4, 8)), ("activation_bits", (4, 8, 16))):
            if type(getattr(self, field)) is not int or getattr(self, field) not in allowed:
                listed = ", ".join(map(str, allowed))
                raise BadInput(f"recipe {field} is {getattr(self, field)!r}; allowed: {listed}")
        quantile(self.calibration)
        if self.int4_dense not in ("tensor", "conv"):
            raise BadInput(f"recipe int4_dense is {self.int4_dense!r}; allowed: tensor, conv")
        penalty = self.svd_penalty
        if penalty is not None and not (_is_number(penalty) and 0 <= penalty < math.inf):
            raise BadInput(f"recipe svd_penalty is {penalty!r}; allowed: >= 0, or None")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def quantile(calibration: str) -> float | None:
    """The quantile a calibration names, None for "max" and "mean_max"."""
    if calibration in ("max", "mean_max"):
        return None
    try:
        value = float(calibration.removeprefix("q")) if calibration[:1] == "q" else -1.0
    except (ValueError, TypeError, AttributeError):
        value = -1.0
    if not 0 < value <= 1:
        raise BadInput(
            f"recipe calibration is {calibration!r}; allowed: 'max', 'mean_max', "
            "or a quantile such as 'q0.999'"
        )
    return value


@dataclasses.dataclass(frozen=True)
class LowRank:
    """How layers with an `svd_penalty` are trained and cut.

    Singular values are dropped while the kept ones hold `energy` of the sum of squares, and below
    `threshold` times the largest. Orthogonality of U and V is held by its own penalty.
    """

    orthogonality: float = 0.1
    energy: float = 1.0
    threshold: float = 0.0

    def __post_init__(self):
        if not 0 < self.energy <= 1:
            raise BadInput(f"low_rank energy is {self.energy}; allowed: above 0, up to 1")
        if not 0 <= self.threshold < 1:
            raise BadInput(f"low_rank threshold is {self.threshold}; allowed: 0 up to below 1")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Rules, and how the quantized model is trained.

    Attributes:
      mode: "float" (no quantization), "fake" (float arithmetic on rounded values: a baseline) or
        "native" (the device's integers). With `finetune.steps` 0, native is post-training
        quantization.
      rules: first match wins.
      low_rank: for layers with an `svd_penalty`.
      target: whose integers native training computes: TFLite Micro's, or those of LiteRT's default
        kernels on phones and desktops.
      learn_ranges: native training goes on from the calibrated ranges with learned step sizes (LSQ,
        arXiv:1902.08153), each a logarithm to the optimizer.
      gradient_bits: 8: native training rounds the operands of backward dots to int8, with AQT.
        Depthwise convolutions and layers of int16 activations keep float32 gradients.
      stochastic_rounding: of those gradients, to nearest else.
      kernels: "everywhere": the program is in forms that are right on TFLite Micro's reference
        kernels, on CMSIS-NN and on LiteRT, which may take 8 bits for a layer of 4 or more
        operations; "reference": as the rules say, for TFLite Micro's reference kernels only.
      stripes: of frames, in which the program's layers up to `striped_to` run one after the other,
        so that their maps are never whole in the arena; the integers stay (`program.depth_first`).
      striped_to: the last of these layers, e.g. "pool_1": a chain of convolutions and pools.
      loops: repetitions of the program (a recurrent layer over bands or frames, say) are a loop in
        the file, a WHILE with its operations once; the integers stay (`program.loops`).
    """

    mode: Mode = "native"
    rules: tuple[Rule, ...] = (Rule(),)
    low_rank: LowRank = LowRank()
    target: Literal["micro", "litert"] = added("micro")
    learn_ranges: bool = added(False)
    gradient_bits: int | None = added(None)
    stochastic_rounding: bool = added(False)
    kernels: Literal["everywhere", "reference"] = added("everywhere")
    stripes: int = added(1)
    striped_to: str = added("")
    loops: bool = added(False)

    def __post_init__(self):
        choices = (("mode", MODES), ("target", TARGETS), ("kernels", KERNELS))
        for name, allowed in choices:
            if getattr(self, name) not in allowed:
                raise BadInput(
                    f"recipe {name} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}"
                )
        if not isinstance(self.rules, tuple) or not all(isinstance(r, Rule) for r in self.rules):
            raise BadInput(f"recipe rules are {self.rules!r}; allowed: a tuple of Rule")
        for name in ("learn_ranges", "stochastic_rounding", "loops"):
            if not isinstance(getattr(self, name), bool):
                raise BadInput(f"recipe {name} is {getattr(self, name)!r}; allowed: True, False")
        if type(self.stripes) is not int or not 1 <= self.stripes <= MOST_STRIPES:
            raise BadInput(f"recipe stripes is {self.stripes!r}; allowed: 1 to {MOST_STRIPES}")
        bits = self.gradient_bits
        if bits is not None and (type(bits) is not int or bits != 8):
            raise BadInput(f"recipe gradient_bits is {bits!r}; allowed: 8, or None")

    def require_consistent(self) -> None:
        """Raises BadInput for settings that exclude each other.

        Not when a recipe is made: settings may be changed one after the other.
        """
        asked = ("learn_ranges", "gradient_bits", "stochastic_rounding")
        for name in asked:
            if getattr(self, name) and self.mode != "native":
                raise BadInput(f"recipe {name} is for mode native; the mode is {self.mode}")
        if self.target != "micro" and self.mode != "native":
            raise BadInput(f"recipe target {self.target} is for mode native, not {self.mode}")
        if (self.stripes > 1) != bool(self.striped_to):
            raise BadInput(
                f"recipe stripes is {self.stripes} and striped_to {self.striped_to!r}; allowed: 1 "
                "and none, or more and the last layer that runs in them"
            )
        if self.stochastic_rounding and not self.gradient_bits:
            raise BadInput("recipe stochastic_rounding rounds gradients: it needs gradient_bits 8")

    def rule(self, path: str) -> Rule:
        """The first rule that matches a layer's path. BadInput when none does."""
        for rule in self.rules:
            if re.fullmatch(rule.pattern, path):
                return rule
        patterns = ", ".join(repr(rule.pattern) for rule in self.rules)
        raise BadInput(f"recipe: no rule matches layer {path!r}; patterns: {patterns}")

    def idle(self, paths: Iterable[str]) -> list[str]:
        """Patterns of the rules that are no layer's: misspelt, or behind one that is broader."""
        used = [self.rule(path) for path in paths]
        return [rule.pattern for rule in self.rules if not any(rule is one for one in used)]


FLOAT = Recipe("float")
W8A8 = Recipe()
W4A8 = Recipe(rules=(Rule(weight_bits=4),))
# Sixteen levels are better spent on the bulk than on the largest values.
W4A4 = Recipe(rules=(Rule(weight_bits=4, activation_bits=4, calibration="q0.999"),))
W8A16 = Recipe(rules=(Rule(activation_bits=16),))
FAKE_W8A8 = Recipe("fake")


def low_rank(pattern: str, svd_penalty: float, energy: float, weight_bits: int = 8) -> Recipe:
    """Layers that match `pattern` trained with a singular-value penalty and cut to `energy`."""
    penalised = Rule(pattern, weight_bits=weight_bits, svd_penalty=svd_penalty)
    rules = (penalised, Rule(weight_bits=weight_bits))
    return Recipe(rules=rules, low_rank=LowRank(energy=energy))
