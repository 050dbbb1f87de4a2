"""The collector: brings every closed minute of the exchange into Postgres, exactly once."""
