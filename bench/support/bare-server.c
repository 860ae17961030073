// The most that these cores can do: two threads, each with an epoll loop and a listening socket of its own, that answer each read with one constant response and know nothing of HTTP.
// In webproxy's place in compare.mjs: `bare-server PORT` answers /sBYTES.bin. Small bodies leave in one send, those of 64 KiB and more by sendfile from shared memory, without a copy.
// build: gcc -O2 -o bare-server bare-server.c -lpthread
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 2, EVENTS = 128, CONNECTIONS = 65536, RESPONSES = 16, SENDFILE_FROM = 65536 };

struct response { size_t body, head, whole; int file; char *bytes; };
struct connection { const struct response *response; size_t sent; };

static struct response responses[RESPONSES];
static int response_count;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static struct connection connections[CONNECTIONS];
static int port;

static void fail(const char *what) { perror(what); exit(1); }

// One for each length, made at the first request for it: head and body behind each other, in memory that has a descriptor.
static const struct response *response_of(size_t body) {
  pthread_mutex_lock(&making);
  struct response *found = NULL;
  for (int i = 0; i < response_count; i++) if (responses[i].body == body) found = &responses[i];
  if (found == NULL && response_count < RESPONSES) {
    char head[256];
    int length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600\r\nContent-Length: %zu\r\n\r\n", body);
    struct response made = { body, (size_t)length, (size_t)length + body, memfd_create("response", 0), NULL };
    if (made.file < 0 || ftruncate(made.file, (off_t)made.whole) != 0) fail("memfd_create");
    made.bytes = mmap(NULL, made.whole, PROT_READ | PROT_WRITE, MAP_SHARED, made.file, 0);
    if (made.bytes == MAP_FAILED) fail("mmap");
    memcpy(made.bytes, head, made.head);
    for (size_t i = 0; i < body; i++) made.bytes[made.head + i] = (char)(i % 251);
    responses[response_count] = made;
    found = &responses[response_count++];
  }
  pthread_mutex_unlock(&making);
  return found;
}

static void push(int client) {
  struct connection *connection = &connections[client];
  const struct response *response = connection->response;
  while (response != NULL && connection->sent < response->whole) {
    ssize_t taken;
    if (response->body < SENDFILE_FROM) {
      taken = send(client, response->bytes + connection->sent, response->whole - connection->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
      off_t from = (off_t)connection->sent;
      taken = sendfile(client, response->file, &from, response->whole - connection->sent);
    }
    if (taken <= 0) return;
    connection->sent += (size_t)taken;
  }
}

static void hear(int client) {
  char request[4096];
  ssize_t bytes = recv(client, request, sizeof request - 1, MSG_DONTWAIT);
  if (bytes == 0 || (bytes < 0 && errno != EAGAIN)) { close(client); return; }
  if (bytes < 0) return;
  struct connection *connection = &connections[client];
  // A kept connection asks for the same again and again: only its first request is looked at.
  request[bytes] = 0;
  size_t body = 0;
  if (connection->response == NULL && sscanf(request, "GET /s%zu.bin ", &body) == 1) connection->response = response_of(body);
  if (connection->response == NULL) { close(client); return; }
  connection->sent = 0;
}

static void *serve(void *unused) {
  (void)unused;
  int one = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
  setsockopt(listening, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  setsockopt(listening, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  if (bind(listening, (struct sockaddr *)&address, sizeof address) != 0 || listen(listening, 1024) != 0) fail("listen");
  struct epoll_event event = { .events = EPOLLIN, .data.fd = listening }, events[EVENTS];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event);
  int count = 0;
  while (count >= 0 || errno == EINTR) {
    count = epoll_wait(epoll, events, EVENTS, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd != listening) {
        if (events[i].events & EPOLLIN) hear(fd);
        push(fd);
        continue;
      }
      int client = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
      if (client < 0) continue;
      if (client >= CONNECTIONS) { close(client); continue; }
      connections[client] = (struct connection){ NULL, 0 };
      event = (struct epoll_event){ .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = client };
      epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event);
    }
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count != 2) { fprintf(stderr, "usage: %s PORT\n", arguments[0]); return 2; }
  port = atoi(arguments[1]);
  signal(SIGPIPE, SIG_IGN); // sendfile has no MSG_NOSIGNAL
  pthread_t thread;
  for (int i = 1; i < THREADS; i++) if (pthread_create(&thread, NULL, serve, NULL) != 0) fail("pthread_create");
  serve(NULL);
}
