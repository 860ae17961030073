"""Ends or holds one thread of a running process, behind the back of its program: thread-fault.py end|hold PID TID.

"end" has the thread call exit(2) in the middle of whatever it does; "hold" stops it alone until this program is ended. x86-64 Linux, ptrace(2).
"""
import ctypes
import os
import sys

SEIZE, INTERRUPT, CONT, DETACH, GETREGS, SETREGS, PEEKTEXT, POKETEXT = 0x4206, 0x4207, 7, 17, 12, 13, 1, 4
WALL = 0x40000000
SYS_EXIT = 60
RAX, RIP, ORIG_RAX, RDI = 10, 16, 15, 14  # indices into user_regs_struct

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, tid, address=0, data=0):
    ctypes.set_errno(0)
    result = libc.ptrace(request, tid, address, data)
    error = ctypes.get_errno()
    if result == -1 and error != 0:
        sys.exit(f"ptrace({request}, {tid}): {os.strerror(error)}")
    return result


def main():
    how, pid, tid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    ptrace(SEIZE, tid)
    ptrace(INTERRUPT, tid)
    os.waitpid(tid, WALL)
    if how == "hold":
        print("held", flush=True)
        os.waitpid(tid, WALL)  # its end: a thread that nobody has waited for keeps its process from being over
        return
    registers = (ctypes.c_ulonglong * 27)()
    ptrace(GETREGS, tid, 0, ctypes.addressof(registers))
    # A `syscall` instruction that is there already: the kernel's own page of every process has one.
    with open(f"/proc/{pid}/maps") as maps:
        vdso = next(line for line in maps if "[vdso]" in line)
    start = int(vdso.split("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(start)
        page = memory.read(8192)
    at = page.find(b"\x0f\x05")
    if at < 0:
        sys.exit("no syscall instruction in the vdso")
    registers[RIP] = start + at
    registers[RAX] = SYS_EXIT
    registers[ORIG_RAX] = (1 << 64) - 1  # not in a system call that would be restarted
    registers[RDI] = 0
    ptrace(SETREGS, tid, 0, ctypes.addressof(registers))
    ptrace(DETACH, tid)
    print("ended", flush=True)


main()
