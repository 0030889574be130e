"""The churn model corrects an offset: nothing learned is the offset itself, and files bring back every bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churn_clv.data.feature_names import BEHAVIOURAL_NAMES
from churn_clv.models import boosting
from churn_clv.models.boosting import customer_folds
from churn_clv.models.churn import KNOWN_SIGNS, ChurnModel, log_losses

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


def auc(churned: pd.Series, score: pd.Series) -> float:
    """Mann-Whitney's statistic, with ties counted half."""
    ranks = score.rank().to_numpy()
    left = churned.to_numpy() == 1
    n1, n0 = left.sum(), (~left).sum()
    return float((ranks[left].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


@pytest.fixture(scope="module")
def free(data: Data) -> ChurnModel:
    """Without a purchase model, from the base rate."""
    features, churned, _ = data
    return ChurnModel(**FAST, start="base_rate").fit(features, churned)


@pytest.mark.parametrize("start", ["offset", "base_rate"])
def test_permuted_labels_cannot_be_ranked(start: Any) -> None:
    """AUC of customers left out lies within three standard errors of .5: Hanley & McNeil (1982), no difference."""
    features, churned, offset = data_of(4000, seed=11)
    permuted = churned.copy()
    permuted[:] = np.random.default_rng(3).permutation(churned.to_numpy())
    fitted = ChurnModel(**FAST, start=start).fit(features, permuted, offset * 0 if start == "offset" else None)
    # ranked within the folds: across them, what is left out is rich in what the rest is poor in
    fold_of = customer_folds(features.index, 5)
    for k in range(5):
        here, score = permuted[fold_of == k], fitted.out_of_fold_[fold_of == k]
        n1, n0 = (here == 1).sum(), (here == 0).sum()
        assert abs(auc(here, score) - 0.5) < 3 * np.sqrt((n1 + n0 + 1) / (12 * n1 * n0))


def test_out_of_fold_log_odds_are_by_trees_that_did_not_see_the_customer() -> None:
    """A fit on the other folds alone, with as many rounds, is the slow oracle."""
    import lightgbm

    features, churned, offset = data_of(800, seed=4)
    fitted = ChurnModel(**FAST).fit(features, churned, offset)
    assert fitted.rounds_ > 0
    fold_of = customer_folds(features.index, 5)
    encoded = fitted._trees.encode(features)
    settings = fitted.lightgbm_settings(fitted.features_)
    for k in (0, 3):
        rest, out = fold_of != k, fold_of == k
        # bins are those of all rows, as in the fit: they know features, not outcomes
        whole = lightgbm.Dataset(encoded, churned.to_numpy(), init_score=offset.to_numpy(), free_raw_data=False)
        booster = lightgbm.train(settings, whole.subset(np.flatnonzero(rest)), fitted.rounds_)
        expected = offset[out] + booster.predict(encoded[out], raw_score=True)
        np.testing.assert_allclose(fitted.out_of_fold_[out], expected, atol=1e-12)
    loss = log_losses(churned.to_numpy(), fitted.out_of_fold_.to_numpy()).mean()
    assert loss == pytest.approx(fitted.cross_validation_["chosen"], abs=1e-12)


def test_out_of_fold_log_odds_are_the_start_where_the_trees_did_not_pay() -> None:
    features, churned, offset = data_of(effect=0.0, seed=6)
    features = features.assign(signal=1.0, noise=2.0, sparse=np.nan, region="north")
    fitted = ChurnModel(**FAST).fit(features, churned, offset)
    np.testing.assert_array_equal(fitted.out_of_fold_, offset)
    base = ChurnModel(**FAST, start="base_rate").fit(features, churned)
    assert base.rounds_ == 0
    np.testing.assert_allclose(base.predict_probability(features), churned.mean(), atol=1e-12)
    np.testing.assert_array_equal(base.out_of_fold_, base.base_log_odds_)


def test_without_an_offset_the_trees_start_from_the_base_rate(free: ChurnModel, data: Data) -> None:
    features, churned, _ = data
    assert free.base_log_odds_ == pytest.approx(np.log(churned.mean() / (1 - churned.mean())), abs=1e-12)
    assert free.cross_validation_["base_rate"] == pytest.approx(
        -churned.mean() * np.log(churned.mean()) - (1 - churned.mean()) * np.log(1 - churned.mean())
    )
    assert free.cross_validation_["chosen"] < free.cross_validation_["base_rate"] - 0.1
    np.testing.assert_array_equal(
        free.predict_probability(features), 1 / (1 + np.exp(-free.predict_log_odds(features)))
    )


def test_a_table_of_customers_without_cutoffs_is_learned(data: Data) -> None:
    features, churned, _ = data
    one = features.xs(0, level="cutoff"), churned.xs(0, level="cutoff")
    fitted = ChurnModel(**FAST, start="base_rate").fit(*one)
    assert fitted.out_of_fold_.index.equals(one[0].index)
    assert auc(one[1], fitted.out_of_fold_) > 0.8


def test_an_offset_goes_with_its_start_and_only_there(free: ChurnModel, model: ChurnModel, data: Data) -> None:
    features, churned, offset = data
    with pytest.raises(ValueError, match="no offset was given, but start is 'offset'"):
        ChurnModel().fit(features, churned)
    with pytest.raises(ValueError, match="an offset was given, but start is 'base_rate'"):
        ChurnModel(start="base_rate").fit(features, churned, offset)
    with pytest.raises(ValueError, match="no offset was given"):
        model.predict_log_odds(features)
    with pytest.raises(ValueError, match="an offset was given"):
        free.predict_probability(features, offset)
    with pytest.raises(ValueError, match="start must be"):
        ChurnModel(start="zero")  # type: ignore[arg-type]


def test_monotone_features_are_monotone_on_a_grid() -> None:
    """The truth falls in the middle of the signal's range; constrained trees may not."""
    rng = np.random.default_rng(8)
    index = index_of(3000)
    features = pd.DataFrame({"signal": rng.uniform(-2, 2, 3000), "other": rng.normal(size=3000)}, index=index)
    log_odds = 2 * features["signal"] - 4 * ((features["signal"] > 0) & (features["signal"] < 0.7)) + features["other"]
    churned = pd.Series((rng.random(3000) < sigmoid(log_odds)).astype(float), index=index, name="churned")
    free = ChurnModel(**FAST, start="base_rate").fit(features, churned)
    bound = ChurnModel(**FAST, start="base_rate", monotone={"signal": 1}).fit(features, churned)
    assert bound.rounds_ > 10

    grid = np.linspace(-2.5, 2.5, 400)
    for other in (-1.5, 0.0, 1.5):
        line = pd.DataFrame({"signal": grid, "other": other}, index=pd.RangeIndex(400, name="customer_id"))
        assert (np.diff(free.predict_log_odds(line)) < -0.01).any(), "free trees follow the dip"
        # sums of rising trees may fall by rounding only
        assert (np.diff(bound.predict_log_odds(line)) > -1e-12).all()


def test_monotone_is_refused_where_nobody_knows_the_sign(data: Data) -> None:
    features, churned, _ = data
    with pytest.raises(ValueError, match="nobody knows the sign"):
        ChurnModel(monotone={"signal": 1})
    for monotone in ({"signl": 1}, {"region": 1}, {"signal": 2}):
        with pytest.raises(ValueError, match="monotone maps numeric features"):
            ChurnModel(start="base_rate", monotone=monotone).fit(features, churned)


def test_known_signs_are_of_features_that_exist() -> None:
    assert set(KNOWN_SIGNS) <= BEHAVIOURAL_NAMES


def test_contributions_add_up_to_the_log_odds(model: ChurnModel, free: ChurnModel, data: Data) -> None:
    features, _, offset = data
    for fitted, given in ((model, offset), (free, None)):
        shares = fitted.contributions(features, given)
        assert list(shares.columns) == [*features.columns, "start"]
        assert shares.index.equals(features.index)
        np.testing.assert_allclose(shares.sum(axis=1), fitted.predict_log_odds(features, given), atol=1e-9)
        assert shares["signal"].abs().mean() > 5 * shares["noise"].abs().mean()
    # the offset is in the start and nowhere else
    moved = model.contributions(features, offset + 1.0) - model.contributions(features, offset)
    np.testing.assert_allclose(moved["start"], 1.0, atol=1e-12)
    assert (moved.drop(columns="start") == 0).all(axis=None)


def test_contributions_without_trees_are_the_start_alone(data: Data) -> None:
    features, churned, offset = data
    fitted = ChurnModel(**FAST).fit(features, churned * 0, offset)
    shares = fitted.contributions(features, offset)
    np.testing.assert_array_equal(shares["start"], offset)
    assert (shares.drop(columns="start") == 0).all(axis=None)
    assert fitted.contributions(features.iloc[:0], offset.iloc[:0]).empty


def test_a_feature_named_start_is_refused(data: Data) -> None:
    features, churned, offset = data
    with pytest.raises(ValueError, match="named 'start'"):
        ChurnModel().fit(features.rename(columns={"noise": "start"}), churned, offset)


def test_several_models_fit_in_one_folder(model: ChurnModel, free: ChurnModel, data: Data) -> None:
    features, _, offset = data
    files = model.to_files() | free.to_files("free")
    assert sorted(files) == ["churn.json", "churn.lightgbm.txt", "free.json", "free.lightgbm.txt"]
    back = ChurnModel.from_files(files, "free")
    pd.testing.assert_series_equal(back.predict_log_odds(features), free.predict_log_odds(features), check_exact=True)
    assert (back.start, back.base_log_odds_) == ("base_rate", free.base_log_odds_)
    first = ChurnModel.from_files(files)
    pd.testing.assert_series_equal(
        first.predict_log_odds(features, offset), model.predict_log_odds(features, offset), check_exact=True
    )


def test_no_customer_is_in_the_files(data: Data) -> None:
    named = [frame.rename(index=lambda c: f"client-{c}", level="customer_id") for frame in data]
    fitted = ChurnModel(**FAST).fit(*named)
    assert fitted.out_of_fold_.index[0] == (0, "client-00000")
    assert not any("client-" in text for text in fitted.to_files().values())


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_a_single_class_without_an_offset_gives_a_finite_base_rate(data: Data, outcome: float) -> None:
    """Half a customer of the class that is missing: (0.5) / n of 1,200."""
    features, churned, _ = data
    fitted = ChurnModel(start="base_rate").fit(features, churned * 0 + outcome)
    assert fitted.note_ is not None and fitted.note_.endswith("risk is the base rate")
    np.testing.assert_allclose(np.abs(fitted.predict_probability(features) - outcome), 0.5 / 1200, rtol=1e-9)


def test_labels_that_are_no_outcomes_are_refused(data: Data) -> None:
    features, churned, offset = data
    with pytest.raises(ValueError, match="churned must be 0 or 1; 1200 of 1200 labels are not"):
        ChurnModel().fit(features, churned + 2, offset)
    with pytest.raises(ValueError, match="churned is not finite in 1 rows"):
        ChurnModel().fit(features, churned.where(churned.index != churned.index[3]), offset)


def test_with_very_many_rows_one_fold_is_left_out(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    features, churned, offset = data
    monkeypatch.setattr(boosting, "MANY_ROWS", 1000)
    fitted = ChurnModel(**FAST).fit(features, churned, offset)
    left_out = customer_folds(features.index, 5) == 0
    assert fitted.out_of_fold_.index.equals(features.index[left_out])
    loss = log_losses(churned[left_out].to_numpy(), fitted.out_of_fold_.to_numpy()).mean()
    assert fitted.cross_validation_["chosen"] == pytest.approx(loss, abs=1e-12)
    alone = log_losses(churned[left_out].to_numpy(), offset[left_out].to_numpy()).mean()
    assert fitted.cross_validation_["offset"] == pytest.approx(alone, abs=1e-12)
    assert fitted.rounds_ > 10


def test_fitting_copies_no_columns(data: Data) -> None:
    """At a million customers a copy of the numbers is what memory goes to."""
    numbers = data[0].drop(columns="region")
    encoded = boosting.Trees.reading(numbers).encode(numbers)
    for place, name in enumerate(numbers.columns):
        assert np.shares_memory(encoded[f"f{place}"].to_numpy(), numbers[name].to_numpy())
