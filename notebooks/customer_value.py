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
# # What is a customer worth? From a log to CLV in ten minutes
#
# A shop without contracts never hears a goodbye: customers just stop coming. All we have is a log of who bought when,
# and for how much. This notebook goes from that log to each customer's value with the two models of this
# repository, on CDNOW: 2,357 customers of an online music shop who first bought in early 1997.

# %%
from datetime import date

import pandas as pd

from churn_clv.data.datasets import cdnow_sample
from churn_clv.data.summary import summarize
from churn_clv.data.transactions import read_transactions
from churn_clv.models import BetaGeoModel, GammaGammaModel
from churn_clv.models.clv import discounted_clv

log = read_transactions(cdnow_sample())
log.cleaning.to_frame()

# %% [markdown]
# ## Four numbers per customer
#
# Of all the dates in a customer's history the purchase model needs three numbers, the spend model a fourth:
#
# - **frequency** x: days with a purchase after the first one;
# - **recency** t_x: days from the first purchase to the last one (not from the last one to today);
# - **T**: days from the first purchase to the end of what we know;
# - **monetary_value**: mean amount per purchase day.
#
# We pretend that it is 30 September 1997, and keep the rest of the log to check ourselves.

# %%
calibration_end = date(1997, 9, 30)
summary = summarize(log, calibration_end)
summary.head()

# %% [markdown]
# ## BG/NBD: when will she buy again, and is she still there?
#
# The story behind the model: every customer buys at her own steady rate, and after each repeat purchase she may leave
# for good, with her own probability. Rates and probabilities differ between customers; the model learns how they differ:
# r and alpha describe the rates, a and b the dropout. Fader, Hardie and Lee (2005) print r = 0.243, alpha = 4.414,
# a = 0.793, b = 2.426 for these data, with time in weeks.

# %%
weeks = summary.assign(recency=summary["recency"] / 7, T=summary["T"] / 7)
model = BetaGeoModel().fit(weeks)
model.confidence_intervals()

# %% [markdown]
# What does the model expect of the next 39 weeks? Since we kept them, we can look.

# %%
expected = model.expected_purchases(weeks, horizon=39)
later = summarize(log, date(1998, 6, 30))["frequency"].reindex(weeks.index) - weeks["frequency"]
by_frequency = pd.DataFrame({"expected": expected, "actual": later, "customers": 1}).groupby(
    weeks["frequency"].clip(upper=7)
)
by_frequency.agg({"expected": "mean", "actual": "mean", "customers": "sum"}).round(2)

# %% [markdown]
# In total it expects too little. Two thirds of what is missing comes from customers with one or two repeat purchases, whom
# the model takes for lost too soon; we come back to that below.

# %%
round(expected.sum()), int(later.sum())

# %% [markdown]
# ## A warning about p_alive
#
# In BG/NBD a customer can leave only after a *repeat* purchase. Who bought once had no chance to leave, so her
# probability of being alive is exactly 1, although such customers rarely return. Never use 1 - p_alive as a churn
# score. The honest risk is the probability of **no purchase in a horizon**. (It is too high for customers who came back once
# or more: the flaw that the LightGBM model of the full run corrects.)

# %%
pd.DataFrame(
    {
        "p_alive": model.probability_alive(weeks),
        "no purchase in 39 weeks": model.probability_no_purchase(weeks, horizon=39),
        "really bought nothing": (later == 0).astype(float),
    }
).groupby(weeks["frequency"].clip(upper=7)).mean().round(2)

# %% [markdown]
# ## Gamma-Gamma: how much will she spend?
#
# Two purchases of 60 dollars say less than twenty. The spend model weighs a customer's own mean against everybody's:
# the more purchases, the more her own counts. It assumes that spend and frequency have nothing to do with each other,
# which is worth a look:

# %%
spend = GammaGammaModel().fit(weeks)
print(spend.spend_frequency_correlation(weeks).conclusion)
print(f"population mean: {spend.population_mean_spend_:.2f} dollars")

# %% [markdown]
# ## Customer lifetime value
#
# Expected purchases times expected spend, discounted to today: here over the next 52 weeks at 10 % a year.

# %%
clv = discounted_clv(model, spend, weeks, horizon=52, annual_discount_rate=0.10, periods_per_year=365.25 / 7)
clv.describe().round(2)

# %% [markdown]
# Value is concentrated, as everywhere:

# %%
top = clv.sort_values(ascending=False)
share = top.head(len(top) // 10).sum() / top.sum()
print(f"the top tenth of customers holds {share:.0%} of the value")

# %% [markdown]
# The full run (`make train`) goes on from here: a LightGBM model corrects the risk with what BG/NBD does not look at,
# everything is judged on a holdout beside baselines, and the customers are laid out in a grid of value by risk.
