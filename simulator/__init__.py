"""The exchange's REST, stream and archives on one port, from a generator or from files, with faults on request."""
