"""What rules found in a file, in lines: many alike are one line."""

from collections.abc import Callable, Iterable, Iterator

from aqtaudio.program.operator_view import Operator, Tensor

Finding = tuple[Tensor, str, str]
"""The tensor, what is wrong with it, the remedy."""
Rule = Callable[[Operator], Iterator[Finding]]
ALIKE_LIMIT = 3
"""So many of the same fault and remedy have a line each."""
_NAMED = 8


def lines(operators: Iterable[Operator], rules: Iterable[Rule]) -> list[str]:
    """One line per finding, in the order of the operators; where many are alike, the first of them
    and the numbers of the others."""
    alike: dict[tuple[str, str], list[tuple[int, Operator, Tensor]]] = {}
    for place, operator in enumerate(operators):
        for rule in rules:
            for tensor, wrong, remedy in rule(operator):
                alike.setdefault((wrong, remedy), []).append((place, operator, tensor))
    found: list[tuple[int, str]] = []
    for (wrong, remedy), findings in alike.items():
        texts = [_line(operator, tensor, wrong, remedy) for _, operator, tensor in findings]
        places = [place for place, _, _ in findings]
        if len(findings) > ALIKE_LIMIT:
            texts = [f"{texts[0]} ({_others([operator for _, operator, _ in findings[1:]])})"]
        found += zip(places, texts, strict=False)
    return [text for _, text in sorted(found, key=lambda pair: pair[0])]


def _line(operator: Operator, tensor: Tensor, wrong: str, remedy: str) -> str:
    return f"{operator.name} ({operator.place}): {tensor.label} {wrong}; {remedy}"


def _others(operators: list[Operator]) -> str:
    numbers = list(dict.fromkeys(operator.number for operator in operators))
    named = ", ".join(numbers[:_NAMED]) + (", ..." if len(numbers) > _NAMED else "")
    return f"and {len(operators)} more alike, at operators {named}"
