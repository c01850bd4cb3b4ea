"""Statistics, rankings and claims: tables in, verdicts out."""
