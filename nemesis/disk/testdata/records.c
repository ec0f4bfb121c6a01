/* Writes records as a message broker does: into a file of a fixed length through a shared mapping, and into another by
 * pwrite. Arguments: directory, records to force one by one, records not to force. Then it says "ready" and waits. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RECORD = 1000, LENGTH = 1 << 20, PAGE = 4096 };

static int must(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static int create(const char *dir, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return must(open(path, O_RDWR | O_CREAT, 0644), path);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        return 64;
    }
    int forced = atoi(argv[2]), lost = atoi(argv[3]);
    int mapped = create(argv[1], "mapped"), written = create(argv[1], "written");
    must(ftruncate(mapped, LENGTH), "ftruncate");
    char *map = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
    if (map == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    for (int i = 0; i < forced + lost; i++) {
        char record[RECORD];
        memset(record, i < forced ? 'f' : 'l', RECORD);
        memcpy(map + i * RECORD, record, RECORD);
        if (pwrite(written, record, RECORD, (off_t)i * RECORD) != RECORD) {
            perror("pwrite");
            return 1;
        }
        if (i < forced) {
            long from = (long)i * RECORD / PAGE * PAGE;
            must(msync(map + from, (i + 1) * RECORD - from, MS_SYNC), "msync");
            must(fdatasync(written), "fdatasync");
        }
    }
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
