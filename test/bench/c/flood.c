/*
 * flood TARGET PORT KIND RATE SECONDS [FILE [SOURCE]]: sends datagrams within its network namespace, at most 10 s and two
 * million a second. RATE 0 is as fast as it can. Prints `sent seconds`.
 *
 *   tag     144 random bytes              size   100 random bytes
 *   ports   144 random bytes to random ports
 *   stun    Binding Requests of the right size with a random packet in the user name
 *   forged  the 144-byte records of FILE over and over, their last 16 bytes random
 *   each    the records of FILE, each once, each from the next address after SOURCE (IPv4)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, RECORD = 144, STUN = 268, MOST_SECONDS = 10 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t state = 0x9e3779b97f4a7c15;
static uint64_t random64(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static void fill(uint8_t *bytes, int length) {
  for (int at = 0; at < length; at += 8) {
    uint64_t word = random64();
    memcpy(bytes + at, &word, length - at < 8 ? length - at : 8);
  }
}

/* 20 bytes of header, a USERNAME of 192 + ":abcd", and room that an attribute nobody knows fills. */
static void make_stun(uint8_t *bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static const uint8_t head[] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42};
  memset(bytes, 0, STUN);
  memcpy(bytes, head, sizeof head);
  bytes[2] = (STUN - 20) >> 8;
  bytes[3] = (STUN - 20) & 255;
  fill(bytes + 8, 12);
  bytes[21] = 6;
  bytes[23] = 197;
  for (int i = 0; i < 192; i++) bytes[24 + i] = digits[random64() & 63];
  memcpy(bytes + 216, ":abcd", 5);
  bytes[224] = 0x80;
  bytes[225] = 0x2a;
  bytes[227] = STUN - 228;
}

int main(int argc, char **argv) {
  if (argc < 6) return fprintf(stderr, "usage: flood TARGET PORT KIND RATE SECONDS [FILE [SOURCE]]\n"), 2;
  const char *kind = argv[3];
  double rate = atof(argv[4]), seconds = atof(argv[5]);
  if (seconds > MOST_SECONDS) seconds = MOST_SECONDS;
  if (rate > 2e6) rate = 2e6;
  struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  if (inet_pton(AF_INET, argv[1], &target.sin_addr) != 1) return fprintf(stderr, "flood: no IPv4 address\n"), 2;
  int ports = !strcmp(kind, "ports"), forged = !strcmp(kind, "forged"), each = !strcmp(kind, "each");
  int length = !strcmp(kind, "size") ? 100 : !strcmp(kind, "stun") ? STUN : RECORD;

  static uint8_t records[1 << 25];
  long count = 0;
  if (forged || each) {
    FILE *file = argc > 6 ? fopen(argv[6], "rb") : NULL;
    if (file == NULL) return fprintf(stderr, "flood: cannot read the file\n"), 2;
    count = fread(records, RECORD, sizeof records / RECORD, file);
    fclose(file);
    if (count == 0) return fprintf(stderr, "flood: the file is empty\n"), 2;
  }
  uint32_t source = 0;
  if (each && argc > 7) inet_pton(AF_INET, argv[7], &source);

  int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = 1 << 22;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  static uint8_t data[BATCH][STUN + 4];
  static struct sockaddr_in to[BATCH];
  static char control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))];
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH] = {0};
  for (int i = 0; i < BATCH; i++) {
    fill(data[i], length);
    if (length == STUN) make_stun(data[i]);
    to[i] = target;
    parts[i] = (struct iovec){data[i], length};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &parts[i], .msg_iovlen = 1};
    if (source == 0) continue;
    messages[i].msg_hdr.msg_control = control[i];
    messages[i].msg_hdr.msg_controllen = sizeof control[i];
    struct cmsghdr *c = CMSG_FIRSTHDR(&messages[i].msg_hdr);
    *c = (struct cmsghdr){.cmsg_level = SOL_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo))};
  }

  /* Small batches at low rates, so that the packets come evenly. */
  int size = rate == 0 || rate > 200000 ? BATCH : rate > 20000 ? 8 : 1;
  long sent = 0;
  double start = now();
  for (double t; (t = now() - start) < seconds && !(each && sent >= count);) {
    if (rate > 0 && sent >= t * rate) {
      if (rate <= 50000) usleep(20);
      continue;
    }
    int batch = each && count - sent < size ? count - sent : size;
    for (int i = 0; i < batch; i++) {
      if (ports) to[i].sin_port = htons(1024 + random64() % 60000);
      if (forged) {
        memcpy(data[i], records + (sent + i) % count * RECORD, RECORD);
        fill(data[i] + RECORD - 16, 16);
      } else if (each) {
        memcpy(data[i], records + (sent + i) * RECORD, RECORD);
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(ntohl(source) + sent + i)};
        if (source) memcpy(CMSG_DATA((struct cmsghdr *)control[i]), &info, sizeof info);
      } else {
        fill(data[i] + (length == STUN ? 8 : 0), 8);
        if (length == STUN) make_stun(data[i]);
      }
    }
    int done = sendmmsg(fd, messages, batch, 0);
    if (done > 0) sent += done;
  }
  printf("%ld %.6f\n", sent, now() - start);
  return 0;
}
