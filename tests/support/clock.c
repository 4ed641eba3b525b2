/* Loaded before a program (LD_PRELOAD): moves its wall clock and its monotonic clock by what stands in the file that
 * OCTARM_TEST_CLOCK names, two 64-bit numbers of nanoseconds that the test changes while the program runs. The clock
 * that runs on through suspend is left alone: a monotonic clock that is held back beside it is what a machine that was
 * suspended looks like. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *moved;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("OCTARM_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, 2 * sizeof *moved, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        moved = page;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = (int)syscall(SYS_clock_gettime, clock, time);
    if (failed || !moved || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC))
        return failed;
    const int64_t second = 1000000000;
    int64_t by = moved[clock == CLOCK_REALTIME ? 0 : 1];
    int64_t nanoseconds = time->tv_nsec + by % second;
    time->tv_sec += by / second + (nanoseconds < 0 ? -1 : nanoseconds / second);
    time->tv_nsec = nanoseconds < 0 ? nanoseconds + second : nanoseconds % second;
    return 0;
}
