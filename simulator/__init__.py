"""Simulates the exchange: REST, stream and archives on one port, from a generator or files, with faults on request."""
