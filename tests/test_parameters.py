"""Values of parameters: ranges, lists, and all combinations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import ParameterError
from mimtpy_cloud.plan.parameters import full_factorial, parse_values


def test_a_range_has_the_values_of_the_oracle(oracles):
    start, step, end = oracles["O33"]["range"].split(",")
    assert parse_values(f"{start}:{end}:{step}").tolist() == oracles["O33"]["values"]


def test_values_are_the_nearest_numbers_to_those_written():
    assert parse_values("0:1:0.1").tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert (0.1 * np.arange(11)).tolist() != parse_values("0:1:0.1").tolist()


@given(st.integers(-50, 50), st.integers(1, 40), st.integers(1, 300))
def test_a_range_ends_where_it_says_for_any_decimal_step(start, step, count):
    text = f"{start / 10}:{(start * 10 + step * count) / 100}:{step / 100}"
    values = parse_values(text)
    assert values.size == count + 1
    assert values[-1] == (start * 10 + step * count) / 100
    assert values[count // 2] == (start * 10 + step * (count // 2)) / 100


def test_no_value_lies_beyond_the_end():
    assert parse_values("17:18:0.3").tolist() == [17.0, 17.3, 17.6, 17.9]


def test_a_range_may_go_down():
    assert parse_values("1:-1:-1").tolist() == [1.0, 0.0, -1.0]


def test_a_number_of_values_includes_both_ends():
    values = parse_values("1000:10000:10x")
    assert values.tolist() == [1000.0 * i for i in range(1, 11)]
    assert parse_values("1:0:3x").tolist() == [1.0, 0.5, 0.0]


def test_a_list_keeps_its_order():
    assert parse_values(" 3, -1 ,2e-3").tolist() == [3.0, -1.0, 0.002]
    assert parse_values("7").tolist() == [7.0]


@pytest.mark.parametrize("text", ["", "a", "1:2", "1:2:3:4", "1:b:1", "1,,2", "nan", "1:inf:1", "1/3", "1:2:x1"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ParameterError, match="expected values as start:end:step"):
        parse_values(text)


@pytest.mark.parametrize("text", ["1:2:0", "1:2:-1", "2:1:0.5"])
def test_a_step_must_lead_to_the_end(text):
    with pytest.raises(ParameterError, match=r"expected a step that leads from .* got"):
        parse_values(text)


@pytest.mark.parametrize("text", ["1:2:1x", "1:2:x", "1:2:0x", "1:2:2.5x", "1:2:-3x"])
def test_a_number_of_values_is_two_or_more(text):
    with pytest.raises(ParameterError, match="expected two or more values, such as 1:2:10x"):
        parse_values(text)


@pytest.mark.parametrize("text", ["0:1:1e-9", "0:1:9999999x"])
def test_a_range_of_millions_is_a_slip_of_the_pen(text):
    with pytest.raises(ParameterError, match="take a larger step"):
        parse_values(text)


@pytest.mark.parametrize("text", ["1,2,1", "1:1:3x"])
def test_a_value_comes_once(text):
    with pytest.raises(ParameterError, match="one of them twice"):
        parse_values(text)


def test_all_combinations_come_with_the_last_parameter_fastest():
    table = full_factorial({"vs": [1, 2], "vm": [3, 4, 5], "h": 6})
    rows = list(zip(*(table[name].tolist() for name in table), strict=True))
    assert list(table) == ["vs", "vm", "h"]
    assert rows == [(1, 3, 6), (1, 4, 6), (1, 5, 6), (2, 3, 6), (2, 4, 6), (2, 5, 6)]


def test_combinations_need_values():
    with pytest.raises(ParameterError, match="at least one parameter"):
        full_factorial({})
    for bad in ([], [np.nan], [[1.0]]):
        with pytest.raises(ParameterError, match="parameter vs: expected one or more finite numbers"):
            full_factorial({"vs": bad})
