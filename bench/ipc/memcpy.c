/* memcpy of PIECE bytes again and again between buffers of BUFFER bytes each, as the ring copies: {"gbps":number}.
 *   program PIECE BUFFER TOTAL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  size_t piece = atol(argv[1]), buffer = atol(argv[2]), total = atol(argv[3]);
  char *from = malloc(buffer), *to = malloc(buffer);
  memset(from, 1, buffer);
  memset(to, 2, buffer);
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (size_t done = 0; done < total; done += piece) {
    memcpy(to + done % buffer, from + done % buffer, piece);
    __asm__ volatile("" ::: "memory");
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  double seconds = end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9;
  printf("{\"gbps\":%.3f}\n", total / seconds / 1e9);
  return 0;
}
