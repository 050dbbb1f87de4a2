"""The collector: brings every closed minute of the exchanges into Postgres, exactly once."""
