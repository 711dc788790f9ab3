#include "status.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

const char *pd_status_name(pd_status status)
{
    switch ((int)status) {
#define PD_STATUS_CASE(number, name, text) \
    case number: return #name;
        PD_STATUS_TABLE(PD_STATUS_CASE)
#undef PD_STATUS_CASE
    default: return "UNKNOWN";
    }
}

const char *pd_status_text(pd_status status)
{
    switch ((int)status) {
#define PD_STATUS_CASE(number, name, text) \
    case number: return text;
        PD_STATUS_TABLE(PD_STATUS_CASE)
#undef PD_STATUS_CASE
    default: return "unknown error";
    }
}

uint32_t pd_utf8_decode(const char *text, uint64_t length, uint32_t *code_point)
{
    if (length == 0) return 0;
    const uint8_t first = (uint8_t)text[0];
    if (first < 0x80) {
        *code_point = first;
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) return 0; /* a continuation byte, an overlong form, over U+10FFFF */
    const uint32_t count = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length < count) return 0;
    uint32_t value = first & (0x7fu >> count);
    for (uint32_t i = 1; i < count; i++) {
        const uint8_t next = (uint8_t)text[i];
        if ((next & 0xc0) != 0x80) return 0;
        value = value << 6 | (next & 0x3fu);
    }
    if ((count == 3 && value < 0x800) || (count == 4 && value < 0x10000)) return 0; /* overlong */
    if ((value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff) return 0;
    *code_point = value;
    return count;
}

/* ---- a line that grows up to its capacity --------------------------------- */

typedef struct error_line {
    char *text;
    size_t capacity; /* with the final NUL */
    size_t length;
    bool cut;
} error_line;

/* Appends all of the piece or, from the first one on that does not fit, nothing:
 * a multi-byte sequence is never torn apart. */
static void put_piece(error_line *line, const char *piece, size_t length)
{
    if (line->cut || length > line->capacity - 1 - line->length) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->length, piece, length);
    line->length += length;
}

static void put_character(error_line *line, char character) { put_piece(line, &character, 1); }

static void put_text(error_line *line, const char *text)
{
    const size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        uint32_t code_point, count = pd_utf8_decode(text + i, length - i, &code_point);
        if (count == 0) count = 1;
        put_piece(line, text + i, count);
        i += count;
    }
}

static void put_unsigned(error_line *line, uint64_t value)
{
    char digits[20]; /* of 2^64 - 1 */
    size_t first = sizeof digits;
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put_piece(line, digits + first, sizeof digits - first);
}

static void put_signed(error_line *line, int64_t value)
{
    if (value < 0) put_character(line, '-');
    put_unsigned(line, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* As %g of printf, but a tie in the seventh digit may be rounded either way. */
static void put_real(error_line *line, double value)
{
    enum { DIGITS = 6 };
    if (value != value) {
        put_text(line, "nan");
        return;
    }
    if (value < 0 || (value == 0 && 1 / value < 0)) {
        put_character(line, '-');
        value = -value;
    }
    if (value > 1.7976931348623157e308) {
        put_text(line, "inf");
        return;
    }
    if (value == 0) {
        put_character(line, '0');
        return;
    }
    int32_t exponent = 0;
    while (value >= 10) {
        value /= 10;
        exponent++;
    }
    while (value < 1) {
        value *= 10;
        exponent--;
    }
    uint32_t scaled = (uint32_t)(value * 1e5 + 0.5);
    if (scaled >= 1000000) {
        scaled /= 10;
        exponent++;
    }
    char digits[DIGITS];
    for (int32_t i = DIGITS - 1; i >= 0; i--, scaled /= 10) digits[i] = (char)('0' + scaled % 10);
    int32_t count = DIGITS;
    while (count > 1 && digits[count - 1] == '0') count--;

    const bool scientific = exponent < -4 || exponent >= DIGITS;
    const int32_t point = scientific ? 0 : exponent; /* index of the last digit before the point */
    if (point < 0) put_text(line, "0.");
    for (int32_t i = point + 1; i < 0; i++) put_character(line, '0');
    for (int32_t i = 0; i < count || i <= point; i++) {
        if (i == point + 1 && i > 0) put_character(line, '.');
        put_piece(line, i < count ? &digits[i] : "0", 1);
    }
    if (scientific) {
        const uint32_t magnitude = (uint32_t)(exponent < 0 ? -exponent : exponent);
        put_text(line, exponent < 0 ? "e-" : "e+");
        if (magnitude < 10) put_character(line, '0');
        put_unsigned(line, magnitude);
    }
}

/* Safe to print as part of one line: no control characters, no line separators,
 * no marks that change the direction of the text after them. */
static bool is_printable(uint32_t code_point)
{
    return code_point >= 0x20 && !(code_point >= 0x7f && code_point <= 0x9f) && !(code_point >= 0x200e && code_point <= 0x200f) &&
           !(code_point >= 0x2028 && code_point <= 0x202e) && !(code_point >= 0x2066 && code_point <= 0x2069);
}

static void put_quoted(error_line *line, const pd_bytes *bytes)
{
    enum { SHOWN_BYTES = 64 };
    static const char hexadecimal[] = "0123456789abcdef";
    put_character(line, '"');
    uint64_t i = 0;
    while (i < bytes->length && i < SHOWN_BYTES) {
        const char *text = bytes->data + i;
        uint32_t code_point = 0;
        uint32_t count = pd_utf8_decode(text, bytes->length - i, &code_point);
        if (count > 1 && i + count > SHOWN_BYTES) break;
        if (count && is_printable(code_point)) {
            if (code_point == '"' || code_point == '\\') put_character(line, '\\');
            put_piece(line, text, count);
        } else {
            if (count == 0) count = 1;
            for (uint32_t k = 0; k < count; k++) {
                const uint8_t byte = (uint8_t)text[k];
                const char escape[4] = {'\\', 'x', hexadecimal[byte >> 4], hexadecimal[byte & 15]};
                put_piece(line, escape, sizeof escape);
            }
        }
        i += count;
    }
    if (i < bytes->length) put_text(line, "...");
    put_character(line, '"');
}

void pd_set_error(pd_error *error, pd_status status, uint64_t offset, const char *format, ...)
{
    if (!error) return;
    error->status = status;
    error->offset = offset;
    error_line line = {.text = error->message, .capacity = sizeof error->message};
    va_list arguments;
    va_start(arguments, format);
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put_character(&line, *f);
            continue;
        }
        switch (*++f) {
        case 's': put_text(&line, va_arg(arguments, const char *)); break;
        case 'd': put_signed(&line, va_arg(arguments, int64_t)); break;
        case 'u': put_unsigned(&line, va_arg(arguments, uint64_t)); break;
        case 'g': put_real(&line, va_arg(arguments, double)); break;
        case 'q': put_quoted(&line, va_arg(arguments, const pd_bytes *)); break;
        default:
            assert(*f == '%');
            put_character(&line, '%');
            break;
        }
    }
    va_end(arguments);
    error->message[line.length] = '\0';
}
