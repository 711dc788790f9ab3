/* How an error is filled in; the list of errors is in pocket_diffusion.h. */
#ifndef PD_STATUS_H
#define PD_STATUS_H

#include "pocket_diffusion.h"

/* Stores status, offset and the formatted line in *error (if not NULL) and
 * returns the status, so that a caller can write `return pd_fail(...)`.
 * Formats: %s NUL-terminated text, %d int64_t, %u uint64_t, %g double (six
 * significant digits), %q pd_bytes by address (quoted, what is not printable
 * ASCII or valid UTF-8 escaped, shortened after 64 bytes), %%. A line that
 * does not fit is cut. Integer arguments must be cast to the 64-bit type. */
pd_status pd_fail(pd_error *error, pd_status status, uint64_t offset, const char *format, ...);

typedef struct pd_bytes {
    const char *data;
    uint64_t length;
} pd_bytes;

#endif
