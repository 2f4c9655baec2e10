#include "actor/domain_error.h"

bool domain_code_valid(struct bytes code)
{
    if (code.len == 0 || code.len > KELPIE_FAIL_CODE_MAX)
        return false;
    for (size_t i = 0; i < code.len; i++) {
        uint8_t c = code.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
            return false;
    }
    return true;
}

void domain_error_encode(struct buf *out, const char *code, const char *sentence)
{
    struct bytes text = bytes_of_str(sentence ? sentence : "");

    CHECK(domain_code_valid(bytes_of_str(code)));
    if (text.len > KELPIE_FAIL_TEXT_MAX) {
        text.len = KELPIE_FAIL_TEXT_MAX;
        while (text.len > 0 && (text.data[text.len] & 0xc0) == 0x80)
            text.len--;
    }
    buf_append_bytes(out, bytes_of_str(code));
    buf_append_u8(out, 0);
    buf_append_bytes(out, text);
}

bool domain_error_decode(struct bytes body, struct domain_error *out)
{
    const uint8_t *end = body.len ? memchr(body.data, 0, body.len) : NULL;
    size_t code_len = end ? (size_t)(end - body.data) : 0, text_len;

    if (!end || !domain_code_valid(bytes_of(body.data, code_len)))
        return false;
    text_len = body.len - code_len - 1;
    if (text_len > KELPIE_FAIL_TEXT_MAX || (text_len && memchr(end + 1, 0, text_len)))
        return false;
    memset(out, 0, sizeof *out);
    memcpy(out->code, body.data, code_len);
    if (text_len)
        memcpy(out->text, end + 1, text_len);
    return true;
}
