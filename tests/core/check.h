/* The smallest useful test vocabulary: a failed check prints where and goes on. */
#ifndef PD_TEST_CHECK_H
#define PD_TEST_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int check_failures, check_count;

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        check_count++;                                                                        \
        if (!(condition)) {                                                                   \
            check_failures++;                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                   \
        }                                                                                     \
    } while (0)

#define CHECK_NEAR(actual, expected, tolerance)                                               \
    do {                                                                                      \
        const double check_a = (double)(actual), check_e = (double)(expected);                \
        check_count++;                                                                        \
        if (!(fabs(check_a - check_e) <= (double)(tolerance))) {                              \
            check_failures++;                                                                 \
            fprintf(stderr, "%s:%d: %s is %.9g, expected %.9g within %g\n", __FILE__, __LINE__, #actual, check_a, \
                    check_e, (double)(tolerance));                                            \
        }                                                                                     \
    } while (0)

/* Last line of main: return check_result(); A test without checks fails. */
static inline int check_result(void)
{
    printf("%d checks, %d failed\n", check_count, check_failures);
    return check_failures || !check_count ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
