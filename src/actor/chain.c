#include "actor/chain.h"

#include <stdio.h>

#include "base/utf8.h"

/* Takes the text up to the next NUL off the front; false: there is none of 1..max bytes of UTF-8. */
static bool take_name(struct bytes *rest, size_t max, struct bytes *out)
{
    const uint8_t *end = rest->len ? memchr(rest->data, 0, rest->len) : NULL;

    if (!end)
        return false;
    *out = bytes_of(rest->data, (size_t)(end - rest->data));
    *rest = bytes_of(end + 1, rest->len - out->len - 1);
    return out->len > 0 && out->len <= max && utf8_valid(*out);
}

static bool take(struct bytes *rest, struct bytes *type, struct bytes *id)
{
    return take_name(rest, ACTOR_TYPE_MAX, type) && take_name(rest, ACTOR_ID_MAX, id);
}

bool chain_valid(struct bytes chain)
{
    struct bytes type, id;
    size_t depth = 0;

    while (chain.len > 0)
        if (!take(&chain, &type, &id) || ++depth > KELPIE_CALL_DEPTH_MAX)
            return false;
    return true;
}

size_t chain_depth(struct bytes chain)
{
    struct bytes type, id;
    size_t depth = 0;

    while (take(&chain, &type, &id))
        depth++;
    return depth;
}

bool chain_has(struct bytes chain, const char *type, const char *id)
{
    struct bytes t, i;

    while (take(&chain, &t, &i))
        if (bytes_equal(t, bytes_of_str(type)) && bytes_equal(i, bytes_of_str(id)))
            return true;
    return false;
}

struct bytes chain_caller(struct bytes chain)
{
    struct bytes last = chain, type, id;

    for (struct bytes rest = chain; take(&rest, &type, &id);)
        last = bytes_of(type.data, type.len + id.len + 2);
    return last;
}

void chain_append(struct buf *chain, const char *type, const char *id)
{
    buf_append(chain, type, strlen(type) + 1);
    buf_append(chain, id, strlen(id) + 1);
}

void chain_to_text(struct bytes chain, struct buf *out)
{
    struct bytes type, id;

    while (take(&chain, &type, &id)) {
        buf_append_bytes(out, type);
        buf_append_u8(out, '/');
        buf_append_bytes(out, id);
        buf_append_bytes(out, bytes_of_str(" -> "));
    }
}

static void hash_text(struct hash128 *h, const char *text)
{
    hash128_bytes(h, bytes_of_str(text));
}

struct hash128 nested_hash(const struct nested *n)
{
    struct hash128 h = hash128_start();

    hash_text(&h, n->origin);
    hash_text(&h, n->type);
    hash_text(&h, n->id);
    hash_text(&h, n->to_type);
    hash_text(&h, n->to_id);
    hash_text(&h, n->method);
    hash128_bytes(&h, n->body);
    return hash128_value(&h);
}

void nested_request_id(struct hash128 hash, uint64_t equals, char out[REQUEST_ID_MAX + 1])
{
    char text[33];

    hash128_to_text(hash, text);
    (void)snprintf(out, REQUEST_ID_MAX + 1, "call-%s-%llu", text, (unsigned long long)equals);
}

void message_origin(struct uuid message, uint64_t attempt, char out[REQUEST_ID_MAX + 1])
{
    char text[UUID_TEXT_SIZE];

    uuid_to_text(message, text);
    (void)snprintf(out, REQUEST_ID_MAX + 1, "m-%s-%llu", text, (unsigned long long)attempt);
}
