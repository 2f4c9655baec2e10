#include "bin/shared/object_file.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bin/shared/actors_load.h"
#include "kelpie/error.h"

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#elif defined(__riscv)
#define OWN_MACHINE EM_RISCV
#else
#define OWN_MACHINE EM_NONE /* the loader says it */
#endif

static int refuse(const char *file, const char *text, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "%s %s", file, text);
    return KELPIE_E_INVALID;
}

/* A loader that maps a file which is shorter than it says is killed when it looks there. */
static bool is_whole(struct bytes object, const ElfW(Ehdr) * head)
{
    if (head->e_phentsize != sizeof(ElfW(Phdr)) || head->e_phoff > object.len ||
        head->e_phnum > (object.len - head->e_phoff) / sizeof(ElfW(Phdr)))
        return false;
    if (head->e_shoff > object.len ||
        (head->e_shnum && head->e_shentsize > (object.len - head->e_shoff) / head->e_shnum))
        return false;
    for (unsigned i = 0; i < head->e_phnum; i++) {
        ElfW(Phdr) p;
        memcpy(&p, object.data + head->e_phoff + i * sizeof p, sizeof p);
        if (p.p_offset > object.len || p.p_filesz > object.len - p.p_offset)
            return false;
    }
    return true;
}

static int look(const char *file, struct bytes object, char *why, size_t why_size)
{
    ElfW(Ehdr) head;

    if (object.len < sizeof head)
        return refuse(file, "is no shared object: it is too short", why, why_size);
    memcpy(&head, object.data, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
        return refuse(file, "is no shared object", why, why_size);
    if (head.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        (OWN_MACHINE != EM_NONE && head.e_machine != OWN_MACHINE))
        return refuse(file, "is a shared object for another architecture", why, why_size);
    if (head.e_type != ET_DYN)
        return refuse(file, "is no shared object: build it with -shared -fPIC", why, why_size);
    if (!is_whole(object, &head))
        return refuse(file, "is truncated: it is shorter than it says", why, why_size);
    return 0;
}

static bool read_all(int fd, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, to, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        to += n;
        len -= (size_t)n;
    }
    return true;
}

int object_read(const char *file, struct bytes *out, char *why, size_t why_size)
{
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe keeps nobody waiting */

    if (fd < 0 || fstat(fd, &st)) {
        (void)snprintf(why, why_size, "%s cannot be read: %s", file, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return KELPIE_E_INVALID;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > OBJECT_BYTES_MAX) {
        (void)close(fd);
        return refuse(file, S_ISREG(st.st_mode) ? "is too large" : "is no file", why, why_size);
    }
    uint8_t *data = malloc((size_t)st.st_size + 1);
    CHECK(data);
    bool all = read_all(fd, data, (size_t)st.st_size);
    (void)close(fd);
    *out = bytes_of(data, (size_t)st.st_size);
    int err = all ? look(file, *out, why, why_size)
                  : refuse(file, "cannot be read to its end", why, why_size);
    if (err)
        free(data);
    return err;
}

static bool write_all(int fd, struct bytes b)
{
    while (b.len > 0) {
        ssize_t n = write(fd, b.data, b.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        b = bytes_of(b.data + n, b.len - (size_t)n);
    }
    return true;
}

int object_load(const char *file, struct bytes object, struct object_copy *out, char *why,
                size_t why_size)
{
    char path[64];

    *out = (struct object_copy){.fd = memfd_create("kelpie-actors", MFD_CLOEXEC)};
    if (out->fd < 0 || !write_all(out->fd, object)) {
        (void)snprintf(why, why_size, "%s cannot be copied: %s", file, strerror(errno));
        object_unload(out);
        return KELPIE_E_INVALID;
    }
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", out->fd);
    out->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | ACTORS_OWN_NAMES_FIRST);
    if (out->handle)
        return 0;
    const char *said = dlerror(), *behind = said ? strstr(said, path) : NULL;
    if (behind)
        said = behind + strlen(path) + (behind[strlen(path)] == ':');
    (void)snprintf(why, why_size, "%s cannot be loaded:%s%s", file, behind ? "" : " ",
                   said ? said : "the loader does not say why");
    object_unload(out);
    return KELPIE_E_INVALID;
}

void object_unload(struct object_copy *c)
{
    if (c->handle)
        (void)dlclose(c->handle);
    if (c->fd >= 0)
        (void)close(c->fd);
    *c = (struct object_copy){.fd = -1};
}
