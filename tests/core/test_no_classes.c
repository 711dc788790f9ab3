/* A model without classes (golden/no-classes.gguf, of tests/parity/make_no_classes_model.py): what speaks of classes or
 * of guidance is refused, each with its code. */
#include "check.h"
#include "golden.h"
#include "options.h"

static pd_model *model;

#define REFUSED(expected, word, ...)                                                    \
    do {                                                                                \
        pd_options o;                                                                   \
        pd_error error = {0};                                                           \
        CHECK(pd_options_init(model, &o) == PD_OK);                                     \
        __VA_ARGS__;                                                                    \
        CHECK(pd_options_check(model, &o, &error) == (expected) && strstr(error.message, word)); \
    } while (0)

static void test_options(void)
{
    REFUSED(PD_OK, "");
    REFUSED(PD_SCALE, "without a null class", o.guidance_scale = 3.0f);
    REFUSED(PD_OPTION, "cfg_plus_plus", o.cfg_plus_plus = 1);
    REFUSED(PD_LABEL, "negative_label", o.negative_label = 0);
}

static void test_labels(void)
{
    const pd_model_info *info = pd_model_get_info(model);
    CHECK(info->class_count == 0 && !info->has_null_class && !pd_model_class_name(model, 0));
    const float x[16 * 16] = {0};
    float prediction[16 * 16];
    pd_error error = {0};
    CHECK(pd_model_predict(model, x, 500, PD_LABEL_NULL, prediction, &error) == PD_OK);
    CHECK(pd_model_predict(model, x, 500, 0, prediction, &error) == PD_LABEL && strstr(error.message, "label 0"));
    CHECK(pd_model_predict(model, x, 500, -7, prediction, &error) == PD_LABEL && strstr(error.message, "label -7"));
    pd_options options;
    pd_run *run = NULL;
    CHECK(pd_options_init(model, &options) == PD_OK);
    CHECK(pd_run_start(model, &options, &(pd_picture){0, 0, 1, 0}, 1, &run, &error) == PD_LABEL && strstr(error.message, "no classes"));
    CHECK(pd_run_start(model, &options, &(pd_picture){PD_LABEL_NULL, 0, 1, 0}, 1, &run, &error) == PD_OK);
    pd_run_free(run);
}

/* What is set by name: whole numbers only where they must be, and others as they are. */
static void test_values(void)
{
    pd_options options;
    CHECK(pd_options_init(model, &options) == PD_OK);
    for (int32_t i = 0; i < pd_option_count; i++) {
        const pd_option *option = &pd_option_table[i];
        CHECK(pd_option_set(option, &options, 2.0, NULL) == PD_OK);
        const pd_status expected = option->whole ? PD_OPTION : PD_OK;
        for (int32_t k = 0; k < 4; k++) {
            pd_error error = {0};
            CHECK(pd_option_set(option, &options, (double[]){0.5, 1e10, -1e10, NAN}[k], &error) == expected);
            if (expected != PD_OK) CHECK(strstr(error.message, option->name));
        }
    }
}

int main(void)
{
    size_t size;
    char *bytes = golden_read("no-classes", "gguf", &size);
    CHECK(pd_model_load(bytes, size, &model, NULL) == PD_OK);
    if (model) {
        test_options();
        test_labels();
        test_values();
    }
    pd_model_free(model);
    free(bytes);
    return check_result();
}
