// Preloaded into a relay by the benchmark: counts allocations and system calls in memory that the benchmark can read, at
// next to no cost. The file of that memory is named by KIN_BENCH_CALLS.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { ALLOCATIONS, SENDS, RECEIVES, POLLS, WAKES, FILE_WRITES, SYNCS, KINDS };

static atomic_ulong unread[KINDS];
static atomic_ulong *counts = unread;

__attribute__((constructor)) static void map(void) {
  const char *path = getenv("KIN_BENCH_CALLS");
  int file = path ? open(path, O_RDWR) : -1;
  if (file < 0) return;
  void *memory = mmap(NULL, sizeof unread, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory != MAP_FAILED) counts = memory;
  // Programs that the relay starts are none of ours.
  unsetenv("LD_PRELOAD");
}

#define COUNT(kind) atomic_fetch_add_explicit(&counts[kind], 1, memory_order_relaxed)

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) { return COUNT(ALLOCATIONS), __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return COUNT(ALLOCATIONS), __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return COUNT(ALLOCATIONS), __libc_realloc(memory, size); }
void *aligned_alloc(size_t alignment, size_t size) { return COUNT(ALLOCATIONS), __libc_memalign(alignment, size); }
int posix_memalign(void **memory, size_t alignment, size_t size) {
  COUNT(ALLOCATIONS);
  *memory = __libc_memalign(alignment, size);
  return *memory ? 0 : 12;
}

#define FORWARD(kind, result, name, parameters, arguments) \
  static void *static_##name; \
  result name parameters { \
    if (!static_##name) static_##name = dlsym(RTLD_NEXT, #name); \
    COUNT(kind); \
    return ((__typeof__(&name))static_##name) arguments; \
  }

FORWARD(SENDS, ssize_t, send, (int s, const void *b, size_t n, int f), (s, b, n, f))
FORWARD(SENDS, ssize_t, sendmsg, (int s, const struct msghdr *m, int f), (s, m, f))
FORWARD(SENDS, ssize_t, writev, (int s, const struct iovec *v, int n), (s, v, n))
FORWARD(RECEIVES, ssize_t, read, (int s, void *b, size_t n), (s, b, n))
FORWARD(RECEIVES, ssize_t, recv, (int s, void *b, size_t n, int f), (s, b, n, f))
FORWARD(POLLS, int, epoll_wait, (int e, struct epoll_event *v, int n, int t), (e, v, n, t))
FORWARD(POLLS, int, epoll_pwait, (int e, struct epoll_event *v, int n, int t, const sigset_t *m), (e, v, n, t, m))
FORWARD(FILE_WRITES, ssize_t, pwrite, (int f, const void *b, size_t n, off_t o), (f, b, n, o))
FORWARD(FILE_WRITES, ssize_t, pwrite64, (int f, const void *b, size_t n, off64_t o), (f, b, n, o))
FORWARD(SYNCS, int, fdatasync, (int f), (f))
FORWARD(SYNCS, int, fsync, (int f), (f))

// Wakes of a loop are writes of eight bytes to an event descriptor; libuv writes small things to sockets no other way.
static void *static_write;
ssize_t write(int file, const void *bytes, size_t count) {
  if (!static_write) static_write = dlsym(RTLD_NEXT, "write");
  COUNT(count == 8 ? WAKES : SENDS);
  return ((__typeof__(&write))static_write)(file, bytes, count);
}
