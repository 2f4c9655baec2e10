/*
 * Who may ask. A page in a browser on this machine is not the machine's user, but it reaches what
 * listens on loopback, and through a name of its own that leads there it may even read the answers.
 */
#include <stdio.h>

#include "http/api_internal.h"

#define CHANGE_HEADER "Kelpie-Request"

static bool is_word(const char *text, size_t len, const char *word)
{
    if (len != strlen(word))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((text[i] | (text[i] >= 'A' && text[i] <= 'Z' ? 0x20 : 0)) != word[i])
            return false;
    return true;
}

/* 127.x.y.z in decimal. */
static bool is_loopback_v4(const char *text, size_t len)
{
    unsigned parts = 0, digits = 0, n = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] >= '0' && text[i] <= '9' && digits < 3) {
            n = 10 * n + (unsigned)(text[i] - '0');
            digits++;
        } else if ((i == len || text[i] == '.') && digits > 0 && n <= 255 &&
                   (parts > 0 || n == 127)) {
            parts++;
            digits = n = 0;
        } else {
            return false;
        }
    }
    return parts == 4;
}

/* `host` with or without a port. */
bool api_is_loopback(const char *host, size_t len)
{
    static const char suffix[] = ".localhost";
    size_t n = len;
    while (n > 0 && host[n - 1] >= '0' && host[n - 1] <= '9')
        n--;
    if (n > 0 && host[n - 1] == ':')
        len = n - 1;
    n = sizeof(suffix) - 1;
    return is_word(host, len, "localhost") || is_word(host, len, "[::1]") ||
           (len > n && is_word(host + len - n, n, suffix)) || is_loopback_v4(host, len);
}

bool api_guard_origin(struct api *api, const struct api_request *req)
{
    static const char scheme[] = "http://";
    const char *host = req->ops->header(req->ex, "Host");
    const char *origin = req->ops->header(req->ex, "Origin");
    char why[API_WHY_SIZE];
    if (!api->is_loopback || req->is_local)
        return true;
    if (host && !api_is_loopback(host, strlen(host))) {
        (void)snprintf(why, sizeof(why),
                       "this node listens on loopback only, and '%.100s' is no loopback name",
                       host);
        api_reply_error(api, req, KELPIE_E_FORBIDDEN, why);
        return false;
    }
    if (origin && (!host || strncmp(origin, scheme, sizeof(scheme) - 1) != 0 ||
                   strcmp(origin + sizeof(scheme) - 1, host) != 0)) {
        (void)snprintf(
            why, sizeof(why),
            "this node listens on loopback only, and takes nothing from pages of '%.100s'", origin);
        api_reply_error(api, req, KELPIE_E_FORBIDDEN, why);
        return false;
    }
    return true;
}

/* A browser sends such a header for no page of another origin without asking first, which is refused.
 * Calls of actors are left as simple as they are. */
bool api_guard_change(struct api *api, const struct api_request *req, const struct path *path)
{
    const char *value = req->ops->header(req->ex, CHANGE_HEADER);
    bool is_call = path->count >= 2 && strcmp(path->parts[0].text, "v1") == 0 &&
                   strcmp(path->parts[1].text, "actors") == 0;
    if (is_call || req->is_local || (value && strcmp(value, "1") == 0))
        return true;
    api_reply_error(api, req, KELPIE_E_FORBIDDEN,
                    "what operators ask for needs the header 'Kelpie-Request: 1', which pages in "
                    "browsers cannot send");
    return false;
}
