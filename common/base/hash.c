#include "common/base/hash.h"

#include "common/base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_CHUNK = 1 << 20 };

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Lets libsodium choose its fastest BLAKE2b for this processor. When that fails the portable one serves. */
static void choose_implementation(void)
{
    if (sodium_init() < 0)
        return;
}

void hash_begin(struct hash *h)
{
    pthread_once(&once, choose_implementation);
    crypto_generichash_init(&h->state, NULL, 0, DIGEST_BYTES);
}

void hash_bytes(struct hash *h, const void *data, size_t size)
{
    if (size)
        crypto_generichash_update(&h->state, data, size);
}

static void put_u64(struct hash *h, uint64_t v)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    hash_bytes(h, bytes, sizeof bytes);
}

/* A field is its type's letter, its length where the type does not fix it, and its bytes. */
void hash_text(struct hash *h, const char *text)
{
    size_t size = strlen(text);
    hash_bytes(h, "T", 1);
    put_u64(h, size);
    hash_bytes(h, text, size);
}

void hash_u64(struct hash *h, uint64_t v)
{
    hash_bytes(h, "U", 1);
    put_u64(h, v);
}

void hash_digest(struct hash *h, const struct digest *d)
{
    hash_bytes(h, "D", 1);
    hash_bytes(h, d->bytes, DIGEST_BYTES);
}

struct digest hash_end(struct hash *h)
{
    struct digest d;
    crypto_generichash_final(&h->state, d.bytes, DIGEST_BYTES);
    return d;
}

struct digest digest_of(const void *data, size_t size)
{
    struct hash h;
    hash_begin(&h);
    hash_bytes(&h, data, size);
    return hash_end(&h);
}

/* Reads and does not map: a file that shrinks meanwhile must give an error at the most, never a SIGBUS. */
bool digest_of_file(struct digest *d, const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
    bool ok = true;
    struct hash h;
    hash_begin(&h);
    char *chunk = xmalloc(FILE_CHUNK);
    for (;;) {
        ssize_t n = read(fd, chunk, FILE_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            ok = error_set(err, ERROR_IO, "%s: %s", path, strerror(errno));
        if (n <= 0)
            break;
        hash_bytes(&h, chunk, (size_t)n);
    }
    *d = hash_end(&h);
    free(chunk);
    close(fd);
    return ok;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

int digest_compare(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES);
}

void digest_hex(const struct digest *d, char hex[DIGEST_HEX_ROOM])
{
    sodium_bin2hex(hex, DIGEST_HEX_ROOM, d->bytes, DIGEST_BYTES);
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_from_hex(struct digest *d, const char *hex)
{
    if (strnlen(hex, DIGEST_HEX_ROOM) != 2 * DIGEST_BYTES)
        return false;
    for (int i = 0; i < DIGEST_BYTES; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        d->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}
