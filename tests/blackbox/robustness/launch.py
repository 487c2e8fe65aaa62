"""Runs the router in an environment that lacks something: launch.py LACKING PROGRAM ARGUMENTS...

LACKING is `io_uring` (its system call fails, as in a container's default seccomp profile), `memlock` (no
memory may be locked, and the user is not root), or `nothing`: then what the caller takes away later on, by a limit
on the size of files, is an error and no signal.
"""

import ctypes
import os
import resource
import signal
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
IO_URING_SETUP = 425  # the same number on every architecture
BPF_LOAD, BPF_JUMP_IF_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
RETURN_ALLOW, RETURN_EPERM = 0x7FFF0000, 0x00050001
NOBODY = 65534


class Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def forbid_io_uring() -> None:
    """io_uring_setup fails with EPERM from now on, in this process and what it becomes."""
    instructions = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (BPF_LOAD, 0, 0, 0),
            (BPF_JUMP_IF_EQUAL, 0, 1, IO_URING_SETUP),
            (BPF_RETURN, 0, 0, RETURN_EPERM),
            (BPF_RETURN, 0, 0, RETURN_ALLOW),
        )
    )
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(instructions) // 8, instructions)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "prctl")


def forbid_locked_memory() -> None:
    """Hardly any memory may be locked from now on."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def forbid_nothing() -> None:
    """Writing more than a file may hold fails with EFBIG, as on a full disk it does with ENOSPC."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


if __name__ == "__main__":
    {"io_uring": forbid_io_uring, "memlock": forbid_locked_memory, "nothing": forbid_nothing}[sys.argv[1]]()
    os.execv(sys.argv[2], sys.argv[2:])
