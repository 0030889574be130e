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
# # 3. The grid, and what to do
#
# The second notebook ended with a risk and a value for every customer. Here they meet: in a grid of value by risk, in
# which each cell has a name and a plan. Then come the questions that decide whether anybody should act on it. Did the
# cells keep their promises? What would contacting the customers cost and earn? Who exactly is meant?
#
# Everything below comes out of one run, the same that `make train` makes (with fewer bootstrap samples, to be
# quicker).

# %%
# %matplotlib inline
import numpy as np
import pandas as pd
from IPython.display import Markdown

from churn_clv.config import load_config
from churn_clv.delivery.grid_verdict import CRITERIA, not_holding, verdict_sentence
from churn_clv.delivery.segment_lists import listed
from churn_clv.delivery.segment_tables import SCHEME
from churn_clv.evaluation.figure_style import ACTUAL, MODEL, percents, sheet, style
from churn_clv.evaluation.figures import DRAWINGS, unit_of
from churn_clv.evaluation.segment_drawings import SEGMENT_DRAWINGS, cells
from churn_clv.segments.contact_profit import ContactTerms, contact_profit
from churn_clv.segments.outreach import AS_ASSUMED, contact_plan
from churn_clv.segments.playbook import Playbook
from churn_clv.train import train

pd.set_option("display.max_colwidth", None)

# %%
config = load_config("../configs/cdnow.yaml", ["evaluation.bootstrap_samples=50"])
run = train(config)
Markdown("\n".join(f"- {note}" for note in run.notes))

# %% [markdown]
# A run says in sentences how good it was, and against whom. Two dates must not be confused:
#
# - on 30 December 1997 customers were scored with what was known then, and **judged** by what they did in the 26 weeks
#   after it;
# - on the last day of the log the models were fitted again on everything, and today's customers were scored for
#   **production**.
#
# ## Two axes that do not say the same thing
#
# The risk axis is R, the probability of no purchase in the horizon. What should the value axis be? Expected spend or
# CLV comes to mind, but both already contain the risk: a customer who is unlikely to come has a low expected spend
# *because* of that. A grid of the two would count risk twice. So the value axis is **value if active**, V_act: what
# the customer is expected to spend *if* she buys at all.
#
# | | meaning |
# |---|---|
# | R | probability of no purchase in the horizon |
# | V_act | expected spend, given at least one purchase |
# | V_res = (1 - R) V_act | expected spend: what we will get |
# | value at risk = R V_act | at most what inactivity costs |
#
# Three customers who are worth the same while they come:

# %%
three = pd.DataFrame({"R": [0.1, 0.5, 0.9], "V_act": 100.0}, index=["loyal", "wavering", "leaving"])
three.assign(
    V_res=(1 - three["R"]) * three["V_act"],
    value_at_risk=three["R"] * three["V_act"],
    R_times_V_res=three["R"] * (1 - three["R"]) * three["V_act"],
)

# %% [markdown]
# V_res and value at risk add up to V_act. The last column is a common mistake, "churn probability times CLV": it
# cannot tell the loyal customer from the leaving one, and prefers the one in the middle.
#
# How much do the candidates for a value axis repeat the risk? Their rank correlation with R, over the judged
# customers:

# %%
judged = run.judged
axes_of_value = ["expected_spend", "clv", "value_if_active", "value_to_date"]
judged[axes_of_value].corrwith(judged["churn_probability"], method="spearman").round(2)

# %% [markdown]
# Value if active repeats it least, and still more than we would like. It counts how often an active customer comes,
# and who comes often is at low risk; and on CDNOW customers with large baskets come back more often. Here is
# everybody, with the grid's cut points.

# %%
grid = run.judged_models.grid
with style():
    figure = sheet(f"{len(judged):,} customers, and where the grid cuts", 4.2)
    axes = figure.add_subplot()
    shades = {"gridsize": 45, "yscale": "log", "bins": "log", "mincnt": 1, "cmap": "Blues", "linewidths": 0.1}
    cloud = axes.hexbin(judged["churn_probability"], judged["value_if_active"], **shades)
    for cut in grid.risk_cuts:
        axes.axvline(cut, color=ACTUAL, linewidth=1)
    for cut in grid.value_cuts:
        axes.axhline(cut, color=ACTUAL, linewidth=1)
    axes.set(xlabel="R, probability of no purchase in 26 weeks", ylabel="V_act, USD")
    axes.set_yticks([20, 50, 100, 200, 500, 1000], ["20", "50", "100", "200", "500", "1,000"])
    percents(axes, "x")
    figure.colorbar(cloud, ax=axes, label="customers")
figure

# %% [markdown]
# The dark strip on the right is everybody who bought once: their risks hardly differ, and half of all customers are in
# it. Thirds of equal size would cut through the middle of it, so this config names its risk cuts.
#
# The cut points are taken once, on the judged day, and stay the same from then on: customers move, cuts do not.
# Otherwise a customer could change her cell because others changed.
#
# ## What the cells really did
#
# The judged grid: customers placed by scores of 30 December, and what they did in the 26 weeks after it. Nothing in
# this picture is a forecast but the place of the customers.

# %%
DRAWINGS["grid_judged"](run)

# %% [markdown]
# Read it along both axes. To the right fewer customers came back, upwards they spent more, in every row and every
# column. The same with forecasts beside the facts, and each cell's share of all that was spent:

# %%
table = run.judged_grid.set_index("segment").loc[cells(run)]
brought = table["realised_spend"] * table["customers"]
pd.DataFrame(
    {
        "customers": table["customers"],
        "churn, forecast": table["churn_probability"].map("{:.0%}".format),
        "churn, happened": table["realised_churn"].map("{:.0%}".format),
        "spend, forecast": (table["expected_spend"] / table["customers"]).round(1),
        "spend, happened": table["realised_spend"].round(1),
        "share of all spend": (brought / brought.sum()).map("{:.0%}".format),
    }
)

# %% [markdown]
# ## May one act on it?
#
# A grid makes a good picture whether or not it is true. So it must pass a list of criteria, each with a limit that was
# set before. Does churn rise with the risk tier and spend with the value tier? Are the levels right, cell by cell? Do
# the axes say different things? Would other customers give the same cuts, and do customers stay where they are?

# %%
acceptance = run.segmentation.acceptance
holds = acceptance["passes"].map({True: "yes", False: "no"}).fillna("no limit")
rows = [
    [CRITERIA[name].question.format(n="spend"), CRITERIA[name].figure(row["figure"]), holds[name]]
    for name, row in acceptance.iterrows()
]
print(verdict_sentence(acceptance))
verdicts = pd.DataFrame(rows, columns=["criterion", "found", "holds"]).set_index("criterion")
verdicts.sort_values("holds", kind="stable")

# %% [markdown]
# And in words, what does not hold:

# %%
Markdown("\n".join(f"- {sentence}" for sentence in not_holding(run, unit_of(run))))

# %% [markdown]
# What follows from this list is not yes or no. The *order* of the cells can be relied on: who is in a better cell did
# better. The *level* cannot, not everywhere: who plans with the spend of a cell should use what its members did, not
# what was forecast. And the axes are related, so one corner of the grid is nearly empty: hardly anybody has little
# value and little risk.
#
# ## Today's customers
#
# The production grid: the same cuts, customers as of the end of the log. Now the large numbers are forecasts, and
# beside them stands what the members of the same cell did in the judged grid. The two are never mixed.

# %%
DRAWINGS["grid_production"](run)

# %% [markdown]
# What is the whole base worth, and how sure is that?

# %%
settings = run.models.settings
horizons = settings.horizon_days, settings.clv_horizon_days
Markdown("\n\n".join(run.segmentation.equity.sentences(unit_of(run), *horizons)))

# %% [markdown]
# ## Other views of the same customers
#
# A grid is one way to divide customers. Every run also gives each of them a named RFM segment, a lifecycle stage, a
# value class, a Pareto tier, and two kinds of clusters. RFM is the oldest: scores from 1 to 5 for how recently, how
# often and how much somebody bought.

# %%
SEGMENT_DRAWINGS["rfm"](run)

# %% [markdown]
# Lifecycle stages put the same forecasts into words that everybody understands. Black is what happened, blue what was
# forecast. The loyal were promised more than they brought; it is the same finding as that of the cell "Core".

# %%
SEGMENT_DRAWINGS["outcomes_lifecycle"](run)

# %% [markdown]
# Which view is best? They are all judged alike. How much of the differences in later spend and churn lies between the
# segments (`epsilon2`, corrected for their number)? How many customers are in the same segment a month later? Can
# three questions tell a customer's segment?

# %%
shown = ["segments", "smallest_share", "spend_epsilon2", "churn_epsilon2", "stayed", "tree_accuracy"]
quality = run.segmentation.quality[shown].rename(index=SCHEME).rename_axis("view")
quality.astype(float).round(3).astype({"segments": int})

# %% [markdown]
# The grid is not the best on every count, and it need not be. The self-organising map explains more, because its
# clusters may take any shape; but a cluster has no name until somebody looks at it, and learned anew it will be
# another one. The named RFM segments are the least steady: fixed limits of silence are passed by everybody who does
# not buy. What speaks for the grid is that both of its axes are forecasts that can be checked, and that an action
# follows from them.
#
# ## Who moved?
#
# The same cuts, a month apart. On the diagonal are those who stayed.

# %%
SEGMENT_DRAWINGS["migration"](run)

# %% [markdown]
# ## What is a contact worth?
#
# Now to actions. Contacting a customer costs something for sure and earns something perhaps. With save rate $\gamma$
# (the share of those who would have left and stay because of the contact), incentive $\delta$, take-up $\psi$ (those
# who would have stayed anyway and take the incentive too) and contact cost c, the expected profit is
#
# $$\pi = R\,\gamma\,(V - \delta) - (1 - R)\,\delta\,\psi - c, \qquad V = \text{margin} \times V_{act}$$
#
# (Neslin et al. 2006). Each cell has its terms in the *playbook*, a file that everybody may and should change:

# %%
playbook = run.models.playbook
terms = pd.DataFrame(playbook.grid).set_index("segment")
terms[["action", "channel", "contact_cost", "incentive", "save_rate", "take_up"]]

# %% [markdown]
# Take the terms of "Leaving core", a letter with an offer. For whom does it pay?

# %%
plan = playbook.plan_for("high", "high")
letter = ContactTerms(
    margin_rate=playbook.margin_rate,
    save_rate=plan.save_rate,
    incentive=plan.incentive,
    take_up=plan.take_up,
    contact_cost=plan.contact_cost,
)
risk = np.linspace(0, 1, 101)
with style():
    figure = sheet("Expected profit of one letter", 3.4)
    axes = figure.add_subplot()
    for value, line in ((50.0, ":"), (150.0, "--"), (500.0, "-")):
        customers = pd.DataFrame({"churn_probability": risk, "value_if_active": value})
        axes.plot(risk, contact_profit(customers, letter), line, color=MODEL, label=f"V_act {value:.0f} USD")
    axes.axhline(0, color=ACTUAL, linewidth=1)
    axes.set(xlabel="R, probability of no purchase", ylabel="USD a customer contacted")
    percents(axes, "x")
    axes.legend()
figure

# %% [markdown]
# Sending everybody the letter would lose money: loyal customers take the offer for nothing, and small customers hardly
# pay for the stamp even when they are saved. It pays where risk *and* value are high: to the right of the point where
# a line crosses zero.
#
# ## The plan
#
# Each customer gets the terms of her cell, and is contacted if that is expected to earn something. (One refinement: of
# a customer who has left for good no letter reaches anything. The save rate applies to the part of the risk that is
# silence, not departure.)

# %%
everybody = contact_plan(run.scores, playbook, value_is=run.log.value_is)
chosen = everybody[everybody["contact"]]
print(f"{len(chosen):,} of {len(everybody):,} customers are contacted,")
outlay, profit = chosen["expected_outlay"].sum(), chosen["contact_profit"].sum()
print(f"expected outlay {outlay:,.0f} USD, expected profit {profit:,.0f} USD")
SEGMENT_DRAWINGS["budget"](run)

# %% [markdown]
# Look at "Wavering core": with these terms a personal contact pays for hardly anybody. Either the terms are wrong, or
# the idea is; the picture does not say which, but it says where to think again.
#
# Money is usually short. With a budget the plan takes those first who earn most per dollar:

# %%
rows = {}
for budget in (50, 100, 250, 500, 1000, 2500, 5000):
    paid = contact_plan(run.scores, playbook, value_is=run.log.value_is, budget=budget).query("contact")
    rows[budget] = [len(paid), paid["expected_outlay"].sum(), paid["contact_profit"].sum()]
budgets = pd.DataFrame.from_dict(rows, orient="index", columns=["contacted", "outlay", "profit"])
budgets.rename_axis("budget, USD").round().astype(int)

# %% [markdown]
# The first dollars earn most; beyond a point more budget changes nothing, because the remaining customers are not
# worth a contact.
#
# ## How much of this is assumption?
#
# All of the profit hangs on the save rates, and nobody has measured them. Suppose the true ones are these times those
# of the playbook. What would the plan really earn, and what would a plan have earned that knew the true rates?

# %%
rows = {}
for factor in (0, 0.5, 0.75, 1, 1.5):
    content = playbook.to_dict()
    for cell in content["grid"]:
        cell["save_rate"] *= factor
    true = contact_plan(run.scores, Playbook.from_dict(content), value_is=run.log.value_is)
    informed = true.loc[true["contact"], "contact_profit"].sum()
    rows[factor] = [true.loc[chosen.index, "contact_profit"].sum(), true["contact"].sum(), informed]
columns = ["profit of this plan, USD", "contacts, had we known", "profit, had we known"]
found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
found.rename_axis("true rates").round().astype(int)

# %% [markdown]
# With save rates half as high the plan loses money. That is the most important table of this notebook: before the plan
# is sent, the save rates are to be measured, on a small random part of the list, against customers who get nothing.

# %%
Markdown(AS_ASSUMED)

# %% [markdown]
# ## Lists
#
# In the end somebody needs names. A run writes one list a cell, one of whom to contact, one of whom to win back and
# one of look-alikes of the best. The most urgent entries of the contact list:

# %%
customers = listed(run.segmentation)
wanted = ["segment", "contact_profit", "churn_probability", "value_if_active", "days_since_purchase"]
customers[customers["contact"]].nlargest(8, "contact_profit")[wanted].round(2)

# %% [markdown]
# Read such a list before you send it. Its head is customers who spent a great deal once, more than a year ago. In
# BG/NBD a customer who bought once never leaves (second notebook), so all her silence counts as "within reach". That
# is a weakness of the model, not a discovery about her. A purchase model in which customers can leave at once
# (`value.purchase_model: pareto_nbd` in the config) takes most of such a silence for a departure. A measured save rate
# is better still.
#
# Why is a customer on it? Each score comes with its reasons:

# %%
first = customers[customers["contact"]].nlargest(3, "contact_profit")
Markdown("\n".join(f"- {customer}: {why}" for customer, why in first["reasons"].items()))

# %% [markdown]
# And who of the others resembles the best, by habits and not by money?

# %%
print(run.segmentation.look_alikes.words)
found = run.segmentation.look_alikes.customers.head()
found[["resemblance", "speaks_for", "segment", "expected_spend"]].round(2)

# %% [markdown]
# That the top customers are told so well has a simple reason: they were chosen by expected spend, and how often
# somebody buys is a large part of that. The list is one of customers who behave like the best and spend less.

# %% [markdown]
# ## What to remember
#
# - Risk by value *if active*: two axes that multiply to what will come and what is at stake.
# - Judge by the past, act on the present, and never tabulate one under the other.
# - The order of the cells is more trustworthy than their level; the acceptance list says where.
# - A high risk is not a high uplift. A plan is a proposal until a control group has been left alone.
#
# Your own log next: `churn-clv init my_log.csv` writes a config, `make train CONFIG=configs/my_log.yaml` does the
# rest.
