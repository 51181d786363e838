"""Arithmetic: values, and what is refused before it costs anything."""

import pytest

from agents.arithmetic import CalculationError, calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2*(3+4)", 14),
        (" 1 + 2 * 3 ", 7),
        ("7 / 2", 3.5),
        ("7 // 2", 3),
        ("-7 % 3", 2),
        ("2 ** 10", 1024),
        ("--1", 1),
        (".5 * 4", 2.0),
        ("2**53", 2**53),
    ],
)
def test_an_expression_has_its_value(expression: str, value: float) -> None:
    """The usual rules of precedence hold."""
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "detail"),
    [
        ("", "others than digits"),
        ("   ", "invalid syntax"),
        ("2 +", "invalid syntax"),
        ("1(2)", "no plain arithmetic"),
        ("(1, 2)", "others than digits"),
        ("a + 1", "others than digits"),
        ("1 if 2 else 3", "others than digits"),
        ("1e999", "others than digits"),
        ("1/0", "division by zero"),
        ("0.0 % 0", "modulo"),
        ("(-8) ** .5", "not a real number"),
        ("0 ** -1", "cannot be raised|power"),
        ("9 ** 99", r"beyond 2\*\*53"),
        ("9 ** 9 ** 9", "exponent is beyond 100"),
        ("9007199254740992 + 1", r"beyond 2\*\*53"),
        ("1." + "0" * 300, "more than 200 characters"),
        ("9" * 200, r"beyond 2\*\*53"),
    ],
)
def test_what_is_no_small_arithmetic_is_refused(expression: str, detail: str) -> None:
    """The message says which rule was broken."""
    with pytest.raises(CalculationError, match=detail):
        calculate(expression)


def test_the_deepest_brackets_that_fit_are_no_danger() -> None:
    """The length bounds the depth: neither the parser nor the walk runs out of stack."""
    assert calculate("-" * 199 + "1") == -1
    assert calculate("(" * 99 + "1" + ")" * 99) == 1
