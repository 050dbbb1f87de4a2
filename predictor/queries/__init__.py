"""What the predictor asks Postgres, and what it writes there."""
