"""The churn model corrects an offset: nothing learned is the offset itself, and files bring back every bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.models.churn import ChurnModel

FAST: dict[str, Any] = {"learning_rate": 0.1, "max_rounds": 80}
Data = tuple[pd.DataFrame, pd.Series, pd.Series]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x, dtype=float)))


def index_of(n: int, cutoffs: int = 2) -> pd.MultiIndex:
    customers = [f"{k:05d}" for k in range(n // cutoffs)]
    return pd.MultiIndex.from_product([range(cutoffs), customers], names=["cutoff", "customer_id"])


def data_of(n: int = 1200, effect: float = 2.0, seed: int = 1) -> Data:
    """Churn follows the offset and, beyond it, one number and one category; the rest is noise."""
    rng = np.random.default_rng(seed)
    index = index_of(n)
    features = pd.DataFrame({
        "signal": rng.normal(size=n),
        "noise": rng.normal(size=n),
        "sparse": np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n)),
        "region": rng.choice(["north", "south", "west"], n),
    }, index=index)  # fmt: skip
    features["region"] = features["region"].where(rng.random(n) > 0.1)
    offset = pd.Series(rng.normal(size=n), index=index, name="offset")
    log_odds = offset + effect * features["signal"] + effect * (features["region"] == "north")
    churned = pd.Series((rng.random(n) < sigmoid(log_odds)).astype(float), index=index, name="churned")
    return features, churned, offset


@pytest.fixture(scope="module")
def data() -> Data:
    return data_of()


@pytest.fixture(scope="module")
def model(data: Data) -> ChurnModel:
    return ChurnModel(**FAST).fit(*data)


def test_with_nothing_to_learn_the_answer_is_the_offset_alone() -> None:
    features, churned, offset = data_of(effect=0.0, seed=6)
    features = features.assign(signal=1.0, noise=2.0, sparse=np.nan, region="north")  # nothing to split on
    fitted = ChurnModel(**FAST).fit(features, churned, offset)
    assert fitted.rounds_ == 0
    assert fitted.note_ is None
    np.testing.assert_array_equal(fitted.predict_probability(features, offset), sigmoid(offset))
    assert fitted.importances().empty
    assert list(fitted.to_files()) == ["churn.json"]
    loss = -np.mean(np.where(churned == 1, np.log(sigmoid(offset)), np.log(sigmoid(-offset))))
    assert fitted.cross_validation_["offset"] == fitted.cross_validation_["chosen"] == pytest.approx(loss)


def test_noise_is_hardly_ever_learned() -> None:
    """The best of many rounds wins now and then by chance; what it wins must stay small."""
    for seed in range(6, 9):
        features, churned, offset = data_of(600, effect=0.0, seed=seed)
        risk = ChurnModel(**FAST).fit(features, churned, offset).predict_probability(features, offset)
        assert np.abs(risk - sigmoid(offset)).mean() < 0.03


def test_what_the_offset_misses_is_learned(model: ChurnModel, data: Data) -> None:
    fresh, churned, offset = data_of(seed=2)
    assert model.rounds_ > 10
    assert model.cross_validation_["chosen"] < model.cross_validation_["offset"] - 0.05

    def loss(p: Any) -> float:
        return float(-np.mean(churned * np.log(p) + (1 - churned) * np.log(1 - p)))

    assert loss(model.predict_probability(fresh, offset)) < loss(sigmoid(offset)) - 0.05
    assert set(model.importances().index[:2]) == {"signal", "region"}
    assert model.importances().sum() == pytest.approx(1)


def test_the_trees_add_to_the_offset_and_do_not_see_it(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    zero = model.predict_probability(features, offset * 0)
    moved = model.predict_probability(features, offset * 0 + 1.5)
    np.testing.assert_allclose(np.log(moved / (1 - moved)), np.log(zero / (1 - zero)) + 1.5, atol=1e-9)


def test_columns_in_another_order_or_in_excess_predict_the_same(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    expected = model.predict_probability(features, offset)
    for other in (features[features.columns[::-1]], features.assign(extra="x")[["extra", *features.columns]]):
        pd.testing.assert_series_equal(model.predict_probability(other, offset), expected, check_exact=True)


def test_rows_in_another_order_or_alone_predict_the_same(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    expected = model.predict_probability(features, offset)
    order = np.random.default_rng(1).permutation(len(features))
    found = model.predict_probability(features.iloc[order], offset.iloc[order])
    pd.testing.assert_series_equal(found, expected.iloc[order], check_exact=True)
    for k in (0, 17, 600):
        alone = model.predict_probability(features.iloc[[k]], offset.iloc[[k]])
        # batch = single: the limit is 1e-12
        assert alone.iloc[0] == pytest.approx(expected.iloc[k], abs=1e-12)


def test_a_missing_column_is_refused_by_name(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    with pytest.raises(ValueError, match=r"needs the features \['noise', 'region'\], which are missing"):
        model.predict_probability(features.drop(columns=["noise", "region"]), offset)


def test_a_category_never_seen_counts_as_missing(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    unseen = model.predict_probability(features.assign(region="moon"), offset)
    missing = model.predict_probability(features.assign(region=None), offset)
    pd.testing.assert_series_equal(unseen, missing, check_exact=True)
    north = model.predict_probability(features.assign(region="north"), offset)
    assert (north > missing).mean() > 0.5, "the category does matter"


def test_a_category_means_the_same_whichever_others_stand_beside_it(model: ChurnModel, data: Data) -> None:
    """LightGBM's own handling of pandas codes goes wrong in silence here."""
    features, _, offset = data
    expected = model.predict_probability(features, offset)
    for region in ("north", "west"):
        rows = (features["region"] == region).to_numpy()
        found = model.predict_probability(features[rows], offset[rows])
        pd.testing.assert_series_equal(found, expected[rows], check_exact=True)
    as_categories = features.assign(region=pd.Categorical(features["region"], categories=["west", "south", "north"]))
    pd.testing.assert_series_equal(model.predict_probability(as_categories, offset), expected, check_exact=True)


def test_features_that_are_all_missing_still_get_a_probability(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    nothing = features.assign(signal=np.nan, noise=np.nan, sparse=np.nan, region=None)
    assert model.predict_probability(nothing, offset).between(0, 1).all()


def test_a_feature_that_is_never_known_is_no_obstacle(data: Data) -> None:
    features, churned, offset = data
    fitted = ChurnModel(**FAST).fit(features.assign(never=np.nan), churned, offset)
    assert fitted.predict_probability(features.assign(never=1.0), offset).between(0, 1).all()
    share = fitted.share_outside_training(features.assign(never=np.nan))
    assert share["never"] == 0


def test_files_bring_back_every_bit(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    files = model.to_files()
    back = ChurnModel.from_files(json.loads(json.dumps(files)))
    expected = model.predict_probability(features, offset)
    pd.testing.assert_series_equal(back.predict_probability(features, offset), expected, check_exact=True)
    assert back.get_params() == model.get_params()
    assert back.cross_validation_ == model.cross_validation_
    pd.testing.assert_frame_equal(back.feature_ranges_, model.feature_ranges_)
    pd.testing.assert_series_equal(back.importances(), model.importances())
    assert back.to_files().keys() == files.keys()
    assert back.to_files()["churn.json"] == files["churn.json"]


def test_files_of_an_unusual_model_are_strict_json(data: Data) -> None:
    features, churned, offset = data
    fitted = ChurnModel(**FAST).fit(features.assign(never=np.nan), churned, offset)
    json.loads(fitted.to_files()["churn.json"], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_one_seed_one_model_whatever_the_threads() -> None:
    data = data_of(300)
    text = ChurnModel(**FAST).fit(*data).to_files()["churn.lightgbm.txt"]
    assert ChurnModel(**FAST).fit(*data).to_files()["churn.lightgbm.txt"] == text
    two = ChurnModel(**FAST, num_threads=2).fit(*data).to_files()["churn.lightgbm.txt"]
    assert two.replace("[num_threads: 2]", "[num_threads: 1]") == text
    assert ChurnModel(**FAST, seed=8).fit(*data).to_files()["churn.lightgbm.txt"] != text


@pytest.mark.parametrize(("outcome", "says"), [(1.0, "bought nothing"), (0.0, "bought again")])
def test_a_single_class_leaves_the_risk_to_the_offset(data: Data, outcome: float, says: str) -> None:
    features, churned, offset = data
    fitted = ChurnModel(**FAST).fit(features, churned * 0 + outcome, offset)
    assert fitted.rounds_ == 0
    assert fitted.note_ is not None
    assert says in fitted.note_
    np.testing.assert_array_equal(fitted.predict_probability(features, offset), sigmoid(offset))
    back = ChurnModel.from_files(fitted.to_files())
    assert back.note_ == fitted.note_
    np.testing.assert_array_equal(back.predict_probability(features, offset), sigmoid(offset))


@pytest.mark.parametrize("n", [2, 4, 10, 40])
def test_a_handful_of_customers_is_fitted_or_left_to_the_offset(n: int) -> None:
    features, churned, offset = data_of(n, seed=3)
    churned.iloc[0], churned.iloc[1] = 0.0, 1.0
    fitted = ChurnModel(**FAST).fit(features, churned, offset)
    assert fitted.predict_probability(features, offset).between(0, 1).all()
    assert (
        fitted.rounds_ > 0
        or fitted.note_ is not None
        or fitted.cross_validation_["chosen"] == fitted.cross_validation_["offset"]
    )


def test_all_rows_of_a_customer_are_in_one_fold() -> None:
    """With a customer's mark as the feature and her label the same at ten cutoffs, only leaky folds find anything."""
    rng = np.random.default_rng(5)
    index = index_of(2000, cutoffs=10)
    mark = np.tile(rng.normal(size=200), 10)
    churned = pd.Series(np.tile((rng.random(200) < 0.5).astype(float), 10), index=index, name="churned")
    offset = pd.Series(0.0, index=index, name="offset")
    fitted = ChurnModel(**FAST, min_data_in_leaf=5).fit(pd.DataFrame({"mark": mark}, index=index), churned, offset)
    assert fitted.cross_validation_["chosen"] > fitted.cross_validation_["offset"] - 0.02


def test_rows_that_do_not_belong_together_are_refused(data: Data, model: ChurnModel) -> None:
    features, churned, offset = data
    with pytest.raises(ValueError, match=r"churned.*not indexed alike"):
        ChurnModel().fit(features, churned.iloc[::-1], offset)
    with pytest.raises(ValueError, match=r"offset.*not indexed alike"):
        model.predict_probability(features, offset.iloc[:-1])
    with pytest.raises(ValueError, match="offset is not finite in 1 rows"):
        model.predict_probability(features, offset.where(offset.index != offset.index[3]))
    with pytest.raises(ValueError, match="offset is not finite"):
        ChurnModel().fit(features, churned, offset * np.inf)


def test_nothing_is_written_to_the_arguments(data: Data) -> None:
    copies = [frame.copy() for frame in data]
    features, churned, offset = data
    ChurnModel(**FAST).fit(features, churned, offset).predict_probability(features, offset)
    pd.testing.assert_frame_equal(features, copies[0])
    pd.testing.assert_series_equal(churned, copies[1])
    pd.testing.assert_series_equal(offset, copies[2])


def test_extreme_offsets_give_probabilities(model: ChurnModel, data: Data) -> None:
    features, _, offset = data
    extreme = pd.Series(np.where(np.arange(len(offset)) % 2, 600.0, -600.0), index=offset.index, name="offset")
    assert model.predict_probability(features, extreme).between(0, 1).all()


def test_share_outside_training_counts_rows_beyond_the_range(model: ChurnModel, data: Data) -> None:
    features, _, _ = data
    low, high = features["signal"].min(), features["signal"].max()
    some = features.iloc[:4].assign(signal=[low, high, high + 1, low - 1])
    share = model.share_outside_training(some)
    assert share["signal"] == 0.5
    assert share["noise"] == 0
    assert "region" not in share.index
