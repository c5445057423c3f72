"""The structure of the package, as its own imports tell it: `python tests/house.py [FOLDER]`.

A room is a package in the folder, or a loose module there. All imports count, also those inside
functions, and those under TYPE_CHECKING: nothing runs these, but readers of a file follow them.
"""

import ast
import functools
import sys
from collections.abc import Callable, Iterator
from importlib.util import resolve_name
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "aqtaudio"
Arrows = dict[str, set[str]]
"""Name -> the names it imports, never itself. All of them are keys."""
Arrow = tuple[str, str]


def module_files(folder: Path) -> dict[str, Path]:
    """Dotted name, which begins with the folder's -> file."""
    found = {}
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(module: str, file: Path) -> Iterator[str]:
    """Absolute names of everything that a file imports, anywhere in it."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{source}.{alias.name}" for alias in node.names)


def between_modules(folder: Path) -> Arrows:
    """Which module of a package imports which."""
    files = module_files(folder)

    def module_of(name: str) -> str:
        """The module that a name is or is in; "" for those of other packages."""
        return name if not name or name in files else module_of(name.rpartition(".")[0])

    return {
        module: set(map(module_of, imported(module, file))) - {module, ""}
        for module, file in files.items()
    }


def room_of(module: str) -> str:
    """The first two parts of a module's name; the package's own `__init__` is no room: ""."""
    package, _, rest = module.partition(".")
    return rest and f"{package}.{rest.partition('.')[0]}"


def grouped(arrows: Arrows, group_of: Callable[[str], str]) -> Arrows:
    """Arrows between groups of names; those of no group ("") are left out."""
    groups: Arrows = {group_of(name): set() for name in arrows}
    for name, targets in arrows.items():
        groups[group_of(name)] |= {group_of(target) for target in targets} - {group_of(name), ""}
    return {group: targets for group, targets in groups.items() if group}


def reached(arrows: Arrows, start: str) -> set[str]:
    """What a name leads to, over one arrow or many: in a circle also to itself."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = arrows[ahead.pop()] - found
        found |= new
        ahead += new
    return found


def circles(arrows: Arrows) -> list[list[str]]:
    """Names that all lead to each other, circle by circle (strongly connected components)."""
    far = {name: reached(arrows, name) for name in arrows}
    found = {frozenset(other for other in far[name] if name in far[other]) for name in arrows}
    return sorted(sorted(circle) for circle in found if circle)


def closing(arrows: Arrows, circle: list[str]) -> list[Arrow]:
    """Arrows of a circle without which none is left: few, each the one that does most."""
    inner = {name: arrows[name] & set(circle) for name in circle}

    def left_without(arrow: Arrow) -> int:
        start, end = arrow
        return sum(map(len, circles(inner | {start: inner[start] - {end}})))

    cut = []
    while circles(inner):
        candidates = [(start, end) for start in circle for end in sorted(inner[start])]
        start, end = min(candidates, key=left_without)
        inner[start].remove(end)
        cut.append((start, end))
    return cut


def floors(arrows: Arrows) -> int:
    """Names on the longest chain of arrows, a circle counting as one."""
    first = {name: circle[0] for circle in circles(arrows) for name in circle}
    straight = grouped(arrows, lambda name: first.get(name, name))

    @functools.cache
    def height(name: str) -> int:
        return 1 + max(map(height, straight[name]), default=0)

    return max(map(height, straight))


def lines(folder: Path) -> Iterator[str]:
    """The table, then the circles."""
    modules = between_modules(folder)
    rooms = grouped(modules, room_of)
    of_files, of_rooms = circles(modules), circles(rooms)
    counts = {
        "rooms": len(rooms),
        "import floors": floors(rooms),
        "import arrows between rooms": sum(map(len, rooms.values())),
        "circles of files": len(of_files),
        "circles of rooms": len(of_rooms),
        "loose files in the root": sum(f.name != "__init__.py" for f in folder.glob("*.py")),
    }
    yield from (f"{what:<28}{count:>4}" for what, count in counts.items())

    def short(name: str) -> str:
        return name.removeprefix(f"{folder.name}.")

    for what, found, arrows in (("files", of_files, modules), ("rooms", of_rooms, rooms)):
        for circle in found:
            yield f"\ncircle of {len(circle)} {what}: {', '.join(map(short, circle))}; closed by"
            yield from (f"  {short(a)} -> {short(b)}" for a, b in closing(arrows, circle))


if __name__ == "__main__":
    print(*lines(Path(sys.argv[1]).resolve() if sys.argv[1:] else PACKAGE), sep="\n")
