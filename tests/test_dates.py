"""Dates: parsing, nearest, matching, years."""

import datetime as dt
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimtpy_cloud.errors import DateError
from mimtpy_cloud.plan.dates import (
    match_dates,
    nearest_date,
    parse_date,
    parse_date_list,
    parse_dates,
    years_elapsed,
    years_mintpy,
)

day_lists = st.sets(st.integers(0, 60), max_size=5).map(
    lambda days: np.datetime64("2020-01-01") + np.array(sorted(days), "timedelta64[D]")
)


@pytest.mark.parametrize(
    "value",
    [
        "20200131",
        b"20200131",
        " 2020-01-31 ",
        "200131",
        20200131,
        np.int64(20200131),
        "2020-01-31T14:03:00",
        dt.date(2020, 1, 31),
        dt.datetime(2020, 1, 31, 14, 3),
        np.datetime64("2020-01-31T14:03:00", "ns"),
    ],
)
def test_dates_are_read_in_many_forms(value):
    assert parse_date(value) == np.datetime64("2020-01-31", "D")


def test_two_digit_years_before_1970_are_of_this_century():
    assert [str(parse_date(v)) for v in ("920504", "690101")] == ["1992-05-04", "2069-01-01"]


@pytest.mark.parametrize("value", ["2020", "20201301", "20200230", "January", "", None, 1.5, np.datetime64("NaT", "D")])
def test_what_is_no_date_is_refused(value):
    with pytest.raises(DateError, match="expected a date like 20200131"):
        parse_date(value)


def test_date_list_ignores_comments_blanks_and_commas():
    text = "# snow\n20200101\n\n 20200113 , 20200125 # late\r\n2020-02-06\n"
    assert [str(d) for d in parse_date_list(text)] == ["2020-01-01", "2020-01-13", "2020-01-25", "2020-02-06"]
    assert parse_date_list("# nothing\n").size == 0
    with pytest.raises(DateError, match="'oops'"):
        parse_date_list("20200101\noops\n")


def test_nearest_date_of_oracle_o22(oracles):
    case = oracles["O22"]
    dates = parse_dates(case["available"])
    assert dates[nearest_date(dates, case["request"], 24)] == parse_date(case["nearest"])


def test_earlier_of_two_equally_near_dates_is_taken():
    assert nearest_date(parse_dates(["20200101", "20200103"]), "20200102", 1) == 0


def test_a_date_too_far_away_lists_its_neighbours():
    dates = parse_dates(["20200101", "20200401", "20200901"])
    with pytest.raises(DateError, match=r"2020-02-10.*2020-01-01 \(40 days before\), 2020-04-01 \(51 days after\)"):
        nearest_date(dates, "20200210", 24)
    with pytest.raises(DateError, match=r"nearest: 2020-09-01 \(122 days before\); choose"):
        nearest_date(dates, "20210101", 24)
    with pytest.raises(DateError, match="no acquisition at all"):
        nearest_date(dates[:0], "20210101", 24)


def test_matching_of_oracle_o23(oracles):
    case = oracles["O23"]
    a, b = parse_dates(case["a"]), parse_dates(case["b"])
    pairs = match_dates(a, b, case["tolerance_days"])
    wanted = [[parse_date(x), parse_date(y)] for x, y in case["pairs_one_to_one"]]
    assert [[a[i], b[j]] for i, j in pairs] == wanted


@given(day_lists, day_lists, st.integers(0, 20))
def test_matching_keeps_equal_dates_and_the_order_then_has_most_pairs_and_least_distance(a, b, tolerance):
    def score(pairs):
        return (-len(pairs), sum(abs((a[i] - b[j]).astype(int)) for i, j in pairs))

    equal = {(i, j) for i, x in enumerate(a) for j, y in enumerate(b) if x == y}
    pairs = [tuple(pair) for pair in match_dates(a, b, tolerance).tolist()]
    assert equal <= set(pairs)
    assert pairs == sorted(pairs)
    possible = []
    for size in range(min(a.size, b.size) + 1):
        for some in itertools.combinations(range(a.size), size):
            for others in itertools.combinations(range(b.size), size):  # both ascend: no pair crosses another
                found = list(zip(some, others, strict=True))
                near = all(abs((a[i] - b[j]).astype(int)) <= tolerance for i, j in found)
                if near and equal <= set(found):
                    possible.append(score(found))
    assert score(pairs) == min(possible)


def test_matching_neither_shifts_a_series_by_an_epoch_nor_exchanges_two():
    a = np.datetime64("2020-01-01") + np.timedelta64(12, "D") * np.arange(10)
    assert match_dates(a, a + np.timedelta64(12, "D"), 24).tolist() == [[k + 1, k] for k in range(9)]
    b = parse_dates(["20200101", "20200301", "20200307", "20200601"])
    a = parse_dates(["20200101", "20200313", "20200319", "20200601"])
    assert match_dates(a, b, 24).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


def test_years_of_oracle_o20b(oracles):
    case = oracles["O20b"]
    dates = parse_dates(case["dates"])
    np.testing.assert_allclose(years_elapsed(dates), case["t_exact_days"], atol=1e-11)
    np.testing.assert_allclose(years_mintpy(dates), case["t_mintpy"], atol=1e-11)


def test_years_count_from_the_first_date_whatever_the_unit():
    dates = np.array(["2020-12-31T12:00", "2021-01-01T01:00"], "datetime64[ns]")
    np.testing.assert_allclose(years_elapsed(dates) * 365.25, [0, 1])
    np.testing.assert_allclose(years_mintpy(dates) * 365.25, [0, 0.25], atol=1e-9)
