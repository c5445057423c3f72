"""A spread of a test's members runs every time."""

pytest_plugins = ("pytester",)
MODULE = """
import pytest

@pytest.mark.sampled(2)
@pytest.mark.parametrize("c", "xy")
@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 2), (3, 3)])
def test_square(a, b, c):
    pass

@pytest.mark.sampled(3)
@pytest.mark.parametrize("a", range(7))
def test_each_third(a):
    pass

@pytest.mark.sampled(2)
@pytest.mark.parametrize("a", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_with_marks_of_its_own(a):
    pass
"""
FAST = (
    *("square[1-1-x]", "square[2-2-y]", "square[3-3-x]"),
    *("each_third[0]", "each_third[3]", "each_third[6]"),
    *("with_marks_of_its_own[1]", "with_marks_of_its_own[3]"),
)


def test_every_value_has_a_member_and_the_others_are_slow(pytester):
    pytester.makepyfile(test_many=MODULE)
    plugins = "-p", "sampled", "-p", "no:cacheprovider"
    for choice, count in (("not slow", len(FAST)), ("slow", 6 + 7 + 3 - len(FAST))):
        told = pytester.runpytest("--collect-only", "-q", "-m", choice, *plugins).outlines
        members = {line.split("::test_")[1] for line in told if "::" in line}
        assert len(members) == count and members.isdisjoint(FAST) == (choice == "slow")
