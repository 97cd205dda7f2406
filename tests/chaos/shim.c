/* Loaded before libc into a server of a chaos test: a disk that is slow or full, and a clock that is wrong.
 *
 * What is wrong now stands in the file that CHAOS_SHIM names (see shim.py), mapped and read at each call, so
 * that it can change at any moment. Only regular files other than the standard streams have a bad disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults { int64_t full, delay_us, clock_us; };
static const volatile struct faults *faults;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CHAOS_SHIM");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof(struct faults), PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) faults = found;
    close(file);
}

static int is_file(int file) {
    struct stat about;
    return file > 2 && fstat(file, &about) == 0 && S_ISREG(about.st_mode);
}

/* 1 where the disk is full. */
static int bad(int file, int writes) {
    if (!faults || (!faults->full && !faults->delay_us) || !is_file(file)) return 0;
    if (faults->delay_us) usleep((useconds_t)faults->delay_us);
    if (faults->full && writes) { errno = ENOSPC; return 1; }
    return 0;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define WRITES(name, params, args) ssize_t name params { REAL(name); return bad(file, 1) ? -1 : real args; }
WRITES(write, (int file, const void *data, size_t size), (file, data, size))
WRITES(pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at))
WRITES(pwrite64, (int file, const void *data, size_t size, off64_t at), (file, data, size, at))
WRITES(writev, (int file, const struct iovec *data, int count), (file, data, count))
WRITES(pwritev, (int file, const struct iovec *data, int count, off_t at), (file, data, count, at))
WRITES(pwritev64, (int file, const struct iovec *data, int count, off64_t at), (file, data, count, at))

int fsync(int file) { REAL(fsync); return bad(file, 0) ? -1 : real(file); }
int fdatasync(int file) { REAL(fdatasync); return bad(file, 0) ? -1 : real(file); }
int posix_fallocate(int file, off_t at, off_t size) {
    REAL(posix_fallocate); return bad(file, 1) ? ENOSPC : real(file, at, size);
}
int posix_fallocate64(int file, off64_t at, off64_t size) {
    REAL(posix_fallocate64); return bad(file, 1) ? ENOSPC : real(file, at, size);
}

int clock_gettime(clockid_t which, struct timespec *now) {
    REAL(clock_gettime);
    int result = real(which, now);
    if (result == 0 && faults && which == CLOCK_REALTIME && faults->clock_us) {
        int64_t ns = now->tv_sec * 1000000000LL + now->tv_nsec + faults->clock_us * 1000LL;
        now->tv_sec = ns / 1000000000LL;
        now->tv_nsec = ns % 1000000000LL;
    }
    return result;
}
