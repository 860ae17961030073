/* A peer of @proj/ipc in C, written from docs/ipc-layouts.md alone. Build: gcc -O2 -o peer peer.c -lrt -lpthread
 *
 *   peer queue  IN OUT N        receives N messages from queue IN and sends each to OUT, its bytes plus 1
 *   peer sem    SHM N           N times: waits on the sem_t at offset 0 of SHM, adds 1 to the word at 64, posts the one at 32
 *   peer named  A B N           N times: waits on named semaphore A, posts named semaphore B
 *   peer ring-copy IN OUT       reads ring IN to its end, writes every byte plus 1 to ring OUT, closes it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAGIC = 0, VERSION = 4, CAPACITY = 8, WRITER = 64, READER = 128, ROOM = 192, DATA = 224, BYTES = 256 };
enum { POSITION = 0, STATE = 4, TID = 8, START_TIME = 12, PID_NAMESPACE = 16, WAITS = 20, ASLEEP = 24 };

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void *map(const char *name, size_t *length) {
  int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
  struct stat status;
  if (fd == -1 || fstat(fd, &status) == -1) die(name);
  void *memory = mmap(NULL, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) die("mmap");
  close(fd);
  *length = status.st_size;
  return memory;
}

static void wait_for(sem_t *semaphore) {
  while (sem_wait(semaphore) == -1)
    if (errno != EINTR) die("sem_wait");
}

static void queue(const char *in, const char *out, long count) {
  mqd_t from = mq_open(in, O_RDONLY), to = mq_open(out, O_WRONLY);
  struct mq_attr attributes;
  if (from == -1 || to == -1 || mq_getattr(from, &attributes) == -1) die("mq_open");
  char *message = malloc(attributes.mq_msgsize);
  for (long i = 0; i < count; i++) {
    unsigned priority;
    ssize_t length = mq_receive(from, message, attributes.mq_msgsize, &priority);
    if (length == -1) die("mq_receive");
    for (ssize_t at = 0; at < length; at++) message[at]++;
    if (mq_send(to, message, length, priority) == -1) die("mq_send");
  }
}

static void semaphores(const char *name, long count) {
  size_t length;
  char *memory = map(name, &length);
  for (long i = 0; i < count; i++) {
    wait_for((sem_t *)memory);
    *(uint32_t *)(memory + 64) += 1;
    if (sem_post((sem_t *)(memory + 32)) == -1) die("sem_post");
  }
}

static void named(const char *a, const char *b, long count) {
  sem_t *from = sem_open(a, 0), *to = sem_open(b, 0);
  if (from == SEM_FAILED || to == SEM_FAILED) die("sem_open");
  for (long i = 0; i < count; i++) {
    wait_for(from);
    if (sem_post(to) == -1) die("sem_post");
  }
}

/* One end of a ring. */
struct end {
  char *ring;
  uint32_t capacity, own, peer, position;
  sem_t *own_semaphore, *peer_semaphore;
  char peer_bell[300];
};

static uint32_t load(struct end *end, uint32_t offset) {
  return __atomic_load_n((uint32_t *)(end->ring + offset), __ATOMIC_SEQ_CST);
}

static void store(struct end *end, uint32_t offset, uint32_t value) {
  __atomic_store_n((uint32_t *)(end->ring + offset), value, __ATOMIC_SEQ_CST);
}

static int exchange(struct end *end, uint32_t offset, uint32_t from, uint32_t to) {
  return __atomic_compare_exchange_n((uint32_t *)(end->ring + offset), &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Field 22 of /proc/TID/stat, counted from the last parenthesis. */
static uint32_t start_time(long tid) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/%ld/stat", tid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  char *field = strrchr(text, ')') + 1;
  for (int number = 3; number <= 22; number++) field = strchr(field, ' ') + 1;
  return (uint32_t)strtoull(field, NULL, 10);
}

static struct end take(const char *name, int writes) {
  struct end end = {.own = writes ? WRITER : READER, .peer = writes ? READER : WRITER};
  size_t length;
  struct stat namespace;
  end.ring = map(name, &length);
  end.capacity = load(&end, CAPACITY);
  if (load(&end, MAGIC) != 0x474e4952 || load(&end, VERSION) != 1 || BYTES + (size_t)end.capacity > length) {
    fprintf(stderr, "%s is no ring\n", name);
    exit(1);
  }
  long tid = syscall(SYS_gettid);
  if (!exchange(&end, end.own + TID, 0, tid)) {
    fprintf(stderr, "that end of %s is taken\n", name);
    exit(1);
  }
  store(&end, end.own + START_TIME, start_time(tid));
  store(&end, end.own + PID_NAMESPACE, stat("/proc/self/ns/pid", &namespace) == 0 ? namespace.st_ino : 0);
  store(&end, end.own + STATE, 1);
  end.position = load(&end, end.own + POSITION);
  end.own_semaphore = (sem_t *)(end.ring + (writes ? ROOM : DATA));
  end.peer_semaphore = (sem_t *)(end.ring + (writes ? DATA : ROOM));
  snprintf(end.peer_bell, sizeof end.peer_bell, "/dev/shm%s.%s", name, writes ? "reader" : "writer");
  return end;
}

/* After what was done is visible: wakes a peer that waits on its semaphore, or whose event loop sleeps. */
static void wake(struct end *end) {
  if (load(end, end->peer + WAITS) == 1 && exchange(end, end->peer + WAITS, 1, 0)) sem_post(end->peer_semaphore);
  if (load(end, end->peer + ASLEEP) == 1) {
    int bell = open(end->peer_bell, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (bell == -1) return;
    if (exchange(end, end->peer + ASLEEP, 1, 0) && write(bell, "\1", 1) == -1 && errno != EAGAIN) perror("bell");
    close(bell);
  }
}

static uint32_t available(struct end *reader) { return load(reader, WRITER + POSITION) - reader->position; }
static uint32_t room(struct end *writer) { return writer->capacity - (writer->position - load(writer, READER + POSITION)); }

/* Sets the flag, looks once more, and only then waits. Returns when ready or when the peer has closed. */
static void await(struct end *end, uint32_t (*ready)(struct end *)) {
  while (ready(end) == 0 && load(end, end->peer + STATE) != 2) {
    store(end, end->own + WAITS, 1);
    if (ready(end) == 0 && load(end, end->peer + STATE) != 2) wait_for(end->own_semaphore);
    exchange(end, end->own + WAITS, 1, 0);
  }
}

static void finish(struct end *end) {
  store(end, end->own + STATE, 2);
  wake(end);
}

static void ring_copy(const char *in, const char *out) {
  struct end reader = take(in, 0), writer = take(out, 1);
  for (;;) {
    await(&reader, available);
    uint32_t length = available(&reader);
    if (length == 0) break; /* closed, and nothing was written before that */
    await(&writer, room);
    if (length > room(&writer)) length = room(&writer);
    if (length == 0) exit(3); /* the reader of OUT has gone */
    for (uint32_t i = 0; i < length; i++)
      writer.ring[BYTES + ((writer.position + i) & (writer.capacity - 1))] =
          reader.ring[BYTES + ((reader.position + i) & (reader.capacity - 1))] + 1;
    store(&writer, WRITER + POSITION, writer.position += length);
    store(&reader, READER + POSITION, reader.position += length);
    wake(&writer);
    wake(&reader);
  }
  finish(&writer);
  finish(&reader);
}

int main(int argc, char **argv) {
  alarm(60); /* a test that hangs is worse than one that fails */
  if (argc == 5 && strcmp(argv[1], "queue") == 0) queue(argv[2], argv[3], atol(argv[4]));
  else if (argc == 4 && strcmp(argv[1], "sem") == 0) semaphores(argv[2], atol(argv[3]));
  else if (argc == 5 && strcmp(argv[1], "named") == 0) named(argv[2], argv[3], atol(argv[4]));
  else if (argc == 4 && strcmp(argv[1], "ring-copy") == 0) ring_copy(argv[2], argv[3]);
  else return 2;
  return 0;
}
