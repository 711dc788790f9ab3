#include "check.h"
#include "status.h"

#include <string.h>

static void test_table(void)
{
#define ROW(number, name, text) {number, #name, text, PD_##name},
    static const struct {
        int number;
        const char *name, *text;
        pd_status status;
    } rows[] = {PD_STATUS_TABLE(ROW)};
#undef ROW
    const int count = (int)(sizeof rows / sizeof rows[0]);
    for (int i = 0; i < count; i++) {
        CHECK(rows[i].number == i); /* in order, none left out, none twice */
        CHECK(strcmp(pd_status_name(rows[i].status), rows[i].name) == 0);
        CHECK(strcmp(pd_status_text(rows[i].status), rows[i].text) == 0);
        const size_t length = strlen(rows[i].text);
        CHECK(length > 0 && length < 80 && rows[i].text[length - 1] != '.' && !strchr(rows[i].text, '\n'));
    }
    /* numbers are part of the interface: they stay what they were */
    CHECK(PD_OK == 0 && PD_SHORT == 1 && PD_OFFSET == 17 && PD_MEMORY == 30 && PD_STATE == 33 && PD_SAVED == 34);
    CHECK(strcmp(pd_status_name((pd_status)count), "UNKNOWN") == 0);
    CHECK(strcmp(pd_status_name((pd_status)-1), "UNKNOWN") == 0);
    CHECK(strcmp(pd_status_text((pd_status)4711), "unknown error") == 0);
}

#define CHECK_LINE(expected, ...)                                                                \
    do {                                                                                         \
        pd_error check_error;                                                                    \
        memset(&check_error, 0x7e, sizeof check_error);                                          \
        CHECK(pd_fail(&check_error, PD_VALUE, 77, __VA_ARGS__) == PD_VALUE);                     \
        CHECK(check_error.status == PD_VALUE && check_error.offset == 77);                       \
        CHECK(strcmp(check_error.message, expected) == 0);                                       \
        if (strcmp(check_error.message, expected)) fprintf(stderr, "  %s\n", check_error.message); \
    } while (0)

static pd_bytes bytes_of(const char *text) { return (pd_bytes){text, strlen(text)}; }

static void test_format(void)
{
    CHECK(pd_fail(NULL, PD_ARG, 0, "%s", "nobody listens") == PD_ARG);
    CHECK_LINE("", "");
    CHECK_LINE("plain", "plain");
    CHECK_LINE("100 %", "100 %%");
    CHECK_LINE("a text, Grüße", "a %s, %s", "text", "Grüße");
    CHECK_LINE("broken \xff\xc3 text", "broken %s text", "\xff\xc3"); /* of a caller: passed on as it is */
    const pd_bytes marks = {"a\xe2\x80\x8e" "b\xe2\x80\x90", 8}; /* U+200E turns the direction, U+2010 is a hyphen */
    CHECK_LINE("\"a\\xe2\\x80\\x8eb\xe2\x80\x90\"", "%q", &marks);
    CHECK_LINE("0 18446744073709551615", "%u %u", (uint64_t)0, UINT64_MAX);
    CHECK_LINE("-9223372036854775808 -1 0 9223372036854775807", "%d %d %d %d", INT64_MIN, (int64_t)-1, (int64_t)0,
               INT64_MAX);
}

static void test_real(void)
{
    static const double values[] = {0,      -0.0,    1,      -1,       10,     0.5,     0.1,       123456,   999999, 1e6,
                                    1234567, 999999.7, 0.001, 0.0001,  0.00001, 0.000123456789, 1e-300, 1e300, 1.7976931348623157e308,
                                    5e-324, 3.14159265358979, -2.5e-7, 100,     100.25, 1e5, 9.999996, 9.9999951};
    char expected[64];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        snprintf(expected, sizeof expected, "%g|", values[i]);
        CHECK_LINE(expected, "%g|", values[i]);
    }
    CHECK_LINE("nan", "%g", (double)NAN);
    CHECK_LINE("inf -inf", "%g %g", (double)INFINITY, -(double)INFINITY);

    uint64_t state = 1; /* random bit patterns, against printf */
    int differ = 0;
    for (int i = 0; i < 200000; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        const uint64_t bits = i & 1 ? state : (state >> 8 & 0xffffffffffffffu) | 0x3f00000000000000u;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (value != value) continue;
        pd_error error;
        pd_set_error(&error, PD_OK, 0, "%g", value);
        snprintf(expected, sizeof expected, "%g", value);
        differ += strcmp(error.message, expected) != 0;
    }
    CHECK(differ == 0);
}

static void test_quoted(void)
{
    pd_bytes text = bytes_of("class.names");
    CHECK_LINE("key \"class.names\"!", "key %q!", &text);
    text = bytes_of("");
    CHECK_LINE("\"\"", "%q", &text);
    text = (pd_bytes){NULL, 0};
    CHECK_LINE("\"\"", "%q", &text);
    text = bytes_of("naïve 世界 🙂");
    CHECK_LINE("\"naïve 世界 🙂\"", "%q", &text);
    text = bytes_of("a\"b\\c");
    CHECK_LINE("\"a\\\"b\\\\c\"", "%q", &text);
    text = (pd_bytes){"a\0b\n\x1b[2J\x7f\xff", 10};
    CHECK_LINE("\"a\\x00b\\x0a\\x1b[2J\\x7f\\xff\"", "%q", &text);
    text = bytes_of("\xc2\x85|\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa6"); /* next line, line separator, bidi marks */
    CHECK_LINE("\"\\xc2\\x85|\\xe2\\x80\\xa8|\\xe2\\x80\\xae|\\xe2\\x81\\xa6\"", "%q", &text);
    text = (pd_bytes){"\xe4\xb8\x96", 2}; /* the third byte is not part of it */
    CHECK_LINE("\"\\xe4\\xb8\"", "%q", &text);

    char sixty_four[65], line[80];
    memset(sixty_four, 'x', 64);
    sixty_four[64] = '\0';
    snprintf(line, sizeof line, "\"%s\"", sixty_four);
    text = (pd_bytes){sixty_four, 64};
    CHECK_LINE(line, "%q", &text);
    char sixty_five[66];
    snprintf(sixty_five, sizeof sixty_five, "%sy", sixty_four);
    snprintf(line, sizeof line, "\"%s...\"", sixty_four);
    text = (pd_bytes){sixty_five, 65};
    CHECK_LINE(line, "%q", &text);
    memcpy(sixty_five + 63, "é", 2); /* bytes 63 and 64: must not be torn */
    snprintf(line, sizeof line, "\"%.63s...\"", sixty_four);
    CHECK_LINE(line, "%q", &text);
}

static void test_cut(void)
{
    /* a message of any length ends in its buffer, with whole characters */
    struct {
        pd_error error;
        unsigned char guard[16];
    } guarded;
    char text[600];
    for (size_t length = 240; length < 270; length++) {
        memset(text, 'm', length);
        text[length] = '\0';
        memset(&guarded, 0x55, sizeof guarded);
        pd_set_error(&guarded.error, PD_VALUE, 0, "%s", text);
        CHECK(strlen(guarded.error.message) == (length < 255 ? length : 255));
        for (size_t i = 0; i < sizeof guarded.guard; i++) CHECK(guarded.guard[i] == 0x55);

        snprintf(text + length, sizeof text - length, "世界界界界界界界界");
        pd_set_error(&guarded.error, PD_VALUE, 0, "%s%s", text, "a later piece must not fill the hole");
        const char *message = guarded.error.message;
        const size_t cut = strlen(message);
        CHECK(cut <= 255 && cut >= 253);
        CHECK(memcmp(message, text, cut) == 0);
        for (size_t i = 0; i < cut;) {
            uint32_t code_point;
            const uint32_t count = pd_utf8_decode(message + i, cut - i, &code_point);
            CHECK(count > 0);
            i += count ? count : 1;
        }
    }
}

/* Every code point that may be encoded is decoded from its encoding, and the
 * number of accepted sequences is the number of code points: no other one is. */
static void test_utf8(void)
{
    long wrong = 0;
    for (uint32_t point = 0; point <= 0x10ffff; point++) {
        char text[4];
        uint32_t length, decoded = 0;
        if (point < 0x80) {
            text[0] = (char)point;
            length = 1;
        } else if (point < 0x800) {
            text[0] = (char)(0xc0 + point / 64);
            text[1] = (char)(0x80 + point % 64);
            length = 2;
        } else if (point < 0x10000) {
            text[0] = (char)(0xe0 + point / 4096);
            text[1] = (char)(0x80 + point / 64 % 64);
            text[2] = (char)(0x80 + point % 64);
            length = 3;
        } else {
            text[0] = (char)(0xf0 + point / 262144);
            text[1] = (char)(0x80 + point / 4096 % 64);
            text[2] = (char)(0x80 + point / 64 % 64);
            text[3] = (char)(0x80 + point % 64);
            length = 4;
        }
        const bool surrogate = point >= 0xd800 && point < 0xe000;
        const uint32_t found = pd_utf8_decode(text, length, &decoded);
        wrong += surrogate ? found != 0 : found != length || decoded != point;
        wrong += pd_utf8_decode(text, length - 1, &decoded) != 0; /* cut */
    }
    CHECK(wrong == 0);

    uint32_t point;
    long accepted[5] = {0};
    for (uint32_t i = 0; i < 1u << 24; i++) {
        const char text[3] = {(char)(i >> 16), (char)(i >> 8), (char)i};
        accepted[pd_utf8_decode(text, 3, &point)]++;
    }
    CHECK(accepted[1] == 0x80 * 65536l);
    CHECK(accepted[2] == (0x800 - 0x80) * 256l);
    CHECK(accepted[3] == 0x10000 - 0x800 - 0x800);
    CHECK(accepted[4] == 0);
    static const uint8_t ends[] = {0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff};
    long four = 0;
    for (uint32_t i = 0; i < 0x1000; i++)
        for (size_t k = 0; k < 36; k++) {
            const char text[4] = {(char)(0xf0 + (i >> 8)), (char)i, (char)ends[k / 6], (char)ends[k % 6]};
            four += pd_utf8_decode(text, 4, &point) == 4;
        }
    CHECK(four == 0x100000 / 4096 * 4); /* two of the six bytes continue, in both places */
}

int main(void)
{
    test_table();
    test_format();
    test_real();
    test_quoted();
    test_cut();
    test_utf8();
    return check_result();
}
