"""A peer of @proj/ipc in Python, with nothing but ctypes, written from docs/ipc-layouts.md. Same commands as peer.c."""

import ctypes
import mmap
import os
import signal
import struct
import sys
import threading
import time

WRITER, READER, ROOM, DATA, BYTES = 64, 128, 192, 224, 256
POSITION, STATE, TID, START_TIME, PID_NAMESPACE = 0, 4, 8, 12, 16

libc = ctypes.CDLL(None, use_errno=True)
librt = libc if hasattr(libc, "mq_open") else ctypes.CDLL("librt.so.1", use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
librt.mq_receive.restype = ctypes.c_ssize_t


def checked(result, what):
    if result == -1:
        raise OSError(ctypes.get_errno(), what)
    return result


def map_object(name):
    fd = os.open("/dev/shm" + name, os.O_RDWR | os.O_CLOEXEC)
    try:
        return mmap.mmap(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def semaphore_at(memory, offset):
    return ctypes.byref(ctypes.c_char.from_buffer(memory, offset))


def queue(incoming, outgoing, count):
    source = checked(librt.mq_open(incoming.encode(), os.O_RDONLY), "mq_open")
    target = checked(librt.mq_open(outgoing.encode(), os.O_WRONLY), "mq_open")
    attributes = (ctypes.c_long * 8)()
    checked(librt.mq_getattr(source, attributes), "mq_getattr")
    size = attributes[2]
    buffer = ctypes.create_string_buffer(size)
    priority = ctypes.c_uint()
    for _ in range(count):
        length = checked(librt.mq_receive(source, buffer, ctypes.c_size_t(size), ctypes.byref(priority)), "mq_receive")
        answer = bytes((byte + 1) & 255 for byte in buffer.raw[:length])
        checked(librt.mq_send(target, answer, ctypes.c_size_t(length), priority), "mq_send")


def semaphores(name, count):
    memory = map_object(name)
    for _ in range(count):
        checked(libc.sem_wait(semaphore_at(memory, 0)), "sem_wait")
        memory[64:68] = struct.pack("=I", struct.unpack("=I", memory[64:68])[0] + 1)
        checked(libc.sem_post(semaphore_at(memory, 32)), "sem_post")


def named(a, b, count):
    source, target = (ctypes.c_void_p(libc.sem_open(name.encode(), 0)) for name in (a, b))
    for _ in range(count):
        checked(libc.sem_wait(source), "sem_wait")
        checked(libc.sem_post(target), "sem_post")


class End:
    """One end of a ring. Python has no atomic exchange: it never sets its own flags, looks by itself, and posts always."""

    def __init__(self, name, writes):
        self.memory = map_object(name)
        magic, version, self.capacity = struct.unpack("=III", self.memory[0:12])
        if (magic, version) != (0x474E4952, 1) or BYTES + self.capacity > len(self.memory):
            raise ValueError(name + " is no ring")
        self.own, self.peer = (WRITER, READER) if writes else (READER, WRITER)
        self.peer_semaphore = DATA if writes else ROOM
        self.peer_bell = "/dev/shm%s.%s" % (name, "reader" if writes else "writer")
        # A ctypes word is read and written by one instruction, which is all that the protocol asks of us here.
        self.words = (ctypes.c_uint32 * (BYTES // 4)).from_buffer(self.memory)
        if self.words[(self.own + TID) // 4] != 0:
            raise ValueError("that end of " + name + " is taken")
        self.words[(self.own + TID) // 4] = threading.get_native_id()
        with open("/proc/thread-self/stat") as stat:
            self.words[(self.own + START_TIME) // 4] = int(stat.read().rpartition(")")[2].split()[19]) & 0xFFFFFFFF
        self.words[(self.own + PID_NAMESPACE) // 4] = os.stat("/proc/self/ns/pid").st_ino & 0xFFFFFFFF
        self.words[(self.own + STATE) // 4] = 1
        self.position = self.words[(self.own + POSITION) // 4]

    def peer_position(self):
        return self.words[(self.peer + POSITION) // 4]

    def peer_is_closed(self):
        return self.words[(self.peer + STATE) // 4] == 2

    def publish(self, length):
        self.position = (self.position + length) & 0xFFFFFFFF
        self.words[(self.own + POSITION) // 4] = self.position
        self.wake()

    def wake(self):
        libc.sem_post(semaphore_at(self.memory, self.peer_semaphore))
        try:
            bell = os.open(self.peer_bell, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return  # nobody sleeps by a bell
        try:
            os.write(bell, b"\1")
        except BlockingIOError:
            pass  # it has more rings than it has heard
        finally:
            os.close(bell)

    def close(self):
        self.words[(self.own + STATE) // 4] = 2
        self.wake()


def ring_copy(incoming, outgoing):
    reader, writer = End(incoming, False), End(outgoing, True)
    while True:
        closed = reader.peer_is_closed()  # before the position: what was written before closing must be seen
        length = (reader.peer_position() - reader.position) & 0xFFFFFFFF
        length = min(length, writer.capacity - ((writer.position - writer.peer_position()) & 0xFFFFFFFF))
        if length == 0:
            if closed and reader.peer_position() == reader.position:
                break
            time.sleep(0.0002)
            continue
        start = reader.position & (reader.capacity - 1)
        piece = reader.memory[BYTES + start : BYTES + min(start + length, reader.capacity)]
        piece += reader.memory[BYTES : BYTES + length - len(piece)]
        piece = piece.translate(bytes((byte + 1) & 255 for byte in range(256)))
        start = writer.position & (writer.capacity - 1)
        first = min(length, writer.capacity - start)
        writer.memory[BYTES + start : BYTES + start + first] = piece[:first]
        writer.memory[BYTES : BYTES + length - first] = piece[first:]
        writer.publish(length)
        reader.publish(length)
    writer.close()
    reader.close()


signal.alarm(60)  # a test that hangs is worse than one that fails
command, *arguments = sys.argv[1:]
if command == "queue":
    queue(arguments[0], arguments[1], int(arguments[2]))
elif command == "sem":
    semaphores(arguments[0], int(arguments[1]))
elif command == "named":
    named(arguments[0], arguments[1], int(arguments[2]))
elif command == "ring-copy":
    ring_copy(arguments[0], arguments[1])
else:
    sys.exit(2)
