"""A bad line between two network namespaces: lossy-link.py PID_A ADDRESS_A PID_B ADDRESS_B

Makes a tun interface in the network namespace of each process, with those addresses, and carries IP packets between the two, of which it loses some and delays all. Each line
on its standard input, "DELAY_MS JITTER_MS LOSS", says how from then on; "0 0 1" is a cut line. Ends with its standard input. Where the kernel has `tc netem`, that does it at both
interfaces; else it is done here. Prints "up netem" or "up relay" once the line is there.
"""
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def open_tun(pid, name, own, peer):
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(there, CLONE_NEWNET) != 0:
        sys.exit(f"setns: {os.strerror(ctypes.get_errno())}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    for command in (["addr", "add", own, "peer", peer, "dev", name], ["link", "set", name, "up"]):
        subprocess.run(["ip", *command], check=True)
    libc.setns(home, CLONE_NEWNET)
    os.close(home)
    return tun, there


def tc(namespace, *arguments):
    """Runs tc in that network namespace; whether it did as it was told."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc.setns(namespace, CLONE_NEWNET)
    try:
        return subprocess.run(["tc", *arguments], stderr=subprocess.DEVNULL).returncode == 0
    except FileNotFoundError:
        return False
    finally:
        libc.setns(home, CLONE_NEWNET)
        os.close(home)


def main():
    pid_a, address_a, pid_b, address_b = sys.argv[1:]
    name = f"bad{os.getpid() % 100000}"
    opened = (open_tun(pid_a, name, address_a, address_b), open_tun(pid_b, name, address_b, address_a))
    ends = tuple(tun for tun, _ in opened)
    namespaces = [namespace for _, namespace in opened]
    has_netem = all(tc(namespace, "qdisc", "add", "dev", name, "root", "netem") for namespace in namespaces)
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    last = {end: 0.0 for end in ends}
    delay, jitter, loss = 0.0, 0.0, 0.0
    waiting = []
    print("up netem" if has_netem else "up relay", flush=True)
    number = 0
    while True:
        timeout = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([*ends, sys.stdin], [], [], timeout)
        now = time.monotonic()
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if line == "":
                return
            delay, jitter, loss = (float(word) for word in line.split())
            if has_netem:
                how = ["delay", f"{delay}ms", f"{jitter}ms", "loss", f"{loss * 100}%"]
                for namespace in namespaces:
                    if not tc(namespace, "qdisc", "change", "dev", name, "root", "netem", *how):
                        sys.exit(f"tc netem {' '.join(how)}: refused")
                delay, jitter, loss = 0.0, 0.0, 0.0
            delay, jitter = delay / 1000, jitter / 1000
        for end in ends:
            if end not in ready:
                continue
            for _ in range(64):
                try:
                    packet = os.read(end, 65536)
                except BlockingIOError:
                    break
                if random.random() < loss:
                    continue
                # A line does not overtake itself.
                last[end] = due = max(last[end], now + delay + random.uniform(-jitter, jitter))
                number += 1
                heapq.heappush(waiting, (due, number, other[end], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, end, packet = heapq.heappop(waiting)
            try:
                os.write(end, packet)
            except (BlockingIOError, OSError):
                pass  # a full queue loses it, as a line would


main()
