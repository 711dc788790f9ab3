/* What the checks of a file cost: bench_load MODEL.gguf prints the CPU time of
 * pd_model_load, and of those parts of it that read, check and look nothing else
 * up. Reading the tables is counted with the checks, although no loader can do
 * without it; so the share is an upper bound. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 60 };

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void require(pd_status status, const pd_error *error)
{
    if (status == PD_OK) return;
    fprintf(stderr, "%s: %s\n", pd_status_name(status), error->message);
    exit(EXIT_FAILURE);
}

static double check(const uint8_t *bytes, size_t size)
{
    pd_gguf gguf;
    pd_config config;
    pd_error error;
    const double start = cpu_seconds();
    require(pd_gguf_open(&gguf, bytes, size, &error), &error);
    require(pd_config_read(&gguf, &config, &error), &error);
    for (uint64_t i = 0; i < gguf.tensor_count; i++) require(pd_gguf_check_finite(&gguf.tensors[i], &error), &error);
    pd_gguf_close(&gguf);
    return cpu_seconds() - start;
}

static double load(const uint8_t *bytes, size_t size)
{
    pd_model *model;
    pd_error error;
    const double start = cpu_seconds();
    require(pd_model_load(bytes, size, &model, &error), &error);
    pd_model_free(model);
    return cpu_seconds() - start;
}

int main(int count, char **arguments)
{
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    uint8_t *bytes = malloc(PD_MAX_FILE_BYTES);
    if (!file || !bytes) {
        fprintf(stderr, "usage: bench_load MODEL.gguf\n");
        return EXIT_FAILURE;
    }
    const size_t size = fread(bytes, 1, PD_MAX_FILE_BYTES, file);
    fclose(file);
    double checks = 1e9, whole = 1e9;
    for (int round = 0; round < ROUNDS; round++) { /* in turns, the best of each */
        const double a = check(bytes, size), b = load(bytes, size);
        checks = a < checks ? a : checks;
        whole = b < whole ? b : whole;
    }
    printf("%zu bytes: load %.2f ms, of which checks %.3f ms: %.1f %%\n", size, 1e3 * whole, 1e3 * checks, 100 * checks / whole);
    free(bytes);
    return EXIT_SUCCESS;
}
