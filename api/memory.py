"""The allocator: memory that a page needed is kept for the next one."""

import ctypes
import sys

# Of glibc's <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_KEPT_BYTES = 16 << 20
_LARGEST_KEPT_BYTES = 4 << 20


def keep_freed_memory() -> None:
    """Have glibc keep some megabytes that are freed rather than give them back to the kernel at once.

    A page is made from blocks of some hundred kilobytes; getting those from the kernel anew, page fault by page fault,
    was a quarter of the time of reading one. Does nothing where the C library is another.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
