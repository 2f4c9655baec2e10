/* Runs a fuzz target without libFuzzer, so that every compiler runs it in every test run: first
 * the corpus as it is, then a number of mutations of it. The mutations follow from the seed alone.
 *
 *   fuzz_x [--runs N] [--seed N] [--max-len N] [FILE|DIR...]
 *
 * A crash leaves its input in ./crash-NAME of the current folder. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CORPUS_MAX 4096
#define INPUT_LEN_MAX (1U << 20)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

struct input {
    uint8_t *data;
    size_t len;
};

static struct input corpus[CORPUS_MAX];
static size_t corpus_len;

/* What a crash reports: the run under way. */
static const uint8_t *current_data;
static size_t current_len;
static uint64_t current_run;
static uint64_t seed = 1;

static uint64_t rng_state;

/* splitmix64 */
static uint64_t rng_next(void)
{
    uint64_t z = (rng_state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t rng_below(size_t bound)
{
    return bound == 0 ? 0 : (size_t)(rng_next() % bound);
}

static void corpus_add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct input *in;
    size_t n;

    if (f == NULL) {
        fprintf(stderr, "fuzz: cannot read %s: %s\n", path, strerror(errno));
        exit(2);
    }
    if (corpus_len == CORPUS_MAX) {
        fprintf(stderr, "fuzz: more than %d corpus files\n", CORPUS_MAX);
        exit(2);
    }
    in = &corpus[corpus_len++];
    in->data = malloc(INPUT_LEN_MAX);
    if (in->data == NULL)
        abort();
    n = fread(in->data, 1, INPUT_LEN_MAX, f);
    in->len = n;
    in->data = realloc(in->data, n == 0 ? 1 : n);
    if (in->data == NULL)
        abort();
    fclose(f);
}

static void corpus_add(const char *path)
{
    struct dirent **names;
    struct stat st;
    char file[4096];
    int n;

    if (stat(path, &st) != 0)
        return; /* a target without a corpus starts from the empty input */
    if (!S_ISDIR(st.st_mode)) {
        corpus_add_file(path);
        return;
    }
    n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
            corpus_add_file(file);
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

/* Each run gets a buffer of exactly its size, so that a sanitizer sees one byte too far. */
static void run_one(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, data, len);
    current_data = data;
    current_len = len;
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    current_run++;
}

static size_t mutate_splice(uint8_t *buf, size_t len, size_t len_max)
{
    const struct input *other = &corpus[rng_below(corpus_len)];
    size_t from = rng_below(other->len + 1);
    size_t n = rng_below(other->len - from + 1);
    size_t at = rng_below(len + 1);

    if (n > len_max - at)
        n = len_max - at;
    if (n > 0)
        memcpy(buf + at, other->data + from, n);
    return at + n > len ? at + n : len;
}

static size_t mutate_insert(uint8_t *buf, size_t len, size_t len_max)
{
    size_t at = rng_below(len + 1);
    size_t n = 1 + rng_below(8);

    if (n > len_max - len)
        n = len_max - len;
    memmove(buf + at + n, buf + at, len - at);
    for (size_t i = 0; i < n; i++)
        buf[at + i] = (uint8_t)rng_next();
    return len + n;
}

static size_t mutate_remove(uint8_t *buf, size_t len)
{
    size_t at = rng_below(len);
    size_t n = 1 + rng_below(len - at < 8 ? len - at : 8);

    if (n > len - at)
        n = len - at;
    memmove(buf + at, buf + at + n, len - at - n);
    return len - n;
}

/* One small change; the values are those at which codecs tend to break. */
static size_t mutate(uint8_t *buf, size_t len, size_t len_max)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff, 0x0c, 0x14, 0x1c};

    if (len == 0)
        return mutate_insert(buf, len, len_max);
    switch (rng_below(7)) {
    case 0:
        buf[rng_below(len)] ^= (uint8_t)(1U << rng_below(8));
        return len;
    case 1:
        buf[rng_below(len)] = edges[rng_below(sizeof edges)];
        return len;
    case 2:
        buf[rng_below(len)] = (uint8_t)rng_next();
        return len;
    case 3:
        return mutate_insert(buf, len, len_max);
    case 4:
        return mutate_remove(buf, len);
    case 5:
        return mutate_splice(buf, len, len_max);
    default:
        return rng_below(len + 1);
    }
}

static void on_crash(int sig)
{
    char path[256];
    FILE *f;

    /* Not async-signal-safe, but the process is lost anyway and this is a test tool. */
    signal(sig, SIG_DFL);
    snprintf(path, sizeof path, "crash-%s", program_invocation_short_name);
    f = fopen(path, "wb");
    if (f != NULL) {
        fwrite(current_data, 1, current_len, f);
        fclose(f);
    }
    fprintf(stderr, "fuzz: signal %d in run %" PRIu64 " of seed %" PRIu64 ", see ./%s\n", sig,
            current_run, seed, path);
    raise(sig);
}

static void catch_crashes(void)
{
    signal(SIGABRT, on_crash);
    /* A sanitizer reports these better, and then aborts. */
    if (!SANITIZED) {
        signal(SIGSEGV, on_crash);
        signal(SIGBUS, on_crash);
        signal(SIGFPE, on_crash);
    }
}

static uint64_t number(const char *option, const char *text)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = text == NULL ? 0 : strtoull(text, &end, 10);
    if (text == NULL || *text == '\0' || *end != '\0' || errno != 0) {
        fprintf(stderr, "fuzz: %s needs a number\n", option);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    uint64_t runs = 20000;
    size_t len_max = 4096;
    uint8_t *buf;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--runs") == 0) {
            runs = number(argv[i], argv[i + 1]);
            i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = number(argv[i], argv[i + 1]);
            i++;
        } else if (strcmp(argv[i], "--max-len") == 0) {
            len_max = (size_t)number(argv[i], argv[i + 1]);
            i++;
        } else {
            corpus_add(argv[i]);
        }
    }
    catch_crashes();

    for (size_t i = 0; i < corpus_len; i++)
        run_one(corpus[i].data, corpus[i].len);
    printf("fuzz: %zu corpus files\n", corpus_len);
    if (corpus_len == 0) {
        corpus[0].data = calloc(1, 1);
        corpus_len = 1;
        run_one((const uint8_t *)"", 0);
    }

    rng_state = seed;
    buf = malloc(len_max + 1);
    if (buf == NULL || len_max == 0)
        abort();
    for (uint64_t r = 0; r < runs; r++) {
        const struct input *from = &corpus[rng_below(corpus_len)];
        size_t len = from->len < len_max ? from->len : len_max;
        size_t changes = 1 + rng_below(8);

        if (len > 0)
            memcpy(buf, from->data, len);
        for (size_t c = 0; c < changes; c++)
            len = mutate(buf, len, len_max);
        run_one(buf, len);
    }
    printf("fuzz: %" PRIu64 " mutations of seed %" PRIu64 "\n", runs, seed);
    free(buf);
    for (size_t i = 0; i < corpus_len; i++)
        free(corpus[i].data);
    return 0;
}
