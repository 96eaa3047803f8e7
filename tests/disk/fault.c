// Makes the disk fail under a process: loaded before the C library (LD_PRELOAD).
//
// $FAULT_FILE says what fails, in one line: an error number, the operations (write, sync, open, rename, unlink,
// truncate, grow for those that need space, or any), how many that match go well first, how many fail then, and what
// is in the paths they are of.
// A write that fails has written its first half, as on a disk that fills. $FAULT_FILE.hit is made when one failed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name, ...) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int real_open(const char *path, int flags, mode_t mode) {
  static int (*open_)(const char *, int, ...);
  if (!open_) open_ = dlsym(RTLD_NEXT, "open64");
  return open_(path, flags, mode);
}

// The error number that an operation on `path` ends with; 0 where it goes well.
static int fault(const char *operation, const char *path) {
  static atomic_long matched;
  const char *file = getenv("FAULT_FILE");
  if (!file || !path) return 0;
  int fd = real_open(file, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  char line[512] = {0}, which[32] = {0}, part[256] = {0};
  static ssize_t (*read_)(int, void *, size_t);
  if (!read_) read_ = dlsym(RTLD_NEXT, "read");
  ssize_t length = read_(fd, line, sizeof line - 1);
  close(fd);
  int error = 0;
  long good = 0, bad = 0;
  if (length <= 0 || sscanf(line, "%d %31s %ld %ld %255s", &error, which, &good, &bad, part) != 5) return 0;
  int grows = !strcmp(which, "grow") && (!strcmp(operation, "write") || !strcmp(operation, "open"));
  if ((!grows && strcmp(which, "any") && strcmp(which, operation)) || !strstr(path, part)) return 0;
  long number = atomic_fetch_add(&matched, 1);
  if (number < good || number >= good + bad) return 0;
  char hit[512];
  snprintf(hit, sizeof hit, "%s.hit", file);
  fd = real_open(hit, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd >= 0) close(fd);
  return error;
}

static int fault_of(const char *operation, int fd) {
  if (fd < 3) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || path[0] != '/') return 0;
  path[length] = 0;
  return fault(operation, path);
}

#define FAIL(error) do { int found = (error); if (found) { errno = found; return -1; } } while (0)

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(write);
  int error = fault_of("write", fd);
  if (error) real(fd, bytes, length / 2);
  FAIL(error);
  return real(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  REAL(pwrite64);
  int error = fault_of("write", fd);
  if (error) real(fd, bytes, length / 2, at);
  FAIL(error);
  return real(fd, bytes, length, at);
}

int fdatasync(int fd) { REAL(fdatasync); FAIL(fault_of("sync", fd)); return real(fd); }
int fsync(int fd) { REAL(fsync); FAIL(fault_of("sync", fd)); return real(fd); }
int ftruncate64(int fd, off64_t length) { REAL(ftruncate64); FAIL(fault_of("truncate", fd)); return real(fd, length); }
int rename(const char *from, const char *to) { REAL(rename); FAIL(fault("rename", to)); return real(from, to); }
int unlink(const char *path) { REAL(unlink); FAIL(fault("unlink", path)); return real(path); }
int mkdir(const char *path, mode_t mode) { REAL(mkdir); FAIL(fault("open", path)); return real(path, mode); }

int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list rest;
    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
  }
  if (flags & (O_WRONLY | O_RDWR | O_CREAT)) FAIL(fault("open", path));
  return real_open(path, flags, mode);
}
