"""The dates of a run: lengths in days, who is whose past, and every impossible date refused by its key."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from churn_clv.data.windows import LabelWindow, WindowError, Windows, duration_days, resolve_windows
from churn_clv.errors import InputError

# CDNOW: 78 weeks, one cohort of the first quarter of 1997
CDNOW: dict[str, Any] = {
    "first_day": date(1997, 1, 1),
    "last_day": date(1998, 6, 30),
    "calibration_end": date(1997, 12, 30),
    "holdout_end": date(1998, 6, 30),
}


def windows(**changes: Any) -> Windows:
    return resolve_windows(**(CDNOW | changes))


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1 day", 1), ("90 days", 90), ("1 week", 7), ("39 weeks", 273), ("52 weeks", 364), ("78 weeks", 546),
        # 365.25 / 12 = 30.4375 days a month, rounded once
        ("1 month", 30), ("6 months", 183), ("12 months", 365), ("1 year", 365), ("2 years", 730), ("4 years", 1461),
        ("1.5 weeks", 10), ("  26   weeks ", 182), ("26weeks", 182),
    ],
)  # fmt: skip
def test_a_length_of_time_is_whole_days(text: str, days: int) -> None:
    assert duration_days(text) == days


@pytest.mark.parametrize(
    "text",
    ["", "26", "weeks", "-3 weeks", "0 days", "0.2 days", "26 fortnights", "26 weeks 3 days", "1e3 days", "26 Weeks!"],
)
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a length of time|is shorter than a day"):
        duration_days(text)


def test_holdout_of_cdnow_is_26_weeks_and_scores_are_made_at_the_end() -> None:
    found = windows(label_cutoffs=[date(1997, 4, 1), date(1997, 5, 13), date(1997, 7, 1)])
    assert found.horizon_days == 26 * 7
    assert found.score_as_of == date(1998, 6, 30)
    assert [label.horizon_days for label in found.labels] == [182] * 3
    assert found.labels[-1].end == found.calibration_end, "the last label ends on calibration_end, which is inside"
    assert found.has_full_horizon_labels


def test_the_production_model_learns_from_the_holdout_as_well() -> None:
    found = windows()
    assert found.production_labels == (*found.labels, LabelWindow(date(1997, 12, 30), 182))
    assert found.production_labels[-1].end == date(1998, 6, 30)


def test_labels_until_calibration_end_have_the_days_that_are_left() -> None:
    found = windows(label_cutoffs=[date(1997, 4, 1), date(1997, 10, 1)], label_horizon="until_calibration_end")
    assert [label.horizon_days for label in found.labels] == [273, 90]
    assert not found.has_full_horizon_labels
    assert {label.end for label in found.labels} == {found.calibration_end}


def test_shorter_labels_are_taken_from_the_config() -> None:
    found = windows(label_cutoffs=[date(1997, 4, 1)], label_horizon="13 weeks")
    assert found.labels == (LabelWindow(date(1997, 4, 1), 91),)
    assert not found.has_full_horizon_labels


@given(
    history=st.integers(2, 3000),
    horizon=st.integers(1, 1500),
    after=st.integers(0, 400),
    label_horizon=st.sampled_from([None, "until_calibration_end", "13 weeks"]),
)
def test_default_labels_are_complete_before_calibration_end(
    history: int, horizon: int, after: int, label_horizon: str | None
) -> None:
    first = date(2000, 1, 1)
    end = first + timedelta(days=history)
    holdout_end = end + timedelta(days=horizon)
    # with a label horizon of its own a short history may leave no cutoff: that is an error, tested below
    assume(label_horizon is None or history >= 2 * (91 if label_horizon == "13 weeks" else horizon))
    found = resolve_windows(
        first_day=first, last_day=holdout_end + timedelta(days=after), calibration_end=end, holdout_end=holdout_end,
        label_horizon=label_horizon,
    )  # fmt: skip
    assert 1 <= len(found.labels) <= 3
    assert list(found.labels) == sorted(set(found.labels), key=lambda label: label.cutoff)
    for label in found.labels:
        assert first <= label.cutoff < label.end <= end
        assert label.horizon_days == (label.end - label.cutoff).days


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"holdout_end": date(1997, 12, 30)}, "holdout_end", "is not after calibration_end 1997-12-30"),
        ({"holdout_end": date(1997, 6, 30)}, "holdout_end", "is not after calibration_end"),
        ({"holdout_end": date(1998, 7, 1)}, "holdout_end", "1 days after the end of the log"),
        ({"calibration_end": date(1997, 1, 1)}, "calibration_end", "outside the log, which runs from 1997-01-01"),
        ({"calibration_end": date(1996, 1, 1)}, "calibration_end", "outside the log"),
        (
            {"calibration_end": date(1998, 6, 30), "holdout_end": date(1998, 7, 30)},
            "calibration_end",
            "outside the log",
        ),
        ({"score_as_of": date(1998, 1, 1)}, "score_as_of", "not between holdout_end 1998-06-30"),
        ({"score_as_of": date(1998, 7, 1)}, "score_as_of", "not between holdout_end 1998-06-30"),
        ({"label_cutoffs": []}, "label_cutoffs", "is empty"),
        (
            {"label_cutoffs": [date(1997, 5, 1), date(1997, 4, 1)]},
            "label_cutoffs",
            "1997-04-01 does not come after 1997-05-01",
        ),
        ({"label_cutoffs": [date(1997, 4, 1), date(1997, 4, 1)]}, "label_cutoffs", "once each"),
        ({"label_cutoffs": [date(1996, 12, 31)]}, "label_cutoffs", "before the first day of the log"),
        ({"label_cutoffs": [date(1997, 7, 2)]}, "label_cutoffs", "ends on 1997-12-31, after calibration_end"),
        ({"label_cutoffs": [date(1997, 12, 1)], "label_horizon": "13 weeks"}, "label_cutoffs", "after calibration_end"),
        (
            {"label_cutoffs": [date(1997, 12, 30)], "label_horizon": "until_calibration_end"},
            "label_cutoffs",
            "is not before calibration_end",
        ),
        ({"label_horizon": "80 weeks"}, "label_cutoffs", "is empty"),
    ],
)
def test_an_impossible_date_is_refused_by_its_key(changes: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(WindowError, match=says) as caught:
        windows(**changes)
    assert caught.value.key == key
    assert str(caught.value).startswith(f"windows.{key}: ")
    assert isinstance(caught.value, InputError)


def test_a_label_of_one_day_more_is_refused_and_of_one_day_less_is_not() -> None:
    assert windows(label_cutoffs=[date(1997, 7, 1)]).labels[0].end == date(1997, 12, 30)
    with pytest.raises(WindowError):
        windows(label_cutoffs=[date(1997, 7, 2)])
