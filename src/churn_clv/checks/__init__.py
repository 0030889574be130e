"""What `churn-clv check` looks at before anything is trained: read run.py first."""
