"""The thread in which bulk files are read."""

import threading

import pytest

from collector.recorder import open_unpacker


def test_end_does_not_wait_for_what_the_thread_is_doing() -> None:
    """Nor is begun what has not been: a stop is to be obeyed within seconds."""
    began, may_end = threading.Event(), threading.Event()

    def unpack() -> bool:
        began.set()
        return may_end.wait(30)

    with open_unpacker() as unpacker:
        running, waiting = unpacker.submit(unpack), unpacker.submit(unpack)
        assert began.wait(10)
    assert not running.done()
    assert waiting.cancelled()
    may_end.set()
    assert running.result(10)
    with pytest.raises(RuntimeError):
        unpacker.submit(unpack)
