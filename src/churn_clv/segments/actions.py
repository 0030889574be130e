"""What each cell of the 3 x 3 grid is called and what is done with its customers.

A high churn risk is not a high uplift (Ascarza 2018, Journal of Marketing Research 55(1)): these are plans to test
against a control group, not promises.
"""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    segment: str
    action: str


# (value tier, risk tier) -> plan
PLAYBOOK: dict[tuple[str, str], Plan] = {
    ("high", "low"): Plan("Core", "Protect: first service, early access; no discounts"),
    ("high", "mid"): Plan("Wavering core", "Retain: personal contact before the next purchase is overdue"),
    ("high", "high"): Plan("Leaving core", "Win back: personal offer, tested against a control group"),
    ("mid", "low"): Plan("Steady", "Grow: recommend the next category"),
    ("mid", "mid"): Plan("Drifting", "Remind: timed reminder with a reason to return"),
    ("mid", "high"): Plan("Fading", "Win back cheaply: one automated offer, then rest"),
    ("low", "low"): Plan("Small regulars", "Raise the basket: bundles and thresholds"),
    ("low", "mid"): Plan("Occasional", "Keep in touch: newsletter only"),
    ("low", "high"): Plan("Dormant", "Let rest: no paid contact; seasonal mail at most"),
}


def plan_for(value_tier: str, risk_tier: str) -> Plan:
    """Return the named plan of a cell; for other than three tiers the cell names itself and the action is open.

    Examples
    --------
    >>> plan_for("high", "low").segment
    'Core'
    """
    unnamed = Plan(f"value {value_tier}, risk {risk_tier}", "No plan named for this cell: decide and test one")
    return PLAYBOOK.get((value_tier, risk_tier), unnamed)
