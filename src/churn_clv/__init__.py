"""Customer lifetime value, churn and a value-by-risk grid from a transaction log."""

__version__ = "0.1.0"
