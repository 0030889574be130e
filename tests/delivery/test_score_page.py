"""A score file becomes one page, or one line that says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from churn_clv.delivery.score_page import write_score_page
from churn_clv.errors import InputError

SCORES = pd.DataFrame(
    {
        "customer_id": ["anna", "bert", "carl"],
        "as_of": "2024-06-30",
        "horizon_days": 182,
        "value_tier": ["low", "high", "high"],
        "risk_tier": ["1 of 5", "5 of 5", "5 of 5"],
        "segment": ["small", "big", "big"],
        "action": ["wait", "call", "call"],
        "expected_spend": [1.0, 20.0, 30.0],
        "value_at_risk": [2.0, 3.0, 4.0],
        "clv": [5.0, 100.0, 200.0],
        "churn_probability": [0.1, 0.9, 0.7],
    }
)


def score_file(folder: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(folder / "scores.csv", index=False)
    return folder / "scores.csv"


def test_the_page_adds_up_the_cells_and_names_no_customer(tmp_path: Path) -> None:
    page = write_score_page(score_file(tmp_path, pd.concat([SCORES] * 10)), None)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "scores.html"
    assert '<td class="n">20</td><td class="n">80%</td>' in text  # ten times two customers, mean of .9 and .7
    assert '<td class="n">500</td><td class="n">70</td>' in text
    assert text.index("1 of 5") < text.index("5 of 5")
    assert not any(name in text for name in SCORES["customer_id"])


def test_cells_of_few_customers_are_not_on_the_page(tmp_path: Path) -> None:
    text = write_score_page(score_file(tmp_path, SCORES), None).read_text(encoding="utf-8")
    assert text.count('<td class="n">not shown</td>') == 2 * 5 and "Not shown: big; small." in text


def test_of_fewer_customers_than_ten_no_total_is_on_the_page(tmp_path: Path) -> None:
    nine, ten = (
        write_score_page(score_file(tmp_path, pd.concat([SCORES] * 4).head(k)), None).read_text("utf-8")
        for k in (9, 10)
    )
    assert "Fewer than 10 customers scored as of 2024-06-30" in nine and ">9 " not in nine
    assert "spend 153;" not in nine and "27 is at risk" not in nine
    assert "10 customers scored as of 2024-06-30" in ten and "spend 154; 29 is at risk" in ten


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"value_tier": ["low", "huge", "high"]}, "column 'value_tier' holds what is no tier in 1 rows"),
        ({"risk_tier": ["0", "1 of 5", "x of 5"]}, "column 'risk_tier' holds what is no tier in 2 rows"),
        ({"risk_tier": [1, 2, 3]}, "column 'risk_tier' holds what is no tier in 3 rows"),
        ({"clv": ["5", "lots", "1"]}, "column 'clv' holds text where numbers belong"),
        ({"horizon_days": "a year"}, "column 'horizon_days' holds text"),
        ({"churn_probability": [0.1, None, 0.2]}, "column 'churn_probability' is empty in 1 rows"),
        ({"segment": [None, None, "big"]}, "column 'segment' is empty in 2 rows"),
    ],
)
def test_a_spoilt_score_file_is_one_line(tmp_path: Path, change: dict[str, list[object]], says: str) -> None:
    path = score_file(tmp_path, SCORES.assign(**change))
    with pytest.raises(InputError) as caught:
        write_score_page(path, None)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert not path.with_suffix(".html").exists()


def test_what_is_no_score_file_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a score file: the columns \['clv'\] are missing"):
        write_score_page(score_file(tmp_path, SCORES.drop(columns="clv")), None)
    with pytest.raises(InputError, match="holds no customer"):
        write_score_page(score_file(tmp_path, SCORES.head(0)), None)


def test_the_page_is_html_and_never_overwrites_the_scores(tmp_path: Path) -> None:
    path = score_file(tmp_path, SCORES)
    before = path.read_bytes()
    for out in (tmp_path / "r.pdf", path):
        with pytest.raises(InputError, match=r"give it a name that ends in \.html"):
            write_score_page(path, out)
    assert path.read_bytes() == before
    assert not (tmp_path / "r.pdf").exists()
    assert write_score_page(path, tmp_path / "r.HTML").is_file()
