/*
 * probe: knocks and looks when the door opens. Reads trials from standard input, one a line:
 *
 *   SOURCE TARGET TCP-PORT TIMEOUT-MS [PORT:DELAY-US:HEX ...]
 *
 * Each datagram is sent from SOURCE after its delay; then SYNs go out from SOURCE to TCP-PORT, each from a port of its own,
 * until one is answered by a SYN-ACK or the time is over. Prints the microseconds from just before the last sendto() to
 * just before the SYN that was answered, or `lost`. The kernel resets the half-open connection, which it knows nothing of.
 *
 * SOURCE need not be on an interface: a route of type local makes it this host's. Needs CAP_NET_RAW.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_DATAGRAMS = 16, MOST_BYTES = 1500, FIRST_PORT = 20000, PORTS = 40000 };

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} address;

struct datagram {
  int port, delay, length;
  uint8_t bytes[MOST_BYTES];
};

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static address parse(const char *text, int port) {
  address a = {0};
  if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
    a.v4.sin_family = AF_INET;
    a.v4.sin_port = htons(port);
  } else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
    a.v6.sin6_family = AF_INET6;
    a.v6.sin6_port = htons(port);
  } else {
    fprintf(stderr, "probe: no address: %s\n", text);
    exit(2);
  }
  return a;
}

static int is_v4(const address *a) { return a->any.sa_family == AF_INET; }
static socklen_t size_of(const address *a) { return is_v4(a) ? sizeof a->v4 : sizeof a->v6; }

static int open_socket(int type, int protocol, address source) {
  int fd = socket(source.any.sa_family, type, protocol), on = 1;
  if (fd < 0) die("socket");
  if (is_v4(&source))
    setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof on);
  else
    setsockopt(fd, SOL_IPV6, IPV6_FREEBIND, &on, sizeof on);
  if (bind(fd, &source.any, size_of(&source)) < 0) die("bind");
  return fd;
}

static uint32_t add(uint32_t sum, const void *data, size_t length) {
  const uint8_t *bytes = data;
  for (size_t at = 0; at + 1 < length; at += 2) sum += bytes[at] << 8 | bytes[at + 1];
  return sum;
}

static uint16_t checksum(const address *from, const address *to, const struct tcphdr *tcp) {
  uint32_t sum = IPPROTO_TCP + sizeof *tcp;
  if (is_v4(from)) {
    sum = add(sum, &from->v4.sin_addr, 4);
    sum = add(sum, &to->v4.sin_addr, 4);
  } else {
    sum = add(sum, &from->v6.sin6_addr, 16);
    sum = add(sum, &to->v6.sin6_addr, 16);
  }
  sum = add(sum, tcp, sizeof *tcp);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons(~sum);
}

/* The local port of a SYN-ACK that came, 0 for anything else, -1 when nothing is there. */
static int answer(int fd, int family, int port) {
  uint8_t packet[256];
  ssize_t length = recv(fd, packet, sizeof packet, MSG_DONTWAIT);
  if (length < 0) return -1;
  size_t header = family == AF_INET ? (packet[0] & 15) * 4 : 0;
  if ((size_t)length < header + sizeof(struct tcphdr)) return 0;
  struct tcphdr tcp;
  memcpy(&tcp, packet + header, sizeof tcp);
  return tcp.syn && tcp.ack && ntohs(tcp.source) == port ? ntohs(tcp.dest) : 0;
}

/* Close together while an answer of microseconds can be told, further apart later. */
static int64_t pause_after(int64_t elapsed) {
  return elapsed < 3000000 ? 20000 : elapsed < 30000000 ? 100000 : 500000;
}

static void trial(const char *from, const char *to, int port, int timeout, struct datagram *list, int count) {
  static int64_t sent_at[PORTS];
  static int next_port;
  address source = parse(from, 0), target = parse(to, 0);
  int udp = open_socket(SOCK_DGRAM, 0, source), raw = open_socket(SOCK_RAW, IPPROTO_TCP, source);
  int64_t start = now();
  for (int i = 0; i < count; i++) {
    for (int64_t until = now() + (int64_t)list[i].delay * 1000; now() < until;)
      if (list[i].delay > 2000) usleep(200);
    address there = parse(to, list[i].port);
    start = now();
    if (sendto(udp, list[i].bytes, list[i].length, 0, &there.any, size_of(&there)) < 0) die("sendto");
  }
  int64_t due = now(), end = start + (int64_t)timeout * 1000000;
  for (int first = next_port; now() < end;) {
    int answered = answer(raw, source.any.sa_family, port);
    if (answered > 0) {
      printf("%.3f\n", (sent_at[answered - FIRST_PORT] - start) / 1e3);
      goto done;
    }
    if (answered == 0 || now() < due) continue;
    struct tcphdr tcp = {.source = htons(FIRST_PORT + next_port), .dest = htons(port), .seq = htonl(1),
                         .doff = 5, .syn = 1, .window = htons(1024)};
    tcp.check = checksum(&source, &target, &tcp);
    sent_at[next_port] = now();
    due = sent_at[next_port] + pause_after(sent_at[next_port] - start);
    next_port = (next_port + 1) % PORTS;
    if (sendto(raw, &tcp, sizeof tcp, 0, &target.any, size_of(&target)) < 0 && errno != ENOBUFS) die("SYN");
    if (next_port == first) break;
  }
  printf("lost\n");
done:
  fflush(stdout);
  close(udp);
  close(raw);
}

int main(void) {
  static struct datagram list[MOST_DATAGRAMS];
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0) {
    char *from = strtok(line, " \n"), *to = strtok(NULL, " \n"), *port = strtok(NULL, " \n");
    char *timeout = strtok(NULL, " \n");
    if (timeout == NULL) continue;
    int count = 0;
    for (char *word; count < MOST_DATAGRAMS && (word = strtok(NULL, " \n"));) {
      struct datagram *each = &list[count++];
      char *hex = NULL;
      each->port = strtol(word, &hex, 10);
      each->delay = strtol(hex + 1, &hex, 10);
      each->length = 0;
      for (hex++; hex[0] && hex[1] && each->length < MOST_BYTES; hex += 2) {
        char byte[3] = {hex[0], hex[1], 0};
        each->bytes[each->length++] = strtol(byte, NULL, 16);
      }
    }
    trial(from, to, atoi(port), atoi(timeout), list, count);
  }
  return 0;
}
