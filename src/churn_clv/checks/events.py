"""Which kinds of events a run will use."""

from __future__ import annotations

from churn_clv.checks.findings import Finding, note, warning
from churn_clv.data.events import FEWEST_CUSTOMERS, event_kinds
from churn_clv.data.windows import Windows
from churn_clv.fits import Evidence


def check_events(evidence: Evidence, windows: Windows) -> list[Finding]:
    """Say which kinds of events count, and how many customers have met one."""
    log = evidence.log
    if log.events is None:
        return []
    seen = log.frame("SELECT count(DISTINCT customer_id) AS customers FROM events")
    customers = int(seen["customers"].iloc[0])
    every = {str(kind) for kind in log.frame("SELECT DISTINCT kind FROM events")["kind"]}
    kinds = event_kinds(log, windows.labels[-1].cutoff)
    share = f"{log.events.rows_out:,} of {log.events.rows_in:,} events are of {customers:,} customers of the log"
    share += f" ({customers / log.n_customers:.0%})"
    unused = sorted(every - set(kinds))
    told = f"{share}; kinds: {', '.join(kinds) or 'none'}"
    if not unused:
        return [note("data.events", told)]
    level = note if kinds else warning
    return [
        level(
            "data.events",
            f"{told}; of no use, as fewer than {FEWEST_CUSTOMERS} customers had met them by the last label cutoff "
            f"({windows.labels[-1].cutoff}): {', '.join(unused)}",
        )
    ]
