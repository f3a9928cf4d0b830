/*
 * door PORT KEY SET: the least that can be done for a packet: receive it from a packet socket, open it with
 * XChaCha20-Poly1305, add its source to an ipset by netlink, read the kernel's word. No journal, no replay window, no
 * policy, no log, no reply: what a program that does these has to be measured against.
 */
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HEADERS = 28, TAG = 8, NONCE = 24, PACKET = 144, SECONDS = 30 };

static uint8_t message[512];
static size_t length;

static void put(uint16_t type, const void *data, uint16_t size) {
  struct nlattr head = {.nla_len = sizeof head + size, .nla_type = type};
  memcpy(message + length, &head, sizeof head);
  memcpy(message + length + sizeof head, data, size);
  length += NLA_ALIGN(head.nla_len);
}

static size_t begin(uint16_t type) {
  size_t at = length;
  put(type | NLA_F_NESTED, "", 0);
  return at;
}

static void end(size_t at) {
  uint16_t size = length - at;
  memcpy(message + at, &size, 2);
}

static int grant(int netlink, const char *set, uint32_t source) {
  static uint32_t sequence;
  struct nlmsghdr head = {.nlmsg_type = NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_ADD,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                          .nlmsg_seq = ++sequence};
  struct nfgenmsg family = {.nfgen_family = AF_INET};
  uint8_t protocol = 6;
  uint32_t timeout = htonl(SECONDS);
  length = sizeof head;
  memcpy(message + length, &family, sizeof family);
  length += sizeof family;
  put(IPSET_ATTR_PROTOCOL, &protocol, 1);
  put(IPSET_ATTR_SETNAME, set, strlen(set) + 1);
  size_t data = begin(IPSET_ATTR_DATA), address = begin(IPSET_ATTR_IP);
  put(IPSET_ATTR_IPADDR_IPV4 | NLA_F_NET_BYTEORDER, &source, 4);
  end(address);
  put(IPSET_ATTR_TIMEOUT | NLA_F_NET_BYTEORDER, &timeout, 4);
  end(data);
  head.nlmsg_len = length;
  memcpy(message, &head, sizeof head);
  if (send(netlink, message, length, 0) < 0) return -1;
  uint8_t answer[1024];
  if (recv(netlink, answer, sizeof answer, 0) < (ssize_t)(NLMSG_HDRLEN + 4)) return -1;
  int error;
  memcpy(&error, answer + NLMSG_HDRLEN, 4);
  return error;
}

int main(int argc, char **argv) {
  uint8_t key[32], packet[2048], plain[PACKET];
  if (argc != 4 || sodium_init() < 0) return 2;
  for (int i = 0; i < 32; i++) sscanf(argv[2] + 2 * i, "%2hhx", key + i);
  int port = atoi(argv[1]);
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 3),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 22),        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 2048),               BPF_STMT(BPF_RET | BPF_K, 0),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) return perror("door"), 1;
  int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    ssize_t size = recv(fd, packet, sizeof packet, 0);
    if (size < HEADERS + PACKET) continue;
    const uint8_t *spa = packet + HEADERS;
    unsigned long long got;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, &got, NULL, spa + TAG + NONCE, PACKET - TAG - NONCE, spa, TAG,
                                                   spa + TAG, key) != 0)
      continue;
    uint32_t source;
    memcpy(&source, packet + 12, 4);
    int error = grant(netlink, argv[3], source);
    if (error != 0) fprintf(stderr, "door: ipset: %d\n", error);
  }
}
