# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. The models, and how far to trust them
#
# The first notebook ended with a question: what will each customer do next? Two small probability models answer it.
# **BG/NBD** says whether and how often a customer will buy, **Gamma-Gamma** says for how much. Together they have
# seven parameters and come from two papers:
#
# - Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way, *Marketing Science* 24(2);
# - Fader & Hardie (2013), The Gamma-Gamma Model of Monetary Value, note 025.
#
# You need to know what an average is and what a probability is. Formulas stand here only where they are short.

# %%
# %matplotlib inline
from datetime import date

import numpy as np
import pandas as pd
from scipy import stats

from churn_clv.data.datasets import cdnow_sample
from churn_clv.data.features import outcomes_after
from churn_clv.data.simulate import Truth, simulate_log
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.data.windows import LabelWindow
from churn_clv.evaluation import figure_data, model_figure_data, model_figures, purchase_figures
from churn_clv.evaluation.churn_metrics import auc
from churn_clv.evaluation.figure_style import ACTUAL, MODEL, QUIET, RIVAL, percents, sheet, style
from churn_clv.evaluation.labels import Unit
from churn_clv.models import BetaGeoModel, GammaGammaModel
from churn_clv.models.clv import discounted_clv
from churn_clv.models.prediction_intervals import clv_intervals

# %% [markdown]
# ## The story of one customer
#
# BG/NBD tells a story about every customer, and it is short:
#
# 1. While she is a customer, she buys at random moments, at a steady rate of her own.
# 2. After every repeat purchase she tosses a coin of her own; if it falls the wrong way, she leaves for good. She does
#    not tell.
#
# In code the story is even shorter. Here are twelve customers who are all alike: one purchase every 30 days on
# average, and one chance in five to leave after each repeat purchase.

# %%
rng = np.random.default_rng(5)
mean_gap, chance_to_leave, customers = 30, 0.2, 12
moments = rng.exponential(mean_gap, (customers, 60)).cumsum(axis=1)
last = (rng.random((customers, 60)) < chance_to_leave).argmax(axis=1)

# %%
today = 270
with style():
    figure = sheet("Twelve customers who are all alike", 3.6)
    axes = figure.add_subplot()
    for row in range(customers):
        bought = np.append(0, moments[row, : last[row] + 1])
        axes.plot(bought, np.full(bought.size, row), "o-", color=MODEL, markersize=4, linewidth=0.6)
        axes.plot(bought[-1], row, "x", color=RIVAL, markersize=9, markeredgewidth=2)
    axes.axvline(today, color=ACTUAL, linewidth=1, label="today")
    axes.set(xlabel="days since the first purchase; x: the purchase after which the customer left", xlim=(-8, 400))
    axes.set(ylabel="one line a customer", yticks=[])
    axes.legend(loc="upper right")
figure

# %% [markdown]
# They are alike, and yet their histories are not: one leaves after two weeks, another stays for more than a year. All
# of that is chance. The orange crosses are known only because we made these customers up. A shop sees the dots to the
# left of today, and nothing else. Was the last dot the last one?
#
# ## What a silence says
#
# Suppose we knew a customer's rate and coin. She last bought some days ago. Two explanations compete: she left with
# that purchase, or she stayed and happened not to buy since. The longer the silence, the less likely is the second;
# and the more often she used to buy, the faster that goes. Weighing the two gives
#
# $$P(\text{alive}) = \frac{1}{1 + \frac{p}{1-p}\, e^{\lambda \cdot \text{silence}}}$$
#
# with the rate $\lambda$ (purchases a day) and the probability $p$ to leave.

# %%
silence = np.arange(0, 181)
with style():
    figure = sheet("Is she still there? Three customers with the same coin", 3.2)
    axes = figure.add_subplot()
    for gap, line in ((10, "-"), (30, "--"), (90, ":")):
        alive = 1 / (1 + chance_to_leave / (1 - chance_to_leave) * np.exp(silence / gap))
        axes.plot(silence, alive, line, color=MODEL, label=f"used to buy every {gap} days")
    axes.set(xlabel="days since her last purchase", ylabel="P(alive)", ylim=(0, 1))
    percents(axes)
    axes.legend()
figure

# %% [markdown]
# Two months of silence mean little for someone who comes four times a year, and are a goodbye from someone who came
# every ten days. No fixed rule of the kind "lost after 90 days" can say that.
#
# ## No two customers are alike
#
# In truth nobody's rate and coin are known, and they differ from customer to customer. So the model adds two
# sentences:
#
# 3. Rates differ between customers by a gamma distribution, with two parameters, r and alpha.
# 4. Coins differ between customers by a beta distribution, with two parameters, a and b.
#
# That is all of BG/NBD. Fitting means choosing the four numbers under which the histories that were seen are most
# likely. A good habit before trusting any fit: make customers up from known parameters, and see whether the fit finds
# them again.

# %%
truth = Truth(r=0.6, alpha=30, a=0.7, b=2.5)
made_up = read_transactions(simulate_log(customers=3000, seed=1, truth=truth))
found = BetaGeoModel().fit(summarize(made_up, made_up.last_day)).confidence_intervals()
found.assign(truth=[truth.r, truth.alpha, truth.a, truth.b]).round(2)

# %% [markdown]
# It does: every true value lies between `lower` and `upper`, its 95 % interval.
#
# ## CDNOW
#
# Now real customers. As in the first notebook we stop the clock on 30 September 1997 and keep the 39 weeks after it
# hidden. Of each customer the model needs three numbers, because the story makes everything else irrelevant: purchases
# come at random moments, so it does not matter *when* between the first and the last they were.

# %%
log = read_transactions(cdnow_sample())
calibration_end, holdout_end = date(1997, 9, 30), date(1998, 6, 30)
horizon = (holdout_end - calibration_end).days
summary = summarize(log, calibration_end)
summary[["frequency", "recency", "T"]].head()

# %%
model = BetaGeoModel().fit(summary)
model.confidence_intervals().round(3)

# %% [markdown]
# The paper prints r = 0.243, alpha = 4.414, a = 0.793 and b = 2.426 for these customers, with time in weeks. Alpha is
# the only one of them that carries time, so it is the only one that differs:

# %%
print(f"alpha in weeks: {model.params_['alpha'] / 7:.3f}")

# %% [markdown]
# Four parameters are hard to read. What they say about the customers is not:

# %%
r, alpha, a, b = model.params_.values()
months = np.array([1, 3, 12, 36]) * 365.25 / 12
above = np.append(stats.gamma.sf(1 / months, r, scale=1 / alpha), 1)
chances = np.diff(stats.beta.cdf([0, 0.05, 0.2, 0.5, 1], a, b))
with style():
    figure = sheet("How different are the customers, by the fitted model?", 3.2)
    left, right = figure.subplots(1, 2)
    names = ["under\n1 month", "1 to 3\nmonths", "3 to 12\nmonths", "1 to 3\nyears", "over 3\nyears"]
    left.bar(names, np.diff(above, prepend=0), color=MODEL)
    left.set(xlabel="mean time between purchases", ylabel="share of customers")
    right.bar(["under\n5 %", "5 to\n20 %", "20 to\n50 %", "over\n50 %"], chances, color=MODEL)
    right.set(xlabel="chance to leave after a repeat purchase")
    percents(left)
    percents(right)
figure

# %% [markdown]
# Most of these customers, while active, would buy less than once a year: for a shop, that is hard to tell from having
# left. The coins are spread out as well: some customers hardly ever leave, others are likely to go after the first
# return.
#
# ## P(alive) of real customers
#
# With the distributions known, a customer's own history narrows down her rate and coin, and the formula from above is
# averaged over what remains possible. The result, for a customer with at least one repeat purchase,
#
# $$P(\text{alive}) = \frac{1}{1 + \frac{a}{b+x-1}\left(\frac{\alpha+T}{\alpha+t_x}\right)^{r+x}},$$
#
# needs only x, t_x and T. Two customers who came often in their first months and then fell silent, day by day:

# %%
history = figure_data.purchase_days(log, calibration_end, holdout_end)
with style():
    figure = sheet("P(alive), day by day", 4.2)
    for axes, name in zip(figure.subplots(2, 1, sharex=True), ["02761", "02389"], strict=True):
        bought = history.loc[history["customer_id"] == name, "day"]
        followed = model_figure_data.alive_over_time(bought, model, holdout_end)
        axes.plot(followed["p_alive"], color=MODEL)
        axes.plot(bought, np.full(len(bought), 1.03), "|", color=ACTUAL, markersize=9, label="purchase")
        axes.axvline(pd.Timestamp(calibration_end), color=QUIET, linewidth=1)
        axes.set(ylabel="P(alive)", ylim=(0, 1.1))
        axes.set_title(f"customer {name}")
        percents(axes)
    axes.legend(loc="lower right")
figure

# %% [markdown]
# The probability falls in every silence and jumps up with every purchase: who buys is there. It does not jump to 100
# %, because right after a purchase the coin has just been tossed; but the peaks rise, because every coin that fell
# well is evidence for a good coin. Both customers had nearly been given up by the end of September (the grey line).
# The first never returned. The second came back in November, and often. The model was not wrong about her: a small
# probability is not zero. But nobody should take "probably gone" for "gone".
#
# The same for every possible history of a customer of a median age, as a map. On the right: at equal recency, more
# purchases in the past mean a *lower* P(alive) unless the last one is recent. On the left, what a shop wants to know
# more:

# %%
states = figure_data.frequency_recency_states(age=summary["T"].median(), highest=14)
answers = {
    "expected_purchases": model.expected_purchases(states, horizon),
    "p_alive": model.probability_alive(states),
}
purchase_figures.frequency_recency(states.assign(**answers), horizon, "BG/NBD")

# %% [markdown]
# ## Why 1 - P(alive) is no churn risk
#
# It is tempting to sort customers by 1 - P(alive) and to call that churn risk. In BG/NBD this is a serious mistake.
# Look at step 2 of the story again: the coin is tossed after a *repeat* purchase. Who bought once has never tossed it,
# so for the model she is alive with certainty, however long ago that was.
#
# The honest risk is the probability of **no purchase in a horizon**, here the 39 weeks. It counts both ways of not
# coming: having left, and being there but slow. (In MBG/NBD and Pareto/NBD customers can leave at once, so the first
# half of the mistake is smaller there. The second half, forgetting the slow ones, stays.)

# %%
later = outcomes_after(log, [LabelWindow(calibration_end, horizon)]).droplevel("cutoff")
churned = (later["purchases"] == 0).astype(float)
risks = pd.DataFrame(
    {
        "1 - P(alive)": 1 - model.probability_alive(summary),
        "P(no purchase)": model.probability_no_purchase(summary, horizon),
    }
)
by_frequency = risks.assign(**{"bought nothing": churned}).groupby(summary["frequency"].clip(upper=7).astype(int))
by_frequency.mean().map("{:.0%}".format)

# %% [markdown]
# AUC puts a number on the order: the probability that a customer who bought nothing is ranked above one who bought
# again. One half is chance.

# %%
one_each = np.ones(len(churned))
for name, risk in risks.items():
    print(f"{name}: AUC {auc(churned.to_numpy(), risk.to_numpy())(one_each):.2f}")

# %% [markdown]
# Sorted by 1 - P(alive) the list is worse than a shuffled one: it is upside down. From here on, **risk** or **R** is
# always the probability of no purchase in the horizon.
#
# ## Forecasts
#
# For every customer the model gives a whole distribution of purchases, not only a mean.

# %%
three = summary.loc[["00060", "02903", "00111"]]
forecast = model.purchase_count_pmf(three, np.arange(6), horizon).map("{:.0%}".format)
forecast.columns = [f"P({n})" for n in forecast.columns]
three[["frequency", "recency", "T"]].join(model.expected_purchases(three, horizon).round(2)).join(forecast)

# %% [markdown]
# (P(n): the probability of n purchases in the horizon.) The first two customers have about the same chance of buying
# nothing, and yet the second one's mean is three times as high: *if* she is still there, she will come often. A mean
# alone hides that.
#
# ## Check 1: does it reproduce what it was fitted to?
#
# A model that cannot describe the past need not be asked about the future. Four parameters for 2,357 customers could
# easily fail here.

# %%
counts = figure_data.repeat_counts(summary["frequency"], summary["T"], model)
purchase_figures.frequency_fit(counts, "BG/NBD")

# %% [markdown]
# ## Check 2: does it keep track?
#
# Repeat purchases by week, counted and expected. Everything to the right of the line was unknown to the model.

# %%
weeks = figure_data.weekly_repeats(history, model, calibration_end, holdout_end)
purchase_figures.tracking(weeks, calibration_end, len(summary), "BG/NBD")

# %% [markdown]
# The dashed line follows the fall of the weekly purchases without having been told that they fall: slow and departed
# customers are the explanation. What it cannot follow are single weeks (a campaign, Christmas), and in the holdout it
# ends too low.

# %%
expected, actual = model.expected_purchases(summary, horizon), later["purchases"]
miss = expected.sum() / actual.sum() - 1
print(f"expected {expected.sum():,.0f} purchases in the holdout, counted {actual.sum():,.0f}: {miss:+.0%}")

# %% [markdown]
# ## Check 3: is it right about whom?
#
# A right total can hide two errors that cancel. So group the customers by what was known of them, and compare the mean
# of each group.

# %%
means = figure_data.means_by_frequency(summary["frequency"], actual, pd.DataFrame({"expected": expected}))
with style():
    figure = sheet("Purchases in the holdout, by repeat purchases before it", 3.4)
    axes = figure.add_subplot()
    error = [means["actual"] - means["low"], means["high"] - means["actual"]]
    bars = {"fmt": "o", "color": ACTUAL, "capsize": 3, "label": "actual, 95 % interval"}
    axes.errorbar(means.index, means["actual"], error, **bars)
    axes.plot(means.index, means["expected"], "s", color=MODEL, label="expected by BG/NBD")
    axes.set(xlabel="repeat purchases before (7: seven and more)", ylabel="mean purchases in the holdout")
    axes.set_ylim(0)
    axes.legend(loc="upper left")
figure

# %%
missing = means["customers"] * (means["actual"] - means["expected"])
print(f"{missing.sum():.0f} purchases are missing in all,")
print(f"{missing[[1, 2]].sum():.0f} of them of customers with one or two repeat purchases")

# %% [markdown]
# The order is right and the sizes nearly so. But there is a pattern in the error: whoever came back once or twice buys
# more than expected. The model takes them for lost too soon. We come back to that.
#
# ## Gamma-Gamma: how much will she spend?
#
# Two purchases of 100 dollars each: is she a customer of 100 dollars? With twenty purchases we would believe it; with
# two it may be luck. Gamma-Gamma's story is again one of chance and of differences:
#
# 1. A customer's purchases vary at random around a mean of her own.
# 2. Those means differ between customers.
# 3. How much she spends has nothing to do with how often she comes.
#
# The third sentence is an assumption that can be looked at:

# %%
spend = GammaGammaModel().fit(summary)
print(spend.spend_frequency_correlation(summary).conclusion)

# %% [markdown]
# Does the model reproduce what customers spent on average?

# %%
model_figures.spend_fit(model_figure_data.spend_density(summary, spend), Unit("USD"))

# %% [markdown]
# The long tail is right. The peak is not: many of these customers bought one disc at the price of one disc, and a smooth
# curve knows no price list.
#
# The forecast is a weighted mean of her own mean and everybody's. The more purchases, the more weight on her own:

# %%
own_means, purchases = [10.0, 40.0, 100.0, 200.0], [1.0, 2.0, 5.0, 20.0]
grid = pd.MultiIndex.from_product([purchases, own_means], names=["purchases", "own mean, USD"])
cases = pd.DataFrame({"frequency": grid.get_level_values(0), "monetary_value": grid.get_level_values(1)}, index=grid)
print(f"everybody's mean: {spend.population_mean_spend_:.0f} USD a purchase")
spend.expected_spend(cases).unstack().round().astype(int)

# %% [markdown]
# Statisticians call this shrinkage. Does it pay? For customers who bought again in the holdout, compare both forecasts
# of a purchase with what a purchase really brought, in four groups by the customer's own mean.

# %%
bought = summary[(summary["frequency"] > 0) & (actual > 0)]
forecasts = pd.DataFrame(
    {
        "own mean so far": bought["monetary_value"],
        "Gamma-Gamma": spend.expected_spend(bought),
        "actual, holdout": (later["spend"] / later["purchases"]).loc[bought.index],
    }
)
quarter = pd.qcut(bought["monetary_value"], 4, labels=["lowest quarter", "second", "third", "highest quarter"])
forecasts.groupby(quarter.rename("by own mean"), observed=True).mean().round(1)

# %% [markdown]
# The highest quarter was high partly by luck, the lowest low by bad luck: both came back towards the middle.
# Gamma-Gamma moves every group in the right direction, the lower half not far enough.
#
# ## Customer lifetime value
#
# Purchases times spend, and money that comes later counts a little less: here at 10 % a year, over the next 52 weeks.

# %%
terms = {"horizon": 364, "annual_discount_rate": 0.10, "periods_per_year": 365.25}
clv = discounted_clv(model, spend, summary, **terms)
best, tenth = clv.nlargest(5).index, clv.nlargest(len(clv) // 10)
print(f"all customers: {clv.sum():,.0f} USD; the best tenth: {tenth.sum() / clv.sum():.0%} of it")
clv_intervals(model, spend, summary.loc[best], **terms, size=500, seed=1).round().astype(int)

# %% [markdown]
# The table is a warning. These are the five most valuable customers, and the 90 % intervals of what each of them will
# spend are wide. A CLV is a mean over many customers who look alike; of one customer it promises little.
#
# ## The churn hybrid: let trees correct what the story misses
#
# We saw a pattern in BG/NBD's errors. The story also ignores much of what a log knows: whether the gaps were regular,
# whether purchases got smaller, how the last gap compares with the usual one. LightGBM, a model of decision trees, can
# learn from such features. On its own it needs many customers and knows nothing about horizons. So this project lets
# it *start* from BG/NBD's risk and learn only a correction.
#
# Learning needs examples with known answers, and they must come from before the day we judge. So go back to three
# earlier days, forecast 26 weeks from each with what was known then, and look what happened. This takes the whole of
# CDNOW, and 52 weeks to learn.

# %%
from IPython.display import Markdown
from scipy.special import logit

from churn_clv.data.datasets import cdnow
from churn_clv.data.features import features_at
from churn_clv.evaluation import accuracy_figures
from churn_clv.evaluation.bootstrap import bootstrap_weights, compare
from churn_clv.evaluation.calibration import calibration_error
from churn_clv.evaluation.churn_metrics import log_loss
from churn_clv.models.churn import log_losses
from churn_clv.models.known import Known, Past
from churn_clv.models.reasons import reasons
from churn_clv.models.risk import RiskModel

# %%
everyone = read_transactions(cdnow())
judged_on, half_year = date(1997, 12, 30), 182
labels = [LabelWindow(day, half_year) for day in (date(1997, 4, 1), date(1997, 5, 13), date(1997, 7, 1))]
pd.DataFrame([(label.cutoff, label.end) for label in labels], columns=["known until", "answer known on"])

# %% [markdown]
# Each day gets its own BG/NBD, fitted on what was known then, and its own features.

# %%
cutoffs = [*(label.cutoff for label in labels), judged_on]
features = features_at(everyone, cutoffs)
known = {}
for cutoff in cutoffs:
    then = summarize(everyone, cutoff)
    described = features.xs(cutoff, level="cutoff")
    known[cutoff] = Known(then, described, BetaGeoModel().fit(then), spend=None, horizon_days=half_year)

# %%
present = known.pop(judged_on)
past = Past(known, outcomes_after(everyone, labels))
hybrid = RiskModel("offset_hybrid").fit(past)
accuracy_figures.importances(hybrid.importances())

# %% [markdown]
# How good is the correction, on 26 weeks and on customers' futures that neither model has seen? Three measures: AUC
# for the order, log loss for the probabilities (less is better; being sure and wrong is punished hard), and the
# calibration error: how far, on average, a group of customers with a stated risk is from that risk.

# %%
outcome = (outcomes_after(everyone, [LabelWindow(judged_on, half_year)])["purchases"] == 0).astype(float)
outcome = outcome.droplevel("cutoff")
rated = {"hybrid": hybrid.predict_probability(present), "BG/NBD": present.own_risk}
measures = {"AUC": auc, "log loss": log_loss, "calibration error": calibration_error}
predictions = {name: risk.reindex(outcome.index).to_numpy() for name, risk in rated.items()}
comparison = compare(measures, outcome.to_numpy(), predictions, bootstrap_weights(len(outcome), 100, seed=1))
comparison.round(4)

# %% [markdown]
# `difference` is hybrid minus BG/NBD on the same resampled customers, with its 95 % interval. An interval that
# excludes 0 says that the hybrid is better on these 26 weeks; whether that holds at other times is a question for many
# dates (`make backtest`; the README has the answer for four logs, and it is not always yes).
#
# Where does the gain come from? Cut the sum of the gain in log loss by what BG/NBD could see, too:

# %%
group = present.summary["frequency"].clip(upper=7).astype(int)
table = pd.DataFrame({**rated, "bought nothing": outcome}).groupby(group).mean().map("{:.0%}".format)
losses = {name: log_losses(outcome, logit(risk.loc[outcome.index])) for name, risk in rated.items()}
gain = (losses["BG/NBD"] - losses["hybrid"]).groupby(group).sum()
table.assign(**{"share of the gain": (gain / gain.sum()).map("{:.0%}".format)})

# %% [markdown]
# In every group of repeat buyers BG/NBD's risk is too high: it gives up on those who pause. The hybrid corrects that,
# for frequent buyers a little too far. The gain is spread over all groups, and the few customers with seven and more
# repeat purchases have the largest share of it: that is where giving up is a confident mistake.
#
# ## Can the probabilities be taken at their word?
#
# Take all customers with a risk of about 70 %: did 70 % of them buy nothing? The reliability curve asks this in ten
# groups of equal size. On the diagonal, words and facts agree.

# %%
with style():
    figure = sheet("Share that bought nothing, by predicted risk", 4.4, width=5.6)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], "--", color=QUIET, linewidth=1)
    for (name, risk), (mark, colour) in zip(rated.items(), (("o-", MODEL), ("s:", RIVAL)), strict=True):
        curve = figure_data.calibration_curve(outcome, risk.loc[outcome.index])
        error = [curve["realised"] - curve["low"], curve["high"] - curve["realised"]]
        axes.errorbar(curve["predicted"], curve["realised"], error, fmt=mark, color=colour, label=name)
    axes.set(xlabel="predicted", ylabel="happened, 95 % interval", xlim=(0.15, 1), ylim=(0.15, 1))
    percents(axes)
    percents(axes, "x")
    axes.legend(loc="lower right")
figure

# %% [markdown]
# BG/NBD's last point lies below the diagonal and below its neighbours: those whom it is surest to see no more come
# back more often than those it is less sure of. Many of them have a few purchases and then a long silence. The hybrid
# has moved them.
#
# The hybrid is off in one direction: most of its points lie above the diagonal, more customers stayed away than it
# said. There is a reason, and no model could have known it: fewer customers bought in this half year than in those it
# learned from.

# %%
print(f"bought nothing in the half years learned from: {past.churned.mean():.0%}")
print(f"bought nothing in the holdout: {outcome.mean():.0%}")

# %% [markdown]
# ## Why this customer?
#
# A risk without a reason is hard to act on. The correction is a sum of what each feature adds, so its largest parts
# can be said in words. They are what moves the model, not causes.

# %%
some = rated["hybrid"].sample(4, random_state=3).index
inputs, parts = hybrid.tree_inputs(present).loc[some], hybrid.contributions(present).loc[some]
words = reasons(parts, inputs, present.summary.loc[some], currency="USD", corrected="BG/NBD")
Markdown("\n".join(f"- {customer}, risk {rated['hybrid'][customer]:.0%}: {words[customer]}" for customer in some))

# %% [markdown]
# ## What to remember
#
# - BG/NBD explains a log by slow and departed customers and needs three numbers of each. Its P(alive) is a good answer
#   to a question nobody should ask for churn; its P(no purchase in a horizon) is the risk.
# - Gamma-Gamma pulls small samples of spend towards everybody's mean.
# - One customer's forecast is a wide distribution. Groups can be forecast well, totals only up to what the season
#   does.
# - Checks come in an order: the past, the total, the groups, the probabilities, and other dates.
#
# The next notebook, `3_grid_and_actions`, puts value and risk of every customer on one page and asks what to do.
