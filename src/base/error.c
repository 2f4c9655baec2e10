#include "kelpie/error.h"

#include <string.h>

const char *kelpie_error_name(int code)
{
    switch (code) {
    case KELPIE_OK:
        return "ok";
#define NAME_CASE(num, NAME, name, http, retry, applied, text)                                     \
    case KELPIE_E_##NAME:                                                                          \
        return name;
        KELPIE_ERRORS(NAME_CASE)
#undef NAME_CASE
    default:
        return "unknown_error";
    }
}

const char *kelpie_error_text(int code)
{
    switch (code) {
    case KELPIE_OK:
        return "no error";
#define TEXT_CASE(num, NAME, name, http, retry, applied, text)                                     \
    case KELPIE_E_##NAME:                                                                          \
        return text;
        KELPIE_ERRORS(TEXT_CASE)
#undef TEXT_CASE
    default:
        return "an error that this version does not know";
    }
}

int kelpie_error_http(int code)
{
    switch (code) {
    case KELPIE_OK:
        return 200;
#define HTTP_CASE(num, NAME, name, http, retry, applied, text)                                     \
    case KELPIE_E_##NAME:                                                                          \
        return http;
        KELPIE_ERRORS(HTTP_CASE)
#undef HTTP_CASE
    default:
        return 500;
    }
}

int kelpie_error_retry(int code)
{
    switch (code) {
#define RETRY_CASE(num, NAME, name, http, retry, applied, text)                                    \
    case KELPIE_E_##NAME:                                                                          \
        return retry;
        KELPIE_ERRORS(RETRY_CASE)
#undef RETRY_CASE
    default:
        return 0;
    }
}

enum kelpie_applied kelpie_error_applied(int code)
{
    switch (code) {
    case KELPIE_OK:
        return KELPIE_APPLIED_YES;
#define APPLIED_CASE(num, NAME, name, http, retry, applied, text)                                  \
    case KELPIE_E_##NAME:                                                                          \
        return KELPIE_APPLIED_##applied;
        KELPIE_ERRORS(APPLIED_CASE)
#undef APPLIED_CASE
    default:
        return KELPIE_APPLIED_UNKNOWN;
    }
}

const char *kelpie_applied_name(enum kelpie_applied applied)
{
    switch (applied) {
    case KELPIE_APPLIED_NO:
        return "no";
    case KELPIE_APPLIED_YES:
        return "yes";
    default:
        return "unknown";
    }
}

int kelpie_error_from_name(const char *name)
{
#define NAME_MATCH(num, NAME, text_name, http, retry, applied, text)                               \
    if (strcmp(name, text_name) == 0)                                                              \
        return KELPIE_E_##NAME;
    KELPIE_ERRORS(NAME_MATCH)
#undef NAME_MATCH
    return 0;
}
