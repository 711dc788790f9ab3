/* How an error is filled in; the list of errors is in pocket_diffusion.h. */
#ifndef PD_STATUS_H
#define PD_STATUS_H

#include <string.h>

#include "pocket_diffusion.h"

/* Stores status, offset and the formatted line in *error (if not NULL).
 * Formats: %s NUL-terminated text, %d int64_t, %u uint64_t, %g double (six
 * significant digits), %q pd_bytes by address (quoted, what is not printable
 * ASCII or valid UTF-8 escaped, shortened after 64 bytes), %%. A line that
 * does not fit is cut. Integer arguments must be cast to the 64-bit type. */
void pd_set_error(pd_error *error, pd_status status, uint64_t offset, const char *format, ...);

/* The same, then the status: `return pd_fail(error, PD_VALUE, ...)`. A macro, so
 * that compilers and analysers see which status comes back. */
#define pd_fail(error, status, ...) (pd_set_error((error), (status), __VA_ARGS__), (pd_status)(status))

/* Returns from the calling function unless `call` is PD_OK. */
#define PD_TRY(call) \
    do { \
        const pd_status pd_try_status = (call); \
        if (pd_try_status != PD_OK) return pd_try_status; \
    } while (0)

typedef struct pd_bytes {
    const char *data;
    uint64_t length;
} pd_bytes;

/* Is it the same as the NUL-terminated text? */
static inline bool pd_bytes_equal(pd_bytes bytes, const char *text)
{
    const size_t length = strlen(text);
    return bytes.length == length && memcmp(bytes.data, text, length) == 0;
}

/* Length (1 .. 4) of the well-formed UTF-8 sequence that `text` begins with, and
 * its code point; 0 if there is none: overlong forms, surrogates, code points
 * over U+10FFFF and sequences longer than `length` bytes are malformed (Unicode
 * Standard, table 3-7). */
uint32_t pd_utf8_decode(const char *text, uint64_t length, uint32_t *code_point);

#endif
