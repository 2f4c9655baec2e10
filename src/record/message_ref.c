#include "record/message_ref.h"

#include <inttypes.h>
#include <stdio.h>

#include "kelpie/error.h"

const char *message_place_name(enum message_place place)
{
    static const char *const names[MESSAGE_PLACES] = {"waiting", "later", "dead"};

    CHECK(place < MESSAGE_PLACES);
    return names[place];
}

void message_ref_to_text(const struct message_ref *ref, char out[MESSAGE_REF_SIZE])
{
    char sender[UUID_TEXT_SIZE], due[24] = "";

    uuid_to_text(ref->at.sender, sender);
    if (ref->place == MESSAGE_LATER)
        (void)snprintf(due, sizeof due, "%" PRIu64 ".", ref->at.due_ms);
    (void)snprintf(out, MESSAGE_REF_SIZE, "%s.%s%" PRIu64 ".%" PRIu64 ".%s",
                   message_place_name(ref->place), due, ref->at.generation, ref->at.number, sender);
}

/* A number and the dot behind it. */
static bool take_number(const char **text, uint64_t *out)
{
    const char *p = *text;

    *out = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');

        if (*out > (UINT64_MAX - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    if (p == *text || *p != '.')
        return false;
    *text = p + 1;
    return true;
}

int message_ref_from_text(const char *text, struct message_ref *out)
{
    for (enum message_place place = 0; place < MESSAGE_PLACES; place++) {
        const char *name = message_place_name(place), *p = text + strlen(name) + 1;

        if (strncmp(text, name, strlen(name)) != 0 || text[strlen(name)] != '.')
            continue;
        *out = (struct message_ref){.place = place};
        if ((place == MESSAGE_LATER && (!take_number(&p, &out->at.due_ms) || !out->at.due_ms)) ||
            !take_number(&p, &out->at.generation) || !take_number(&p, &out->at.number))
            return KELPIE_E_INVALID;
        return uuid_from_text(p, &out->at.sender) ? KELPIE_E_INVALID : 0;
    }
    return KELPIE_E_INVALID;
}

struct message_ref message_ref_of(const struct key_parts *parts)
{
    struct message_ref ref = {
        .at = {.sender = parts->hash, .generation = parts->generation, .number = parts->number}};

    CHECK(parts->family == KEY_INBOX || parts->family == KEY_LATER || parts->family == KEY_DEAD);
    ref.place = parts->family == KEY_INBOX   ? MESSAGE_WAITING
                : parts->family == KEY_LATER ? MESSAGE_LATER
                                             : MESSAGE_DEAD;
    if (ref.place == MESSAGE_LATER)
        ref.at.due_ms = parts->due_ms;
    return ref;
}

struct key message_ref_key(const struct keyspace *ks, uint32_t shards, const char *type,
                           const char *id, const struct message_ref *ref)
{
    if (ref->place == MESSAGE_DEAD)
        return key_dead(ks, type, id, &ref->at);
    if (ref->place == MESSAGE_LATER)
        return key_later(ks, type, id, &ref->at);
    return key_inbox(ks, actor_shard(type, id, shards), type, id, &ref->at);
}
