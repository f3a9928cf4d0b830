/*
 * A bad machine, loaded into a process by LD_PRELOAD: its disk fails, its netlink sockets fail, its clock is wrong, and
 * what its disk would hold after a loss of power is kept aside. What goes wrong is told by numbers in a file that is
 * shared with the test (TOCK_MACHINE), so that it can change while the process runs.
 *
 *   gcc -shared -fPIC -O1 -o bad-machine.so bad-machine.c
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct machine {
  /* errno of writes below the state folder; 0 = none, -1 = half is written and said, -2 = half is written, then EIO */
  int64_t write;
  /* errno of fsync and fdatasync there */
  int64_t sync;
  /* errno of send and recv on netlink sockets */
  int64_t send, recv;
  /* calls that still go wrong; -1 = all */
  int64_t left;
  /* milliseconds that the clock of the day is ahead */
  int64_t ahead;
  /* calls that went wrong so far */
  int64_t hits;
};

static struct machine nothing, *machine = &nothing;
static const char *state, *disk, *boot;

#define REAL(name) ((typeof(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void start(void) {
  const char *path = getenv("TOCK_MACHINE");
  state = getenv("TOCK_MACHINE_STATE");
  disk = getenv("TOCK_MACHINE_DISK");
  boot = getenv("TOCK_MACHINE_BOOT");
  int fd = path ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void *map = mmap(NULL, sizeof *machine, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map != MAP_FAILED) machine = map;
  close(fd);
}

/* Whether a call goes wrong now. */
static int goes_wrong(int64_t how) {
  if (how == 0 || machine->left == 0) return 0;
  if (machine->left > 0) machine->left--;
  machine->hits++;
  return 1;
}

static int path_of(int fd, char *path, size_t size) {
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return 1;
}

static int in_state(int fd) {
  char path[4096];
  size_t length = state ? strlen(state) : 0;
  return length > 0 && path_of(fd, path, sizeof path) && strncmp(path, state, length) == 0;
}

/* What a write there comes to: how many bytes go to the disk, or -1 with errno. */
static ssize_t room(int fd, size_t count) {
  if (machine->write == 0 || !in_state(fd) || !goes_wrong(machine->write)) return count;
  if (machine->write > 0) {
    errno = machine->write;
    return -1;
  }
  return count < 2 ? (ssize_t)count : (ssize_t)(count / 2);
}

/* After half of a write the disk is gone. */
static ssize_t torn(size_t asked, size_t let, ssize_t done) {
  if (let == asked || machine->write != -2) return done;
  errno = EIO;
  return -1;
}

ssize_t write(int fd, const void *data, size_t count) {
  ssize_t let = room(fd, count);
  return let < 0 ? let : torn(count, let, REAL(write)(fd, data, let));
}
ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
  ssize_t let = room(fd, count);
  return let < 0 ? let : torn(count, let, REAL(pwrite)(fd, data, let, at));
}
ssize_t pwrite64(int fd, const void *data, size_t count, off_t at) { return pwrite(fd, data, count, at); }

static ssize_t gather(int fd, const struct iovec *parts, int count, off_t at) {
  ssize_t sum = 0;
  for (int index = 0; index < count; index++) {
    size_t length = parts[index].iov_len;
    ssize_t done = at < 0 ? write(fd, parts[index].iov_base, length) : pwrite(fd, parts[index].iov_base, length, at + sum);
    if (done < 0) return sum > 0 ? sum : done;
    sum += done;
    if ((size_t)done < length) break;
  }
  return sum;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
  return machine->write && in_state(fd) ? gather(fd, parts, count, -1) : REAL(writev)(fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  return machine->write && in_state(fd) ? gather(fd, parts, count, at) : REAL(pwritev)(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) { return pwritev(fd, parts, count, at); }

/*
 * The disk after a loss of power: `inode-N` holds a file as it was when it was last synced, `names` the folder as it was
 * when that was.
 */
static void copy(int from, const char *to) {
  char buffer[65536], half[4096 + 128];
  snprintf(half, sizeof half, "%s.half", to);
  int out = REAL(open)(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (out < 0) return;
  ssize_t got;
  for (off_t at = 0; (got = pread(from, buffer, sizeof buffer, at)) > 0; at += got)
    if (REAL(write)(out, buffer, got) != got) abort();
  close(out);
  rename(half, to);
}

static void synced(int fd) {
  struct stat about;
  char path[4096], to[4096 + 64];
  int kept = errno;
  if (!disk || !in_state(fd) || fstat(fd, &about) < 0 || !path_of(fd, path, sizeof path)) return;
  snprintf(to, sizeof to, "%s/lock", disk);
  int lock = REAL(open)(to, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock >= 0) flock(lock, LOCK_EX);
  if (S_ISREG(about.st_mode)) {
    /* The descriptor may be for writing alone. */
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int from = REAL(open)(self, O_RDONLY | O_CLOEXEC);
    snprintf(to, sizeof to, "%s/inode-%lu", disk, (unsigned long)about.st_ino);
    if (from >= 0) copy(from, to);
    if (from >= 0) close(from);
  } else if (S_ISDIR(about.st_mode)) {
    char half[4096 + 128];
    snprintf(to, sizeof to, "%s/names", disk);
    snprintf(half, sizeof half, "%s.half", to);
    FILE *names = fopen(half, "w");
    DIR *folder = opendir(path);
    for (struct dirent *entry; names && folder && (entry = readdir(folder));)
      if (entry->d_type == DT_REG) fprintf(names, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
    if (folder) closedir(folder);
    if (names) fclose(names);
    rename(half, to);
  }
  if (lock >= 0) close(lock);
  errno = kept;
}

static int sync_fails(int fd) {
  if (machine->sync == 0 || !in_state(fd) || !goes_wrong(machine->sync)) return 0;
  errno = machine->sync;
  return 1;
}
int fsync(int fd) {
  if (sync_fails(fd)) return -1;
  int result = REAL(fsync)(fd);
  if (result == 0) synced(fd);
  return result;
}
int fdatasync(int fd) {
  if (sync_fails(fd)) return -1;
  int result = REAL(fdatasync)(fd);
  if (result == 0) synced(fd);
  return result;
}

/* Another boot of the kernel. */
static const char *where(const char *path) {
  return boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0 ? boot : path;
}
#define OPEN(name)                                      \
  int name(const char *path, int flags, ...) {          \
    va_list rest;                                       \
    va_start(rest, flags);                              \
    int mode = va_arg(rest, int);                       \
    va_end(rest);                                       \
    return REAL(name)(where(path), flags, mode);        \
  }
OPEN(open)
OPEN(open64)

static int is_netlink(int fd) {
  int domain = 0;
  socklen_t length = sizeof domain;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_NETLINK;
}
ssize_t send(int fd, const void *data, size_t length, int flags) {
  if (machine->send && is_netlink(fd) && goes_wrong(machine->send)) {
    errno = machine->send;
    return -1;
  }
  return REAL(send)(fd, data, length, flags);
}
ssize_t recv(int fd, void *data, size_t length, int flags) {
  ssize_t result = REAL(recv)(fd, data, length, flags);
  /* What came is lost, as when the socket's queue was full. */
  if (result >= 0 && machine->recv && is_netlink(fd) && goes_wrong(machine->recv)) {
    errno = machine->recv;
    return -1;
  }
  return result;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = REAL(clock_gettime)(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) && machine->ahead) {
    int64_t nanos = now->tv_nsec + (machine->ahead % 1000) * 1000000;
    now->tv_sec += machine->ahead / 1000 + (nanos >= 1000000000) - (nanos < 0);
    now->tv_nsec = nanos - 1000000000 * ((nanos >= 1000000000) - (nanos < 0));
  }
  return result;
}
int gettimeofday(struct timeval *now, void *zone) {
  struct timespec exact;
  (void)zone;
  int result = clock_gettime(CLOCK_REALTIME, &exact);
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return result;
}
time_t time(time_t *also) {
  struct timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (also) *also = exact.tv_sec;
  return exact.tv_sec;
}
