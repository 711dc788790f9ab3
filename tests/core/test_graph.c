/* Files of format 2: graphs that are refused, each with its code, and that the plan
 * of a sound one changes no number. docs/graph.md is the format. */
#include "check.h"
#include "counting_allocator.h"
#include "gguf_builder.h"
#include "model.h"

#include <ctype.h>

enum { MIB = 1 << 20, MOST = 128 };

/* ---- a graph as text: operations separated by newlines, each NAME|inputs|tensors|integers|reals ------- */

/* A tensor is NAME:COLUMNSxROWS where it is used first, NAME later; "-" is an absent one. */
typedef struct document {
    char operations[MOST][32], names[MOST][32], tensors[MOST][32];
    uint64_t shapes[MOST][2];
    uint32_t counts[4 * MOST];
    int32_t inputs[4 * MOST], integers[4 * MOST];
    float reals[MOST];
    int operation_count, name_count, tensor_count, input_count, integer_count, real_count;
} document;

static void add_tensor(document *d, char *text)
{
    char *shape = strchr(text, ':');
    if (shape) *shape++ = 0;
    snprintf(d->names[d->name_count++], sizeof d->names[0], "%.31s", strcmp(text, "-") ? text : "");
    if (!shape) return;
    snprintf(d->tensors[d->tensor_count], sizeof d->tensors[0], "%.31s", text);
    d->shapes[d->tensor_count][0] = strtoull(shape, &shape, 10);
    d->shapes[d->tensor_count++][1] = *shape == 'x' ? strtoull(shape + 1, NULL, 10) : 0;
}

static void read_part(document *d, int part, char *text)
{
    uint32_t *count = &d->counts[4 * d->operation_count + part];
    for (char *word = text; word && *word;) {
        char *space = strchr(word, ' ');
        if (space) *space++ = 0;
        if (*word) {
            ++*count;
            if (part == 0) d->inputs[d->input_count++] = atoi(word);
            if (part == 1) add_tensor(d, word);
            if (part == 2) d->integers[d->integer_count++] = (int32_t)strtoll(word, NULL, 10);
            if (part == 3) d->reals[d->real_count++] = strtof(word, NULL);
        }
        word = space;
    }
}

static document read_document(const char *text)
{
    static char copy[1 << 14];
    document d;
    memset(&d, 0, sizeof d);
    snprintf(copy, sizeof copy, "%s", text);
    for (char *line = copy, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        char *bar = strchr(line, '|');
        if (bar) *bar++ = 0;
        snprintf(d.operations[d.operation_count], sizeof d.operations[0], "%.31s", line);
        for (int part = 0; bar && part < 4; part++) {
            char *next = strchr(bar, '|');
            if (next) *next++ = 0;
            read_part(&d, part, bar);
            bar = next;
        }
        d.operation_count++;
    }
    return d;
}

/* What else a file says. */
typedef struct setting {
    uint32_t version, classes, side, timesteps, times; /* classes and times: 0 for none */
    bool no_names;                                      /* a list of classes with nothing in it */
    bool whole;                                         /* numbers of 32 bits in place of names and times */
    float scale, time;
} setting;

static const setting usual = {.version = 1, .classes = 3, .side = 4, .timesteps = 5, .scale = 3.0f};

#define KEY "pocket-diffusion."

static void build_list(gguf_builder *b, const char *key, const void *data, int count, uint32_t type)
{
    build_array(b, key, type, (uint64_t)count);
    build_bytes(b, data, 4 * (size_t)count);
}

static void build_strings(gguf_builder *b, const char *key, char (*strings)[32], int count)
{
    build_array(b, key, 8, (uint64_t)count);
    for (int i = 0; i < count; i++) build_string(b, strings[i]);
}

static gguf_builder build_file(const document *d, const setting *s)
{
    gguf_builder b = {0};
    document copy = *d;
    const int lists = 3 + (d->input_count > 0) + (d->name_count > 0) + (d->integer_count > 0) + (d->real_count > 0);
    build_header(&b, (uint64_t)d->tensor_count, (uint64_t)(15 + lists + (s->classes > 0 || s->no_names) + (s->times > 0)));
    build_value_string(&b, "general.architecture", "pocket-diffusion");
    build_value_u32(&b, KEY "format_version", 2);
    build_value_u32(&b, KEY "image.width", s->side);
    build_value_u32(&b, KEY "image.height", s->side);
    build_value_u32(&b, KEY "image.channels", 1);
    build_value_u32(&b, KEY "image.pixel_unshuffle", 1);
    build_array(&b, KEY "image.value_range", 6, 2);
    build_f32(&b, -1);
    build_f32(&b, 1);
    build_value_u32(&b, KEY "diffusion.timesteps", s->timesteps);
    build_value_string(&b, KEY "diffusion.beta_schedule", "custom");
    build_array(&b, KEY "diffusion.alphas_cumprod", 12, s->timesteps);
    for (uint32_t t = 0; t < s->timesteps; t++) build_f64(&b, 0.9 - 0.8 * t / s->timesteps);
    build_value_string(&b, KEY "diffusion.objective", "pred_noise");
    build_value_string(&b, KEY "sampling.sampler", "ddim");
    build_value_u32(&b, KEY "sampling.steps", 2);
    build_key(&b, KEY "sampling.guidance_scale", 6);
    build_f32(&b, s->scale);
    build_key(&b, KEY "sampling.eta", 6);
    build_f32(&b, 0);
    if (s->classes || s->no_names) {
        build_array(&b, KEY "class_names", s->whole ? 4 : 8, s->classes);
        for (uint32_t i = 0; i < s->classes; i++) s->whole ? build_u32(&b, i) : build_string(&b, "a");
    }
    if (s->times) {
        build_array(&b, KEY "diffusion.times", s->whole ? 4 : 6, s->times);
        for (uint32_t i = 0; i < s->times; i++) s->whole ? build_u32(&b, i) : build_f32(&b, s->time);
    }
    build_value_u32(&b, KEY "graph.version", s->version);
    build_strings(&b, KEY "graph.operations", copy.operations, d->operation_count);
    build_list(&b, KEY "graph.counts", d->counts, 4 * d->operation_count, 4);
    if (d->input_count) build_list(&b, KEY "graph.inputs", d->inputs, d->input_count, 5);
    if (d->name_count) build_strings(&b, KEY "graph.tensors", copy.names, d->name_count);
    if (d->integer_count) build_list(&b, KEY "graph.integers", d->integers, d->integer_count, 5);
    if (d->real_count) build_list(&b, KEY "graph.reals", d->reals, d->real_count, 6);
    uint64_t offset = 0;
    for (int i = 0; i < d->tensor_count; i++) {
        const uint32_t dimensions = d->shapes[i][1] ? 2 : 1;
        build_tensor(&b, d->tensors[i], dimensions, d->shapes[i], 0, offset);
        offset += (4 * d->shapes[i][0] * (dimensions > 1 ? d->shapes[i][1] : 1) + 31) & ~(uint64_t)31;
    }
    build_fill(&b, 0, -b.size & 31);
    for (uint64_t i = 0; i < offset / 4; i++) build_f32(&b, 0);
    uint64_t at = b.size - offset;
    for (int i = 0; i < d->tensor_count; i++) { /* small numbers; the padding stays zero */
        const uint64_t count = d->shapes[i][0] * (d->shapes[i][1] ? d->shapes[i][1] : 1);
        for (uint64_t k = 0; k < count; k++) {
            const float value = (float)((int)((k * 37 + (uint64_t)i * 11) % 19) - 9) * 0.03f;
            memcpy(b.bytes + at + 4 * k, &value, 4);
        }
        at += (4 * count + 31) & ~(uint64_t)31;
    }
    return b;
}

/* What is sound can be run; without a class is what was made for it. */
static void check_prediction(pd_model *model)
{
    const pd_model_info *info = pd_model_get_info(model);
    const size_t in = (size_t)info->network_width * (size_t)info->network_height * (size_t)info->network_channels;
    float *x = calloc(in, sizeof *x), *prediction = calloc(in, sizeof *prediction);
    if (!x || !prediction) abort();
    const pd_status expected = info->class_count == 0 || info->has_null_class ? PD_OK : PD_LABEL;
    CHECK(pd_model_predict(model, x, 0, PD_LABEL_NULL, prediction, NULL) == expected);
    if (info->class_count) CHECK(pd_model_predict(model, x, 0, 0, prediction, NULL) == PD_OK);
    for (size_t i = 0; i < in; i++) CHECK(isfinite(prediction[i]));
    free(x);
    free(prediction);
}

static pd_status load(const document *d, const setting *s, pd_model **model, pd_error *error)
{
    gguf_builder b = build_file(d, s);
    uint8_t *exact = malloc(b.size);
    if (!exact) abort();
    memcpy(exact, b.bytes, b.size);
    counting_allocator counter;
    counting_install(&counter, 0);
    const pd_status status = pd_model_load(exact, b.size, model, error);
    if (status != PD_OK) CHECK(!*model && counter.live == 0 && counter.largest <= b.size + MIB);
    if (status == PD_OK) check_prediction(*model);
    if (*model) pd_model_free(*model);
    CHECK(counter.live == 0);
    pd_set_allocator(NULL);
    free(exact);
    free(b.bytes);
    return status;
}

static void expect_with(const char *text, setting s, pd_status expected)
{
    const document d = read_document(text);
    pd_model *model = NULL;
    pd_error error = {0};
    const pd_status status = load(&d, &s, &model, &error);
    CHECK(status == expected && (status == PD_OK || (strlen(error.message) > 10 && !strchr(error.message, '\n'))));
    if (status != expected) fprintf(stderr, "  %s (%s), expected %s:\n%s\n", pd_status_name(status), error.message, pd_status_name(expected), text);
}

static void expect(const char *text, pd_status expected) { expect_with(text, usual, expected); }

/* ---- graphs ---------------------------------------------------------------------------------- */

#define CONV "conv|0|w:9x4 b:4|4 3 3 1 1 1 1 1 1 0 1 1 3|\n"
#define LAST(i) "linear|" #i "|o:4x1|1 0|"
#define CLASS "class||table:4x4||\n"
#define SOUND "x||||\n" CONV CLASS "add|1 2|||\n" LAST(3)

static void test_sound(void)
{
    expect(SOUND, PD_OK);
    expect("x||||\n" CONV "class||table:4x3||\nadd|1 2|||\n" LAST(3), PD_CONFIG); /* recommends a scale of 3, without a null class */
    setting s = usual;
    s.scale = 1.0f;
    expect_with("x||||\n" CONV "class||table:4x3||\nadd|1 2|||\n" LAST(3), s, PD_OK);
    s.classes = 0;
    expect_with("x||||\n" CONV LAST(1), s, PD_OK);
    expect_with("x||||\n" CONV "time||||\nadd|1 2|||\n" LAST(3), s, PD_OK);
}

/* 68: words that are not known. */
static void test_vocabulary(void)
{
    setting s = usual;
    s.version = 2;
    expect_with(SOUND, s, PD_CONFIG);
    s.version = 0;
    expect_with(SOUND, s, PD_CONFIG);
    expect("x||||\nconvolution|0|w:9x4||\n" LAST(1), PD_TYPE);
    expect("x||||\nconv|0|w:9x4 b:4|4 3 3 1 1 1 1 1 1 0 1 1 99|\n" CLASS "add|1 2|||\n" LAST(3), PD_TYPE); /* function */
    expect("x||||\n" CONV CLASS "add|1 2|||\nsinusoidal|3|||\n" LAST(4), PD_TYPE); /* of format 1 */
}

/* 69: inputs. */
static void test_inputs(void)
{
    expect("x||||\n" CONV CLASS "add|1 3|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 4|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 99999|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 -1|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 -2147483648|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 2 2|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "concat|1 -1||2|\n" LAST(3), PD_CONFIG);
}

/* 70: parameters. */
static void test_parameters(void)
{
    static const char *const convolutions[] = {
        "4 0 3 1 1 1 1 1 1 0 1 1 3", "4 3 9 1 1 1 1 1 1 0 1 1 3", "4 65 3 1 1 1 1 1 1 0 1 1 3", "4 3 3 0 1 1 1 1 1 0 1 1 3",
        "4 3 3 1 -1 1 1 1 1 0 1 1 3", "4 3 3 1 1 -1 1 1 1 0 1 1 3", "4 3 3 1 1 65 1 1 1 0 1 1 3", "4 3 3 1 1 1 1 1 1 4 1 1 3",
        "4 3 3 1 1 1 1 1 1 0 2 1 3", "4 3 3 1 1 1 1 1 1 0 0 1 3", "4 3 3 1 1 1 1 1 1 0 1 0 3", "4 3 3 1 1 1 1 1 1 0 1 3 3",
        "4 3 3 1 1 4 1 1 1 1 1 1 3", "4 3 3 1 1 5 1 1 1 3 1 1 3", "0 3 3 1 1 1 1 1 1 0 1 1 3", "4 3 3 1 1 1 1 1 1 0 1 1", "",
    };
    char text[512];
    for (size_t i = 0; i < sizeof convolutions / sizeof convolutions[0]; i++) {
        snprintf(text, sizeof text, "x||||\nconv|0|w:9x4 b:4|%s|\n" CLASS "add|1 2|||\n" LAST(3), convolutions[i]);
        expect(text, i == 14 ? PD_TOO_BIG : PD_CONFIG);
    }
    static const char *const others[] = {
        "group_norm|3||3 0|1e-5", "group_norm|3||0 0|1e-5", "group_norm|3||2 0|-1", "rms_norm|3||3 0|1e-5", "reshape|3||4 4 5|", "reshape|3||0 16 4|",
        "reshape|3||1 1 1 1 1 16 4|", "reshape|3||1048577|", "permute|3||0 1|", "permute|3||0 1 1|", "permute|3||0 1 3|", "slice|3||2 3 2|", "slice|3||3 0 1|",
        "slice|3||2 4 1|", "slice|3||2 0 0|", "slice|3||2 -1 1|", "flip|3||3|", "expand|3||4 4 8|", "pad|3||-1 0 0 0 0|", "pad|3||4 0 0 0 1|",
        "nearest|3||0 1|", "bilinear|3||0 4 0|", "bilinear|3||4 4 2|", "average_pool|3||5 1 1 1 0 0 1|", "average_pool|3||2 2 0 1 0 0 1|",
        "average_pool|3||2 2 1 1 2 0 1|", "average_pool|3||2 2 1 1 0 0 2|", "max_pool|3||2 2 1 1 0|", "pixel_shuffle|3||3|", "pixel_unshuffle|3||3|",
        "pixel_shuffle|3||0|", "attention|3 3 3||3|1", "reduce|3||0 3|", "reduce|3||0 1 1|", "reduce|3||5 0|", "matmul|3 3||2 0|1", "conv_transpose|3|q:4x4|1 2 2 1 1 2 0 0 0 0|",
        "conv_transpose|3|q:4x4|1 2 2 1 1 0 0 1 0 0|", "linear_attention_block|3|n:4 q:4x3 p:1x4 r:4 s:4|1 1|", "scale|3|||1", "softmax|3||1|",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(text, sizeof text, "x||||\n" CONV CLASS "add|1 2|||\n%s\n" LAST(4), others[i]);
        expect(text, PD_CONFIG);
    }
    expect("x||||\n" CONV CLASS "add|1 2|||\nscale|3|||nan 0\n" LAST(4), PD_NONFINITE);
    expect("x||||\n" CONV CLASS "add|1 2|||\nscale|3|||1 inf\n" LAST(4), PD_NONFINITE);
}

/* 71: shapes that do not go together. */
static void test_shapes(void)
{
    expect("x||||\n" CONV "class||table:3x4||\nadd|1 2|||\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nconcat|3 2||2|\n" LAST(4), PD_CONFIG);
    expect("x||||\n" CONV CLASS "slice|1||0 0 2|\nconcat|1 3||2|\nadd|4 2|||\n" LAST(5), PD_CONFIG);
    expect("x||||\nconv|0|w2:9x4 b2:4|4 3 3 2 2 1 1 1 1 0 1 1 3|\n" CONV CLASS "gated_add|1 2 3|||\n" LAST(4), PD_CONFIG);
    expect("x||||\n" CONV CLASS "linear|1 0|p:4x4|4 0|\nadd|3 2|||\n" LAST(4), PD_CONFIG); /* residual */
    expect("x||||\n" CONV "class||table:5x4||\ngroup_norm|1 2||1 0|1e-5\n" LAST(3), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nreshape|3||16 4|\nslice|4||0 0 8|\nreshape|5||32|\nreshape|6||4 8|\nattention|4 7 7||1|1\nreshape|8||4 4 4|\n" LAST(9), PD_CONFIG);
}

/* 71: what operations on several axes want. */
static void test_axes(void)
{
    static const char *const after[] = {
        "reshape|3||16 4|\nattention|4 3 3||1|1", "reshape|3||16 4|\nattention|4 4 3||1|1", "reshape|3||16 4|\nslice|4||0 0 8|\nattention|4 4 5||1|1",
        "slice|3||0 0 2|\nattention|3 4 4||1|1", "attention|3 3 3||0|1", "slice|3||2 0 3|\nattention|3 3 4||2|1", "slice|3||2 0 3|\nattention|3 4 3||1|1",
        "slice|3||0 0 2|\nattention|3 3 3 4||1|1", "reshape|3||64|\nattention|4 4 4||1|1",
        "linear_attention_block|3|n:4 q:4x12 p:4x4 r:4 s:4|1 4|", "linear_attention_block|3|n:4 q:4x24576 p:8192x4 r:4 s:4|64 128|",
        "slice|3||2 0 3|\ngated_add|3 3 4|||", "group_norm|3 3||1 0|1e-5", "group_norm|3 2 3||1 0|1e-5", "reshape|3||16 4|\npixel_shuffle|4||2|", "reshape|3|||",
        "reshape|3||16 4|\nlinear|3 4|p:4x4|4 0|", "reshape|3||1 4 4 4|\ngated_add|3 3 4|||", "reshape|3||16 4|\nmatmul|4 4||0 0|1",
        "conv|3|v:9x4|4 3 3 1 1 1 1 1 1 0 3 1 3|", "conv|3|v:18x5|5 3 3 1 1 1 1 1 1 0 2 1 3|", "conv|3|v:108x4|4 9 3 1 1 0 0 0 0 0 1 1 3|",
        "conv_transpose|3|q:4x4|1 1 1 1 1 3 3 3 3 0 0|", "slice|3||1 0 3|\npixel_unshuffle|4||2|", "slice|3||0 0 3|\npixel_unshuffle|4||2|", "reshape|3||16 4|\nnearest|4||2 2|",
    };
    char text[512];
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        snprintf(text, sizeof text, "x||||\n" CONV CLASS "add|1 2|||\n%s\n" LAST(4), after[i]);
        expect(text, PD_CONFIG);
    }
    expect("x||||\n" CONV CLASS "add|1 2|||\nreshape|3||1 1 64|\nexpand|4||32768 1 64|\nnearest|5||64 1|\n" LAST(6), PD_TOO_BIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nreshape|3||1 1 64|\nexpand|4||1 32768 64|\nnearest|5||1 64|\n" LAST(6), PD_TOO_BIG);
    /* Convolutions of what is enlarged first, in forms that have no way of their own. */
    static const char *const enlarging[] = {
        "v:36x4|4 3 3 1 1 1 1 1 1 0 1 2 3|", "v:36x4|4 3 3 1 1 1 1 1 1 1 1 2 3|", "v:36x4|4 3 3 1 1 0 1 2 1 0 1 2 3|", "v:36x4|4 3 3 1 1 2 0 0 2 0 1 2 3|",
        "v:100x4|4 5 5 1 1 2 2 2 2 0 1 2 3|", "v:36x4|4 3 3 1 1 1 1 1 1 3 1 2 3|", "v:18x4|4 3 3 1 1 1 1 1 1 0 2 2 3|",
    };
    for (size_t i = 0; i < sizeof enlarging / sizeof enlarging[0]; i++) {
        snprintf(text, sizeof text, "x||||\n" CONV CLASS "add|1 2|||\nconv|3|%s\naverage_pool|4||2 2 2 2 0 0 1|\n" LAST(5), enlarging[i]);
        expect(text, PD_OK);
    }
    expect("x||||\n" CONV CLASS "add|1 2|||\nconv|3|v:36x4|4 3 3 2 2 1 1 1 1 0 1 2 3|\n" LAST(4), PD_OK);
    expect("x||||\n" CONV CLASS "add|1 2|||\nconv_transpose|3|q:4x4|1 2 2 2 2 0 0 0 0 0|\naverage_pool|4||2 2 2 2 0 0 1|", PD_OK); /* without bias */
    expect("x||||\n" CONV CLASS "add|1 2|||\nlinear|3|q:4x4|0 0|\n" LAST(4), PD_TOO_BIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nnearest|3||65 1|\n" LAST(4), PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nreshape|3||1 4 4 4|\nadd|3 4|||\nreshape|5||4 4 4|\n" LAST(6), PD_OK);
}

/* 72: tensors. */
static void test_tensors(void)
{
    expect("x||||\nconv|0|w:9x5 b:4|4 3 3 1 1 1 1 1 1 0 1 1 3|\n" CLASS "add|1 2|||\n" LAST(3), PD_TENSOR);
    expect("x||||\nconv|0|w:9x4 b:5|4 3 3 1 1 1 1 1 1 0 1 1 3|\n" CLASS "add|1 2|||\n" LAST(3), PD_TENSOR);
    expect("x||||\nconv|0|w b:4|4 3 3 1 1 1 1 1 1 0 1 1 3|\n" CLASS "add|1 2|||\n" LAST(3), PD_TENSOR);
    expect("x||||\nconv|0|- b:4|4 3 3 1 1 1 1 1 1 0 1 1 3|\n" CLASS "add|1 2|||\n" LAST(3), PD_TENSOR);
    expect("x||||\nconv|0||4 3 3 1 1 1 1 1 1 0 1 1 3|\n" CLASS "add|1 2|||\n" LAST(3), PD_CONFIG);
    expect("x|w:4|||\n" CONV CLASS "add|1 2|||\n" LAST(3), PD_CONFIG);
    document extra = read_document(SOUND);
    snprintf(extra.tensors[extra.tensor_count], sizeof extra.tensors[0], "extra");
    extra.shapes[extra.tensor_count++][0] = 4;
    pd_model *model = NULL;
    CHECK(load(&extra, &usual, &model, NULL) == PD_TENSOR);
    expect("x||||\n" CONV CLASS "add|1 2|||\nlinear|3|p:4x4|4 0|\nlinear|4|p|4 0|\n" LAST(5), PD_OK); /* used twice */
}

/* 73, 74: what is not the prediction, what is not read. */
static void test_ends(void)
{
    expect("x||||\n" CONV CLASS "add|1 2|||\nlinear|3|o:4x1|1 0|\nreshape|4||16|", PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nslice|3||0 0 2|", PD_CONFIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nlinear|3|o:4x1|1 0|\nlinear|3|p:4x1|1 0|", PD_CONFIG);
    expect("x||||\n" CONV CLASS "expand|2||4 4 4|", PD_CONFIG);
    expect("x||||\nclass||table:1x4||\nexpand|1||4 4 1|", PD_CONFIG); /* nothing reads x */
    expect(CONV "x||||", PD_CONFIG);
    expect("x||||\nx||||\nadd|0 1|||\n" LAST(2), PD_CONFIG);
    expect("x||||", PD_COUNT); /* no tensors */
}

/* 75, 76: too large, too much work. */
static void test_limits(void)
{
    expect("x||||\n" CONV CLASS "add|1 2|||\nexpand|3||1024 4 4 4|\nreduce|4||0 0|\nreshape|5||4 4 4|\n" LAST(6), PD_OK);
    expect("x||||\n" CONV CLASS "add|1 2|||\nexpand|3||1048576 4 4 4|\nreduce|4||0 0|\nreshape|5||4 4 4|\n" LAST(6), PD_TOO_BIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nexpand|3||1048576 1048576 1048576 4 4 4|\nreduce|4||0 0|\n" LAST(5), PD_TOO_BIG);
    /* Attention of 65,536 positions to each other, again and again. */
    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "x||||\n" CONV CLASS "add|1 2|||\nreshape|3||16 4|\nexpand|4||4096 16 4|\nreshape|5||65536 4|\n");
    for (int i = 0; i < 40; i++) used += (size_t)snprintf(text + used, sizeof text - used, "attention|%d %d %d||1|1\n", 6 + i, 6 + i, 6 + i);
    snprintf(text + used, sizeof text - used, "slice|46||0 0 16|\nreshape|47||4 4 4|\n" LAST(48));
    expect(text, PD_TOO_BIG);
    expect("x||||\n" CONV CLASS "add|1 2|||\nexpand|3||65536 4 4 4|\nlinear_attention_block|4|n:4 q:4x3072 p:1024x4 r:4 s:4|1 1024|\n"
           "slice|5||0 0 1|\nreshape|6||4 4 4|\n" LAST(7), PD_TOO_BIG);
    /* Values of 64 MiB that all live at once. */
    used = (size_t)snprintf(text, sizeof text, "x||||\n" CONV CLASS "add|1 2|||\n");
    for (int i = 0; i < 30; i++) used += (size_t)snprintf(text + used, sizeof text - used, "expand|3||262144 4 4 4|\n");
    used += (size_t)snprintf(text + used, sizeof text - used, "add|4 5|||\n");
    for (int i = 1; i < 29; i++) used += (size_t)snprintf(text + used, sizeof text - used, "add|%d %d|||\n", 33 + i, 5 + i);
    snprintf(text + used, sizeof text - used, "slice|62||0 0 1|\nreshape|63||4 4 4|\n" LAST(64));
    expect(text, PD_TOO_BIG);
}

/* 77, 78: time and classes. */
static void test_conditions(void)
{
    setting s = usual;
    expect("x||||\n" CONV LAST(1), PD_CONFIG); /* classes that nothing reads */
    expect("x||||\n" CONV CLASS "time||||\ntime||||\nadd|1 2|||\nadd|5 3|||\nadd|6 4|||\n" LAST(7), PD_CONFIG);
    expect("x||||\n" CONV "class||table:4x5||\nadd|1 2|||\n" LAST(3), PD_TENSOR);
    expect("x||||\n" CONV "class||table:4x2||\nadd|1 2|||\n" LAST(3), PD_TENSOR);
    expect("x||||\n" CONV "class||table:16||\nadd|1 2|||\n" LAST(3), PD_TENSOR); /* a table without rows */
    expect("x||||\n" CONV CLASS "class||other:4x3||\nadd|1 2|||\nadd|4 3|||\n" LAST(5), PD_TENSOR); /* one has a null class, one has not */
    expect("x||||\n" CONV CLASS "time_row||row:4x4||\nadd|1 2|||\nadd|4 3|||\n" LAST(5), PD_TENSOR); /* 5 timesteps */
    expect("x||||\n" CONV CLASS "time_row||row:4x5||\nadd|1 2|||\nadd|4 3|||\n" LAST(5), PD_OK);
    s.classes = PD_MAX_CLASSES + 1;
    expect_with(SOUND, s, PD_CONFIG);
    s.classes = 0;
    s.scale = 1.0f;
    expect_with(SOUND, s, PD_CONFIG);
    s.no_names = true;
    expect_with(SOUND, s, PD_CONFIG);
    expect_with("x||||\n" CONV LAST(1), (setting){.version = 1, .side = 4, .timesteps = 5, .scale = 2.0f}, PD_CONFIG);
}

/* 79: what the network is fed. */
static void test_times(void)
{
    setting s = usual;
    s.times = 5;
    s.time = 0.5f;
    expect_with(SOUND, s, PD_OK);
    s.times = 4;
    expect_with(SOUND, s, PD_CONFIG);
    s.times = 5;
    s.time = NAN;
    expect_with(SOUND, s, PD_CONFIG);
    s.time = 2e6f;
    expect_with(SOUND, s, PD_CONFIG);
    s.whole = true;
    expect_with(SOUND, s, PD_CONFIG); /* names */
    s.classes = 0;
    s.scale = 1.0f;
    expect_with("x||||\n" CONV LAST(1), s, PD_CONFIG); /* times */
}

/* Arrays that do not fit each other. */
static void test_arrays(void)
{
    document d = read_document(SOUND);
    pd_model *model = NULL;
    for (int part = 0; part < 4; part++)
        for (int operation = 0; operation < d.operation_count; operation++) {
            document changed = d;
            changed.counts[4 * operation + part]++;
            CHECK(load(&changed, &usual, &model, NULL) != PD_OK);
            changed.counts[4 * operation + part] = UINT32_MAX;
            CHECK(load(&changed, &usual, &model, NULL) == PD_CONFIG);
        }
}

int main(void)
{
    test_sound();
    test_vocabulary();
    test_inputs();
    test_parameters();
    test_shapes();
    test_axes();
    test_tensors();
    test_ends();
    test_limits();
    test_conditions();
    test_times();
    test_arrays();
    return check_result();
}
