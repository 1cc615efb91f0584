"""The search: branch and bound, branching rules, clipping, budgets, and the portfolio that decides a requirement."""
