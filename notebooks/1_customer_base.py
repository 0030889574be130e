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
# # 1. The customer base
#
# A shop without contracts never hears a goodbye. Customers do not cancel, they just stop coming, and on any given day
# nobody can tell who has gone for good and who is only between two purchases. What the shop has is a log: who bought,
# when, for how much.
#
# This notebook reads such a log and looks at it before any model does. The second one explains the models, the third
# one what to do with their answers. They all use CDNOW, an online music shop of the 1990s, because its log has been
# public for decades and the papers behind the models print their results on it.

# %%
# %matplotlib inline
from datetime import date

import numpy as np
import pandas as pd

from churn_clv.data.cohorts import cohort_activity, cohort_of
from churn_clv.data.datasets import cdnow_sample
from churn_clv.data.features import outcomes_after
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.data.windows import LabelWindow
from churn_clv.errors import InputError
from churn_clv.evaluation.cohort_figures import retention_heatmap
from churn_clv.evaluation.figure_data import purchase_days, sample_of_days
from churn_clv.evaluation.figure_style import ACTUAL, MODEL, sheet, style, thousands
from churn_clv.evaluation.labels import Unit
from churn_clv.evaluation.purchase_figures import purchase_timing
from churn_clv.evaluation.segment_figures import pareto_curve
from churn_clv.models import GammaGammaModel
from churn_clv.segments.concentration import concentration_curve, gini, share_bringing

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## The log
#
# One row is one line of an order. Three columns are enough: a customer, a date and an amount (even the amount may be
# missing; value is then counted in purchases). `cdnow_sample` is the tenth of the customers that the papers use.

# %%
lines = cdnow_sample()
lines.head()

# %% [markdown]
# Reading checks every line. What cleaning did stands in a report: each rule, the lines it touched, how many of them it
# removed. Nothing is repaired in silence. This log is nearly clean: some lines are equal to another one (two equal
# discs in one order look like that, so they are kept) and a few purchases cost nothing.

# %%
log = read_transactions(lines)
log.cleaning.to_frame()

# %% [markdown]
# Other logs are not so clean. A line without a date cannot be used and cannot be guessed, so the whole log is refused,
# in one sentence that says what was got, where, and what to do.

# %%
broken = lines.astype({"date": "str"})
broken.loc[1000, "date"] = None
try:
    read_transactions(broken)
except InputError as refusal:
    print(refusal)

# %% [markdown]
# ## A purchase is a day
#
# Whoever orders twice on one day has made one decision to buy, not two. So the lines of a day are added up, refunds
# included, and from here on a *purchase* is a day on which a customer bought something.

# %%
days = log.connection.table("customer_days").df()
print(f"{len(lines):,} lines are {len(days):,} purchases of {log.n_customers:,} customers")
days.head()

# %% [markdown]
# ## Pretend that it is autumn
#
# All three notebooks play the same game, with other dates in the third one. We stop the clock at the end of September
# 1997, look only at what was known then, and keep the 39 weeks after it hidden: the **holdout**. Whatever we believe
# in September can then be checked.

# %%
calibration_end, holdout_end = date(1997, 9, 30), date(1998, 6, 30)
horizon_days = (holdout_end - calibration_end).days

# %% [markdown]
# ## Who buys when
#
# Sixty customers drawn at random, one line each. Every dot is a purchase, the orange ring the first one. Cover the
# right side with your hand and try to say which of these customers will be seen again.

# %%
timing = purchase_days(log, calibration_end, holdout_end)
purchase_timing(sample_of_days(timing, customers=60, seed=1), calibration_end)

# %% [markdown]
# Three things are worth seeing. Most customers came once and never again. Those who come back differ widely in pace:
# some every few weeks, some twice a year. And long silences do end now and then, so a silence is a hint, not a proof.
#
# ## Four numbers per customer
#
# It turns out that the models need very little of these histories (the second notebook shows why):
#
# | name | letter in the papers | meaning |
# |---|---|---|
# | frequency | x | purchases after the first one |
# | recency | t_x | days from the first purchase to the **last** one (not from the last one to today!) |
# | T | T | days from the first purchase to today |
# | monetary_value | m_x | mean amount of a purchase |
#
# Here is one customer's history, and what becomes of it.

# %%
customer = "02903"
known = days[days["day"] <= pd.Timestamp(calibration_end)]
known.loc[known["customer_id"] == customer, ["day", "amount"]]

# %%
summary = summarize(log, calibration_end)
summary.loc[[customer]]

# %% [markdown]
# (`monetary_value` leaves the first purchase out here, as the papers do; `spend="all"` would count it.)
#
# ## How often do they come back?
#
# The first fact about almost every customer base: most customers never return, and a few return very often. A mean
# describes neither.

# %%
repeats = summary["frequency"].clip(upper=10).astype(int).value_counts().sort_index()
with style():
    figure = sheet(f"Repeat purchases of {len(summary):,} customers until {calibration_end:%d %B %Y}", 3.2)
    axes = figure.add_subplot()
    axes.bar(repeats.index, repeats, color=MODEL)
    axes.set(xlabel="purchases after the first one (10: ten and more)", ylabel="customers")
    axes.set_xticks(repeats.index)
    thousands(axes)
figure

# %%
once, often = summary["frequency"] == 0, summary["frequency"] >= 5
share = summary.loc[often, "frequency"].sum() / summary["frequency"].sum()
print(f"{once.mean():.0%} bought once only.")
print(f"{often.mean():.0%} came back five times or more; they made {share:.0%} of all repeat purchases.")

# %% [markdown]
# ## What does a silence mean?
#
# This is the question behind everything that follows. Take the days since the last purchase, and the number of repeat
# purchases so far, and look up how many of such customers bought anything in the holdout.

# %%
later = outcomes_after(log, [LabelWindow(calibration_end, horizon_days)]).droplevel("cutoff")
weeks = ["up to 4", "4 to 13", "13 to 26", "26 to 39"]
silence = pd.cut((summary["T"] - summary["recency"]) / 7, [-1, 4, 13, 26, 39], labels=weeks)
repeated = pd.cut(summary["frequency"], [-1, 0, 2, 6, 99], labels=["none", "1 or 2", "3 to 6", "7 and more"])
both = [silence.rename("silence, weeks"), repeated.rename("repeat purchases")]
cells = (later["purchases"] > 0).groupby(both, observed=True)
cells.mean().map("{:.0%}".format).unstack(fill_value="")

# %% [markdown]
# Read down a column: the longer the silence, the fewer come back. Read along a row: after a short silence frequent
# buyers come back more often; further down that order gets blurred. One reason is that the same silence says more
# about a customer who used to come every few weeks than about one who comes twice a year. The other is how few
# customers stand behind some of these shares:

# %%
cells.size().unstack(fill_value=0)

# %% [markdown]
# A table like this is a model already, a crude one. Its cells are arbitrary, its corners nearly empty, and it knows
# one horizon only: for 26 weeks it would have to be counted again. It could not even be made in real life, where the
# holdout lies in the future. BG/NBD, in the second notebook, gets a smooth version of it out of the calibration period
# alone.
#
# ## Cohorts
#
# Customers won in the same period are a cohort. All customers of CDNOW's log were won in the first quarter of 1997, so
# there are three monthly cohorts. Each cell is the share of a cohort that bought in that month.

# %%
retention_heatmap(cohort_activity(log, holdout_end, "month"), "month")

# %% [markdown]
# The steep fall is in the first two months; afterwards the shares sink slowly, they do not go to zero. A darker cell
# stands on the diagonal (age 14, 13, 12): that is March 1998, when all three cohorts bought more. Such shocks of the
# calendar are in no model of this tutorial, and they are one reason why forecasts of totals miss.
#
# Do not read this as "the customers who remain are getting more loyal". Nobody needs to change for such a curve: those
# who leave quickly leave first, and what remains is a different mixture of people. The models say exactly this, in
# formulas.
#
# Do the three cohorts differ in anything else?

# %%
cohort = cohort_of(log, calibration_end, "month")
by_cohort = summary.join(cohort).join(later).groupby("cohort")
by_cohort.agg(
    customers=("T", "size"),
    repeats_so_far=("frequency", "mean"),
    purchases_later=("purchases", "mean"),
    spend_later=("spend", "mean"),
).round(2)

# %% [markdown]
# January's customers have more repeat purchases so far, and yet bought least afterwards: they only had more time. That
# is why every customer carries a T of her own.
#
# ## Amounts
#
# What a purchase costs is skewed: many small amounts, few large ones (the axis is logarithmic). The two peaks are the
# price of one disc and of two.

# %%
amounts, marks = days.loc[days["amount"] > 0, "amount"], [5, 10, 20, 50, 100, 200, 500]
with style():
    figure = sheet("Amount of a purchase", 3.2)
    axes = figure.add_subplot()
    axes.hist(amounts, bins=np.geomspace(2, 1000, 40), color=MODEL, edgecolor="white", linewidth=0.5)
    for name, value, line in (("mean", amounts.mean(), "-"), ("median", amounts.median(), "--")):
        axes.axvline(value, color=ACTUAL, linestyle=line, label=f"{name} {value:.0f} USD")
    axes.set(xscale="log", xlabel="USD", ylabel="purchases")
    axes.set_xticks(marks, [str(mark) for mark in marks])
    thousands(axes)
    axes.legend()
figure

# %% [markdown]
# Do those who buy often also buy more each time? If not, the two can be modelled apart: one model for *when*, one for
# *how much*. It is worth checking on every log.

# %%
print(GammaGammaModel().fit(summary).spend_frequency_correlation(summary).conclusion)

# %% [markdown]
# ## Concentration
#
# Line the customers up, those who spent most first, and add up what they brought. The bent line says how unevenly
# value is spread. Two lines: what customers had spent until September, and what they spent in the holdout, each in its
# own order.

# %%
past = known.groupby("customer_id")["amount"].sum()
spent = {"spend until September": past, "spend in the holdout": later["spend"]}
pareto_curve({name: concentration_curve(value) for name, value in spent.items()}, Unit("USD"))

# %%
for name, value in spent.items():
    print(f"{name}: {share_bringing(value):.0%} of the customers bring 80 %; Gini index {gini(value):.2f}")

# %% [markdown]
# The holdout is the more uneven of the two: everybody had bought at least once before it, and many buy nothing in it.
#
# So find the best customers and look after them? Here is the catch. Which of yesterday's best are tomorrow's best?

# %%
tenth = len(past) // 10
best_past, best_later = past.nlargest(tenth).index, later["spend"].nlargest(tenth).index
still, silent = best_past.isin(best_later).mean(), (later.loc[best_past, "purchases"] == 0).mean()
share_past, share_best = (later.loc[best, "spend"].sum() / later["spend"].sum() for best in (best_past, best_later))
print(f"Of the best tenth until September {still:.0%} are in the best tenth afterwards,")
print(f"and {silent:.0%} buy nothing at all. They bring {share_past:.0%} of the spend in the holdout;")
print(f"whoever knew the future would pick a tenth that brings {share_best:.0%}.")

# %% [markdown]
# Past spend points in the right direction, and is far from the whole answer. Part of it was luck, and part of it came
# from customers who have left since. What is missing is a forecast for each customer: will she come, how often, and
# what will she spend?
#
# The next notebook, `2_models_and_checks`, makes one out of the four numbers.
