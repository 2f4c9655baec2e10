/* Answers: JSON, text, errors. */
#include "actor/domain_error.h"
#include "base/utf8.h"
#include "http/api_internal.h"

#define TYPE_JSON "application/json"

void api_reply(struct api *api, const struct api_request *req, int status, const char *type,
               struct bytes body)
{
    CHECK(status >= 100 && status < 100 * API_STATUS_CLASSES);
    api->answers[status / 100]++;
    req->ops->set_header(req->ex, "Cache-Control", "no-store");
    req->ops->reply(req->ex, status, type, body);
}

int api_append_json(const char *text, size_t len, void *buf)
{
    buf_append(buf, text, len);
    return 0;
}

void api_json_text(const json_t *json, struct buf *out)
{
    CHECK(json_dump_callback(json, api_append_json, out, JSON_COMPACT) == 0);
}

void api_reply_json(struct api *api, const struct api_request *req, int status, json_t *json)
{
    struct buf out;
    CHECK(json != NULL);
    buf_init(&out, api->env->mem);
    api_json_text(json, &out);
    buf_append_u8(&out, '\n');
    json_decref(json);
    api_reply(api, req, status, TYPE_JSON, buf_bytes(&out));
    buf_deinit(&out);
}

static json_t *error_body(int error, const char *why)
{
    json_t *body = json_object();
    api_set_text(body, "error", kelpie_error_name(error));
    api_set_text(body, "message", why && why[0] ? why : kelpie_error_text(error));
    api_set_bool(body, "retry", kelpie_error_retry(error) != 0);
    api_set_text(body, "applied", kelpie_applied_name(kelpie_error_applied(error)));
    return body;
}

void api_reply_domain_error(struct api *api, const struct api_request *req, struct bytes error)
{
    struct domain_error e;
    if (!domain_error_decode(error, &e)) {
        api_reply_error(api, req, KELPIE_E_STORE_CORRUPT, "the actor's domain error is none");
        return;
    }
    json_t *body = error_body(KELPIE_E_DOMAIN, e.text);
    api_set_text(body, "code", e.code);
    req->ops->set_header(req->ex, "Kelpie-Error", kelpie_error_name(KELPIE_E_DOMAIN));
    req->ops->set_header(req->ex, "Kelpie-Error-Code", e.code);
    api_reply_json(api, req, kelpie_error_http(KELPIE_E_DOMAIN), body);
}

void api_reply_error(struct api *api, const struct api_request *req, int error, const char *why)
{
    json_t *body = error_body(error, why);
    req->ops->set_header(req->ex, "Kelpie-Error", kelpie_error_name(error));
    if (error == KELPIE_E_LIMIT || error == KELPIE_E_MAILBOX_FULL)
        req->ops->set_header(req->ex, "Retry-After", API_RETRY_AFTER_S);
    if (error == KELPIE_E_TOO_MANY)
        req->ops->set_header(req->ex, "Retry-After", API_RETRY_TOO_MANY_S);
    api_reply_json(api, req, kelpie_error_http(error), body);
}

json_t *api_string(const char *s)
{
    if (!s)
        return json_null();
    json_t *text = json_string(s);
    if (text)
        return text;
    /* Not UTF-8: what is wrong with it is shown, not sent. */
    char clean[API_WHY_SIZE];
    size_t len = strlen(s), n = 0;
    for (size_t at = 0; at < len && n + 4 < sizeof(clean);) {
        size_t char_len = utf8_char_len(bytes_of(s + at, len - at));
        if (char_len == 0) {
            clean[n++] = '?';
            at++;
        } else {
            memcpy(clean + n, s + at, char_len);
            n += char_len;
            at += char_len;
        }
    }
    return json_stringn(clean, n);
}

json_t *api_uuid(struct uuid u)
{
    char text[UUID_TEXT_SIZE];
    if (uuid_is_zero(u))
        return json_null();
    uuid_to_text(u, text);
    return json_string(text);
}

void api_set(json_t *object, const char *name, json_t *value)
{
    CHECK(json_object_set_new(object, name, value) == 0);
}

void api_set_text(json_t *object, const char *name, const char *value)
{
    api_set(object, name, api_string(value));
}

void api_set_int(json_t *object, const char *name, uint64_t value)
{
    /* Numbers beyond what JSON readers keep exact do not occur: all of these count up from 0. */
    api_set(object, name, json_integer((json_int_t)(value & INT64_MAX)));
}

void api_set_bool(json_t *object, const char *name, bool value)
{
    api_set(object, name, json_boolean(value));
}
