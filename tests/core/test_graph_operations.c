/* Every kind of operation of a graph against PyTorch: the small models of
 * tests/golden/graph_operations.bin, which tests/parity/make_graph_operations.py makes. */
#include "check.h"
#include "golden.h"
#include "pocket_diffusion.h"

#include <stdint.h>

enum { TIME = 7 };
static const double TOLERANCE = 1e-4; /* of the largest magnitude */

static void check_case(const unsigned char *file, size_t size, const float *x, size_t count, const float *expected, size_t length)
{
    pd_model *model = NULL;
    pd_error error;
    const pd_status status = pd_model_load(file, size, &model, &error);
    CHECK(status == PD_OK);
    if (status != PD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return;
    }
    float *prediction = malloc(count * sizeof *prediction);
    if (!prediction) exit(EXIT_FAILURE);
    CHECK(pd_model_predict(model, x, TIME, PD_LABEL_NULL, prediction, &error) == PD_OK);
    double largest = 1e-2, difference = 0.0;
    for (size_t i = 0; i < length; i++) {
        largest = fmax(largest, fabs((double)expected[i]));
        difference = fmax(difference, fabs((double)prediction[i] - (double)expected[i]));
    }
    CHECK_NEAR(difference / largest, 0.0, TOLERANCE);
    free(prediction);
    pd_model_free(model);
}

int main(void)
{
    size_t size;
    char *data = golden_read("graph_operations", "bin", &size);
    for (size_t at = 0; at < size;) {
        uint32_t sizes[3];
        memcpy(sizes, data + at, sizeof sizes);
        at += sizeof sizes;
        /* Copies, so that numbers lie where floats may lie. */
        const size_t bytes = ((size_t)sizes[1] + sizes[2]) * sizeof(float);
        float *values = malloc(bytes);
        if (!values) exit(EXIT_FAILURE);
        memcpy(values, data + at + sizes[0], bytes);
        check_case((const unsigned char *)data + at, sizes[0], values, sizes[1], values + sizes[1], sizes[2]);
        free(values);
        at += sizes[0] + bytes;
    }
    free(data);
    return check_result();
}
