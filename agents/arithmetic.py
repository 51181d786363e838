"""Arithmetic from people's text: read as a syntax tree and worked out here, never handed to `eval`."""

import ast
import operator
import re
from collections.abc import Callable

MAX_LENGTH = 200  # characters; bounds the tree's depth too
MAX_EXPONENT = 100  # with MAX_VALUE it bounds what one power can cost
MAX_VALUE = 2**53  # beyond it a JSON reader may lose the last digits

Number = int | float

ALLOWED = re.compile(r"[0-9.+\-*/%()\s]+")
BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


class CalculationError(Exception):
    """An expression that is none, or whose value is none. Its message says why."""


def calculate(expression: str) -> Number:
    """Give the value of an expression of numbers, `+ - * / // % **` and brackets, within 2**53 of 0.

    Raises CalculationError.
    """
    if len(expression) > MAX_LENGTH or not ALLOWED.fullmatch(expression):
        detail = f"it has more than {MAX_LENGTH} characters, or others than digits and + - * / % ( )"
        raise CalculationError(f"cannot calculate {expression[:MAX_LENGTH]!r}: {detail}")
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body)
    except SyntaxError as error:
        raise CalculationError(f"cannot calculate {expression!r}: {error.msg}") from error
    except ArithmeticError as error:
        raise CalculationError(f"cannot calculate {expression!r}: {error}") from error


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number):
            return _bounded(number)
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in UNARY:
            return UNARY[type(sign)](_value(operand))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in BINARY:
            first, second = _value(left), _value(right)
            if isinstance(sign, ast.Pow) and abs(second) > MAX_EXPONENT:
                raise ArithmeticError(f"the exponent is beyond {MAX_EXPONENT}")
            return _bounded(BINARY[type(sign)](first, second))
    raise ArithmeticError("it is no plain arithmetic")


def _bounded(number: object) -> Number:
    """Give `number` if it is one that can be shown: a root of a negative number is not."""
    if not isinstance(number, int | float) or not abs(number) <= MAX_VALUE:
        raise ArithmeticError("a value is beyond 2**53, or not a real number")
    return number
