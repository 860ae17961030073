/* The same loops as there-and-back.ts, in C: two processes, both blocking. Prints {"p50":ns,"p99":ns}.
 *   program semaphore|queue ROUNDS */
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 64

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e9 + time.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double one = *(const double *)a, other = *(const double *)b;
  return (one > other) - (one < other);
}

static mqd_t make_queue(const char *suffix) {
  char name[64];
  struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = MESSAGE_BYTES};
  snprintf(name, sizeof name, "/bench-%d-%s", getpid(), suffix);
  mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue == -1) {
    perror("mq_open");
    exit(1);
  }
  mq_unlink(name);
  return queue;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int queues = strcmp(argv[1], "queue") == 0;
  long rounds = atol(argv[2]);
  sem_t *turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  sem_init(&turns[0], 1, 0);
  sem_init(&turns[1], 1, 0);
  mqd_t to = queues ? make_queue("to") : -1, from = queues ? make_queue("from") : -1;
  char message[MESSAGE_BYTES] = {0};
  if (fork() == 0) {
    for (long i = 0; i < rounds; i++) {
      if (queues) mq_receive(to, message, sizeof message, NULL), mq_send(from, message, sizeof message, 0);
      else sem_wait(&turns[0]), sem_post(&turns[1]);
    }
    _exit(0);
  }
  double *times = malloc(rounds * sizeof *times);
  for (long i = 0; i < rounds; i++) {
    double start = now();
    if (queues) mq_send(to, message, sizeof message, 0), mq_receive(from, message, sizeof message, NULL);
    else sem_post(&turns[0]), sem_wait(&turns[1]);
    times[i] = now() - start;
  }
  wait(NULL);
  qsort(times, rounds, sizeof *times, compare);
  printf("{\"p50\":%.0f,\"p99\":%.0f}\n", times[rounds / 2], times[rounds * 99 / 100]);
  return 0;
}
