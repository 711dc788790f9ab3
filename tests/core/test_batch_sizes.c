/* The small random network for pictures of several sizes. A test of its own, for unoptimised it takes longest. */
#include <string.h>

#include "check.h"
#include "golden.h"
#include "model.h"

static void set_side(unsigned char *bytes, size_t size, const char *key, uint32_t side)
{
    const size_t length = strlen(key), most = size - length - 2 * sizeof side;
    for (size_t i = 0; i < most; i++)
        if (memcmp(bytes + i, key, length) == 0) memcpy(bytes + i + length + sizeof side, &side, sizeof side); /* after the type */
}

/* The larger a picture, the fewer fit into a network call; what it shows does not depend on that. */
static void test_batch_sizes(const unsigned char *bytes, size_t size)
{
    static const uint32_t sides[] = {16, 128, 192};
    int32_t most[3];
    for (int i = 0; i < 3; i++) {
        enum { LARGEST = 192 * 192 };
        static uint8_t together[LARGEST], alone[LARGEST];
        unsigned char *changed = malloc(size);
        memcpy(changed, bytes, size);
        set_side(changed, size, "pocket-diffusion.image.width", sides[i]);
        set_side(changed, size, "pocket-diffusion.image.height", sides[i]);
        pd_model *model = NULL;
        CHECK(pd_model_load(changed, size, &model, NULL) == PD_OK);
        free(changed);
        if (!model) return;
        most[i] = model->network.max_images;
        const pd_picture pictures[3] = {{0, 0, 1, 0}, {1, 0, 2, 0}, {2, 0, 3, 0}};
        pd_options options;
        CHECK(pd_options_init(model, &options) == PD_OK);
        options.steps = 1;
        for (int32_t count = 3; count > 0; count -= 2) {
            pd_run *run = NULL;
            CHECK(pd_run_start(model, &options, pictures + 3 - count, count, &run, NULL) == PD_OK);
            CHECK(pd_run_step(run, NULL) == PD_OK);
            CHECK(pd_run_finish(run, count - 1, count == 3 ? together : alone, LARGEST, NULL) == PD_OK);
            pd_run_free(run);
        }
        CHECK(memcmp(together, alone, (size_t)sides[i] * sides[i]) == 0);
        pd_model_free(model);
    }
    CHECK(most[0] == 8 && most[1] > 2 && most[1] < 8 && most[2] == 2);
}

int main(void)
{
    size_t size;
    char *bytes = golden_read("tiny", "gguf", &size);
    test_batch_sizes((const unsigned char *)bytes, size);
    free(bytes);
    return check_result();
}
