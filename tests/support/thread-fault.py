"""Does something to one thread of a running process, behind the back of its program: thread-fault.py end|hold|spin|block PID TID.

"end" has the thread call exit(2) in the middle of whatever it does; "hold" stops it alone until this program is ended; "spin" has it compute without end, and
"block" wait in a system call without end. x86-64 Linux, ptrace(2).
"""
import ctypes
import os
import sys

SEIZE, INTERRUPT, CONT, DETACH, GETREGS, SETREGS, PEEKTEXT, POKETEXT = 0x4206, 0x4207, 7, 17, 12, 13, 1, 4
WALL = 0x40000000
SYS_PAUSE, SYS_EXIT = 34, 60
SYSCALL = b"\x0f\x05"
JUMP_TO_ITSELF = b"\xeb\xfe"
PIECE = 1 << 22
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
    registers[RIP] = find(pid, JUMP_TO_ITSELF if how == "spin" else SYSCALL)
    registers[RAX] = SYS_EXIT if how == "end" else SYS_PAUSE
    registers[ORIG_RAX] = (1 << 64) - 1  # not in a system call that would be restarted
    registers[RDI] = 0
    ptrace(SETREGS, tid, 0, ctypes.addressof(registers))
    ptrace(DETACH, tid)
    print("done", flush=True)


def find(pid, instruction):
    """Where the process has these bytes in memory that it may execute: those of a library or of its program are there already."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if "x" not in rights or "[vsyscall]" in line:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            for piece in range(start, end, PIECE):
                memory.seek(piece)
                at = memory.read(min(PIECE, end - piece)).find(instruction)
                if at >= 0:
                    return piece + at
    sys.exit(f"no instruction {instruction.hex()} in its memory")


main()
