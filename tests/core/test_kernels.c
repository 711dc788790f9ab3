/* Every kernel against reference.c on random shapes, and the promises of
 * kernels.h that a comparison does not see: the bits of an image do not depend
 * on its batch or on the strides of its views, nothing beyond a view or a
 * buffer is written, NaN does no harm.
 *
 * Tolerance of a convolution. Inputs and weights are uniform in (-1, 1), of
 * variance s^2 = 1/3. In a sum of n products, k after k, the partial sums have
 * variance k s^4, each rounding is off by a relative u / sqrt(3) at most in
 * the mean square, so the error has a standard deviation of about
 * u s^2 (n / sqrt(6) + sqrt(n)). Winograd's algorithm does this at every
 * position i of a transform in one dimension, where the operands are larger
 * by the norms of the rows of G and B^T, and adds the results with the factors
 * a_i of a row of A^T: a factor g = sum_i (a_i |G_i| |B_i|)^2 in two
 * dimensions, at most 5 for F(2x2), 22 for F(4x4) and the geometric mean of the
 * two, 11, for F(2x4); 94 and 22 with the points of a doubled input. The test
 * allows eight standard deviations. */
#define _POSIX_C_SOURCE 200112L /* posix_memalign */
#include <string.h>

#include "check.h"
#include "kernels.h"

/* xorshift64* (Vigna 2016): the same shapes and numbers everywhere. */
static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint32_t random_bits(void)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Du) >> 32);
}

static int32_t random_between(int32_t low, int32_t high)
{
    return low + (int32_t)(random_bits() % (uint32_t)(high - low + 1));
}

static float random_uniform(void) { return (float)((int32_t)random_bits() >> 8) * 0x1p-23f; }

static void fill_random(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = random_uniform();
}

/* FNV-1a over the bytes of results: printed, so that builds can be compared. */
static uint64_t hash = 14695981039346656037u;

static void hash_floats(const float *values, size_t count)
{
    const unsigned char *bytes = (const unsigned char *)values;
    for (size_t i = 0; i < count * sizeof(float); i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
}

/* Exactly `count` floats, 64-byte aligned, so that AddressSanitizer sees a step
 * beyond the end (counts are rounded up to the alignment by the allocator). */
static float *allocate(size_t count)
{
    float *block = NULL;
    if (posix_memalign((void **)&block, 64, count ? count * sizeof(float) : 64))
        abort();
    return block;
}

static const float GUARD = 12345.0f;

static pd_view new_view(int32_t images, int32_t height, int32_t width, int32_t channels, int32_t extra)
{
    pd_view view = {NULL, images, height, width, channels, channels + extra};
    const size_t count = (size_t)images * (size_t)height * (size_t)width * (size_t)view.stride;
    view.data = allocate(count);
    for (size_t i = 0; i < count; i++)
        view.data[i] = (int32_t)(i % (size_t)view.stride) < channels ? random_uniform() : GUARD;
    return view;
}

static size_t pixel_count(const pd_view *view)
{
    return (size_t)view->images * (size_t)view->height * (size_t)view->width;
}

static void copy_view(const pd_view *from, const pd_view *to)
{
    for (size_t i = 0; i < pixel_count(from); i++)
        memcpy(to->data + i * (size_t)to->stride, from->data + i * (size_t)from->stride,
               sizeof(float) * (size_t)from->channels);
}

static bool same_bits(const pd_view *a, const pd_view *b)
{
    for (size_t i = 0; i < pixel_count(a); i++)
        if (memcmp(a->data + i * (size_t)a->stride, b->data + i * (size_t)b->stride,
                   sizeof(float) * (size_t)a->channels))
            return false;
    return true;
}

static bool guards_untouched(const pd_view *view)
{
    for (size_t i = 0; i < pixel_count(view); i++)
        for (int32_t c = view->channels; c < view->stride; c++)
            if (view->data[i * (size_t)view->stride + (size_t)c] != GUARD)
                return false;
    return true;
}

/* Largest |a - b| - relative |b|. */
static double largest_difference(const pd_view *a, const pd_view *b, double relative)
{
    double largest = 0;
    for (size_t i = 0; i < pixel_count(a); i++)
        for (int32_t c = 0; c < a->channels; c++) {
            const double x = (double)a->data[i * (size_t)a->stride + (size_t)c];
            const double y = (double)b->data[i * (size_t)b->stride + (size_t)c];
            const double difference = fabs(x - y) - relative * fabs(y);
            if (!(difference <= largest))
                largest = difference;
        }
    return largest;
}

static pd_view one_image(const pd_view *view, int32_t image)
{
    pd_view one = *view;
    one.images = 1;
    one.data += (size_t)image * (size_t)view->height * (size_t)view->width * (size_t)view->stride;
    return one;
}

/* ---- convolution ------------------------------------------------------------------ */

static double conv_tolerance(const pd_conv *conv)
{
    static const double gains[2][PD_CONV_FORMS] = {{1, 5, 11, 22}, {1, 5, 22, 94}};
    static const double positions[2][PD_CONV_FORMS] = {{0, 16, 24, 36}, {0, 9, 15, 25}};
    const bool doubled = conv->shape.upsample && conv->shape.padding % 2 == 1;
    const double gain = gains[doubled][conv->form];
    const double depth = conv->form == PD_CONV_DIRECT
                             ? (double)(conv->shape.kernel * conv->shape.kernel * conv->shape.in_channels)
                             : (double)conv->packed_count / (positions[doubled][conv->form] * conv->shape.out_channels);
    return 8 * 0x1p-24 * gain / 3 * (depth / sqrt(6) + sqrt(depth)) + 1e-7;
}

static double worst_ratio[PD_CONV_FORMS]; /* error / tolerance, for the last line */
static int conv_count[PD_CONV_FORMS];

static void check_conv(const pd_conv_shape *shape, pd_conv_form form, bool with_bias, bool with_residual, bool in_place,
                       bool strided)
{
    pd_conv conv;
    pd_conv_plan_form(&conv, shape, form);
    conv_count[form]++;
    const size_t weight_count =
        (size_t)shape->out_channels * (size_t)(shape->kernel * shape->kernel) * (size_t)shape->in_channels;
    float *weights = allocate(weight_count), *packed = allocate(conv.packed_count);
    float *reference_packed = allocate(conv.packed_count), *scratch = allocate(conv.scratch_count);
    float *bias = allocate((size_t)shape->out_channels);
    fill_random(weights, weight_count);
    fill_random(bias, (size_t)shape->out_channels);
    /* What the scratch held before must not matter. */
    memset(scratch, 0xFF, conv.scratch_count * sizeof(float));
    const int32_t extra = strided ? random_between(1, 9) : 0;
    pd_view in = new_view(shape->images, shape->in_height, shape->in_width, shape->in_channels, extra);
    pd_view residual = new_view(shape->images, conv.out_height, conv.out_width, shape->out_channels, extra / 2);
    pd_view expected = new_view(shape->images, conv.out_height, conv.out_width, shape->out_channels, 0);
    pd_view out = new_view(shape->images, conv.out_height, conv.out_width, shape->out_channels, extra);
    conv.bias = with_bias ? bias : NULL;

    pd_kernels_use_reference(true);
    pd_conv_pack(&conv, weights, reference_packed);
    conv.packed = reference_packed;
    pd_conv_run(&conv, &in, with_residual ? &residual : NULL, &expected, NULL);
    pd_kernels_use_reference(false);

    pd_conv_pack(&conv, weights, packed);
    conv.packed = packed;
    if (with_residual && in_place) {
        copy_view(&residual, &out);
        pd_conv_run(&conv, &in, &out, &out, scratch);
    } else {
        pd_conv_run(&conv, &in, with_residual ? &residual : NULL, &out, scratch);
    }
    const double difference = largest_difference(&out, &expected, 0x1p-22), tolerance = conv_tolerance(&conv);
    if (difference / tolerance > worst_ratio[form])
        worst_ratio[form] = difference / tolerance;
    CHECK_NEAR(difference, 0, tolerance);
    CHECK(guards_untouched(&out) && guards_untouched(&in) && guards_untouched(&residual));

    /* Each image alone, through a dense view: the same bits. */
    for (int32_t image = 0; image < shape->images; image++) {
        pd_view single = new_view(1, conv.out_height, conv.out_width, shape->out_channels, 0);
        const pd_view single_in = one_image(&in, image), single_residual = one_image(&residual, image);
        const pd_view batch_out = one_image(&out, image);
        pd_conv_run(&conv, &single_in, with_residual ? &single_residual : NULL, &single, scratch);
        CHECK(same_bits(&single, &batch_out));
        hash_floats(single.data, pixel_count(&single) * (size_t)single.channels);
        free(single.data);
    }
    free(weights), free(packed), free(reference_packed), free(scratch), free(bias);
    free(in.data), free(residual.data), free(expected.data), free(out.data);
}

static void check_random_conv(void)
{
    static const int32_t sides[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16};
    static const int32_t kernels[] = {1, 1, 2, 3, 3, 3, 3, 4, 5, 7};
    const int sides_count = sizeof sides / sizeof *sides, kernels_count = sizeof kernels / sizeof *kernels;
    /* One draw to a statement: the order of evaluation inside one is the compiler's. */
    pd_conv_shape shape = {.step = 1};
    shape.in_channels = 4 * random_between(1, 6);
    shape.out_channels = 4 * random_between(1, 10);
    shape.in_height = sides[random_between(0, sides_count - 1)];
    shape.in_width = sides[random_between(0, sides_count - 1)];
    shape.kernel = kernels[random_between(0, kernels_count - 1)];
    shape.images = random_between(1, 3);
    shape.padding = random_between(0, 3) ? shape.kernel / 2 : random_between(0, shape.kernel);
    if (shape.in_height + 2 * shape.padding < shape.kernel || shape.in_width + 2 * shape.padding < shape.kernel)
        shape.padding = shape.kernel / 2 + 1;
    if (shape.kernel == 3)
        shape.upsample = !random_between(0, 2);
    pd_conv_form form = PD_CONV_DIRECT;
    if (!shape.upsample)
        shape.step = random_between(0, 2) ? 1 : random_between(2, 3);
    if ((shape.step == 1 || shape.kernel <= 3 * shape.step) && random_between(0, 3))
        form = (pd_conv_form)random_between(PD_CONV_WINOGRAD_2, PD_CONV_WINOGRAD_4);
    if (form == PD_CONV_DIRECT) {
        if (random_between(0, 1))
            shape.in_channels = random_between(1, 24);
    }
    const uint32_t options = random_bits();
    check_conv(&shape, form, options & 1, options & 2, options & 4, options & 8);
}

/* The shapes of real networks, which the plan decides on, and sizes beyond one
 * block of every kind. */
static void check_planned_conv(void)
{
    static const pd_conv_shape shapes[] = {
        {4, 32, 16, 16, 7, 1, 3, false, 2},   {3, 48, 32, 32, 7, 1, 3, false, 1},   {32, 32, 32, 32, 3, 1, 1, false, 2},
        {64, 64, 32, 32, 3, 1, 1, false, 2},  {96, 32, 16, 16, 3, 1, 1, false, 2},  {128, 64, 8, 8, 3, 1, 1, false, 2},
        {192, 128, 4, 4, 3, 1, 1, false, 2},  {256, 256, 4, 4, 3, 1, 1, false, 1},  {256, 128, 8, 8, 3, 1, 1, true, 1},
        {32, 64, 16, 16, 4, 2, 1, false, 2},  {64, 384, 8, 8, 1, 1, 0, false, 2},   {512, 64, 1, 1, 1, 1, 0, false, 3},
        {1024, 128, 1, 1, 1, 1, 0, false, 2}, {32, 4, 16, 16, 1, 1, 0, false, 2},   {48, 52, 17, 19, 3, 1, 1, false, 5},
        {8, 12, 70, 90, 3, 1, 1, false, 3},   {512, 4, 9, 40, 1, 1, 0, false, 2},   {700, 8, 5, 30, 3, 1, 1, false, 1},
        {128, 8, 3, 300, 1, 2, 0, false, 2},  {64, 128, 16, 16, 4, 2, 1, false, 2}, {48, 36, 13, 21, 7, 1, 3, false, 2},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        pd_conv conv;
        pd_conv_plan(&conv, &shapes[i]);
        check_conv(&shapes[i], conv.form, true, i % 2, false, false);
    }
}

/* Larger kernels are cut into pieces where that pays, and only there; smaller maps take smaller tiles. */
static void check_planned_forms(void)
{
    static const struct {
        pd_conv_shape shape;
        pd_conv_form form;
    } cases[] = {
        {{16, 48, 16, 16, 7, 1, 3, false, 2}, PD_CONV_WINOGRAD_4},   /* the stem of letters */
        {{3, 64, 32, 32, 7, 1, 3, false, 2}, PD_CONV_DIRECT},        /* channels not a multiple of 4 */
        {{48, 48, 16, 16, 4, 2, 1, false, 2}, PD_CONV_WINOGRAD_4},   /* its first downsampling */
        {{48, 96, 8, 8, 4, 2, 1, false, 2}, PD_CONV_DIRECT},         /* its second: too few pixels */
        {{512, 1024, 16, 16, 4, 2, 1, false, 2}, PD_CONV_DIRECT},    /* 302 MB in pieces */
        {{48, 384, 16, 16, 1, 1, 0, false, 2}, PD_CONV_DIRECT},
        {{64, 64, 8, 8, 3, 1, 1, false, 2}, PD_CONV_WINOGRAD_4},
        {{64, 64, 6, 6, 3, 1, 1, false, 2}, PD_CONV_WINOGRAD_2},
        {{128, 128, 4, 4, 3, 1, 1, false, 2}, PD_CONV_WINOGRAD_2X4},
        {{64, 64, 1, 1, 3, 1, 1, false, 2}, PD_CONV_DIRECT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pd_conv conv;
        pd_conv_plan(&conv, &cases[i].shape);
        CHECK(conv.form == cases[i].form);
    }
}

/* ---- normalisation and activation ----------------------------------------------------- */

static void check_rms_norm(void)
{
    const int32_t channels = 4 * random_between(1, 33), images = random_between(1, 3);
    const int32_t height = random_between(1, 5), width = random_between(1, 5), extra = random_between(0, 5);
    pd_view in = new_view(images, height, width, channels, extra);
    pd_view residual = new_view(images, height, width, channels, extra);
    pd_view out = new_view(images, height, width, channels, extra);
    pd_view expected = new_view(images, height, width, channels, 0);
    float *vectors = allocate((size_t)channels * 7);
    fill_random(vectors, (size_t)channels * 7);
    const float *scale[3], *shift[3];
    for (int32_t i = 0; i < 3; i++) {
        scale[i] = vectors + (2 * i + 1) * channels;
        shift[i] = vectors + (2 * i + 2) * channels;
    }
    for (int32_t c = 0; c < channels; c++)
        vectors[c] *= sqrtf((float)channels);
    if (!random_between(0, 9)) /* a pixel that is zero stays zero */
        memset(in.data, 0, sizeof(float) * (size_t)channels);
    const bool modulate = random_between(0, 1), silu = random_between(0, 1), add = random_between(0, 1);
    pd_kernels_use_reference(true);
    pd_rms_norm(&in, vectors, modulate ? scale : NULL, shift, silu, add ? &residual : NULL, &expected);
    pd_kernels_use_reference(false);
    pd_rms_norm(&in, vectors, modulate ? scale : NULL, shift, silu, add ? &residual : NULL, &out);
    /* y up to 12 in magnitude: a few roundings, channels / 8 in the norm. */
    CHECK_NEAR(largest_difference(&out, &expected, 0), 0, 12 * 0x1p-24 * (8 + channels / 8));
    CHECK(guards_untouched(&out));
    hash_floats(out.data, pixel_count(&out) * (size_t)out.stride);
    if (add) {
        pd_rms_norm(&in, vectors, modulate ? scale : NULL, shift, silu, &residual, &residual);
        CHECK(same_bits(&residual, &out));
    } else {
        pd_rms_norm(&in, vectors, modulate ? scale : NULL, shift, silu, NULL, &in);
        CHECK(same_bits(&in, &out));
    }
    free(in.data), free(residual.data), free(out.data), free(expected.data), free(vectors);
}

static void check_silu(void)
{
    enum { COUNT = 200003 };
    float *x = allocate(COUNT), *y = allocate(COUNT);
    double worst = 0;
    for (int i = 0; i < COUNT; i++)
        x[i] = -90.0f + 180.0f * (float)i / (float)COUNT;
    pd_silu(COUNT, x, y);
    for (int i = 0; i < COUNT; i++) {
        const double exact = (double)x[i] / (1 + exp(-(double)x[i]));
        if (x[i] > -80)
            worst = fmax(worst, fabs(((double)y[i] - exact) / exact));
        else
            CHECK_NEAR(y[i], exact, 1e-30);
    }
    /* exp within 1.1 units, one addition, one division: below 4 half units. */
    CHECK_NEAR(worst, 0, 4 * 0x1p-24);
    printf("silu: largest relative error %.2f * 2^-24\n", worst * 0x1p24);
    hash_floats(y, COUNT);
    for (size_t count = 0; count < 9; count++) {
        float in[9], out[9];
        for (int i = 0; i < 9; i++)
            out[i] = GUARD, in[i] = (float)i - 4;
        pd_silu(count, in, out);
        for (size_t i = 0; i < count; i++)
            CHECK_NEAR(out[i], (double)in[i] / (1 + exp(-(double)in[i])), 1e-6);
        CHECK(out[count < 8 ? count : 8] == GUARD);
    }
    float extreme[] = {3.4e38f, -3.4e38f, 1e-40f, -0.0f, 88.9f, -88.9f, 1e30f, -1e30f};
    pd_silu(8, extreme, extreme);
    for (int i = 0; i < 8; i++)
        CHECK(isfinite(extreme[i]));
    CHECK(extreme[0] == 3.4e38f && extreme[3] == 0 && extreme[4] == 88.9f && extreme[6] == 1e30f);
    CHECK(fabsf(extreme[1]) < 1e-30f && fabsf(extreme[7]) < 1e-30f);
    free(x), free(y);
}

/* ---- attention -------------------------------------------------------------------------- */

static void check_attention(int32_t height, int32_t width, int32_t heads, int32_t head_size, float magnitude)
{
    const int32_t images = random_between(1, 2), stride = pd_round_up_4(head_size), extra = random_between(0, 5);
    pd_view qkv = new_view(images, height, width, 3 * heads * stride, extra);
    pd_view out = new_view(images, height, width, heads * stride, extra);
    pd_view expected = new_view(images, height, width, heads * stride, 0);
    for (size_t i = 0; i < pixel_count(&qkv); i++)
        for (int32_t c = 0; c < qkv.channels; c++)
            qkv.data[i * (size_t)qkv.stride + (size_t)c] *= c % stride < head_size ? magnitude : 0;
    const uint64_t count = pd_attention_scratch_count(height, width, heads, head_size);
    float *scratch = allocate(count);
    memset(scratch, 0xFF, count * sizeof(float));
    for (int pass = 0; pass < 2; pass++) {
        pd_kernels_use_reference(!pass);
        pd_attention(&qkv, heads, head_size, pass ? &out : &expected, scratch);
    }
    /* An average of v. An exponent of magnitude e (|q k| up to
     * head_size^(1/2) magnitude^2, sums of head_size products) is off by
     * e u sqrt(head_size), the sums over the pixels by u times their number. */
    const double exponent = (double)magnitude * (double)magnitude * sqrt((double)head_size);
    const double tolerance =
        (double)magnitude * 0x1p-24 *
        (8 + sqrt((double)(height * width)) + 2 * sqrt((double)head_size) + exponent * sqrt((double)head_size));
    CHECK_NEAR(largest_difference(&out, &expected, 0), 0, tolerance);
    CHECK(guards_untouched(&out));
    for (size_t i = 0; i < pixel_count(&out); i++)
        for (int32_t c = 0; c < out.channels; c++)
            if (c % stride >= head_size)
                CHECK(out.data[i * (size_t)out.stride + (size_t)c] == 0);
    hash_floats(out.data, pixel_count(&out) * (size_t)out.stride);
    for (int32_t image = 0; image < images; image++) {
        pd_view single = new_view(1, height, width, heads * stride, 0);
        const pd_view single_qkv = one_image(&qkv, image), batch_out = one_image(&out, image);
        pd_attention(&single_qkv, heads, head_size, &single, scratch);
        CHECK(same_bits(&single, &batch_out));
        free(single.data);
    }
    free(qkv.data), free(out.data), free(expected.data), free(scratch);
}

static void check_random_attention(float magnitude)
{
    const int32_t height = random_between(1, 7), width = random_between(1, 7);
    const int32_t heads = random_between(1, 4), head_size = random_between(1, 40);
    check_attention(height, width, heads, head_size, magnitude);
}

static int folded_count[2];
static double worst_linear_attention; /* error / tolerance */

/* Weights of a row uniform with standard deviation 1/sqrt(columns), those of q
 * and k times `magnitude`, so that these are about as large. */
static void check_linear_attention(int32_t height, int32_t width, int32_t channels, int32_t heads, int32_t head_size,
                                   float magnitude)
{
    const int32_t images = random_between(1, 2), extra = random_between(0, 5), inner = heads * head_size;
    pd_view in = new_view(images, height, width, channels, extra), out = new_view(images, height, width, channels, extra);
    pd_view expected = new_view(images, height, width, channels, 0);
    const size_t qkv_count = (size_t)(3 * inner * channels), out_count = (size_t)(inner * channels);
    float *qkv = allocate(qkv_count), *to_out = allocate(out_count), *vectors = allocate((size_t)channels * 3);
    float *packed_qkv = allocate(qkv_count), *packed_out = allocate(out_count);
    fill_random(qkv, qkv_count), fill_random(to_out, out_count), fill_random(vectors, (size_t)channels * 3);
    for (size_t i = 0; i < qkv_count; i++)
        qkv[i] *= sqrtf(3.0f / (float)channels) * (i < qkv_count / 3 * 2 ? magnitude : 1.0f);
    for (size_t i = 0; i < out_count; i++)
        to_out[i] *= sqrtf(3.0f / (float)inner);
    for (int32_t c = 0; c < 2 * channels; c++)
        vectors[c] = sqrtf((float)channels) * (1.0f + 0.2f * vectors[c]);
    pd_linear_attention layer;
    float *scratch = NULL;
    for (int pass = 0; pass < 2; pass++) {
        pd_kernels_use_reference(!pass);
        pd_linear_attention_plan(&layer, height, width, channels, heads, head_size);
        layer.norm_gain = vectors;
        layer.out_gain = vectors + channels;
        layer.to_out.bias = vectors + 2 * channels;
        pd_conv_pack(&layer.to_qkv, qkv, packed_qkv);
        pd_conv_pack(&layer.to_out, to_out, packed_out);
        layer.to_qkv.packed = packed_qkv;
        layer.to_out.packed = packed_out;
        free(scratch);
        scratch = allocate(layer.scratch_count);
        memset(scratch, 0xFF, layer.scratch_count * sizeof(float));
        pd_linear_attention_run(&layer, &in, pass ? &out : &expected, scratch);
    }
    folded_count[layer.folded]++;
    /* Before the last norm, averages of v and their sums of about unit size. The
     * errors of the products are u sqrt(terms); those of the exponents u times
     * their magnitude, which the softmaxes hand on. The norm divides by the root of
     * the mean square, which the bias, of variance 1/3, keeps near 1. */
    const double exponent = 4 * (double)magnitude * (1 + sqrt((double)channels));
    const double tolerance = 0x1p-24 * (8 + sqrt((double)(height * width)) + 2 * sqrt((double)inner) +
                                        2 * sqrt((double)channels) + exponent);
    const double difference = largest_difference(&out, &expected, 0);
    worst_linear_attention = fmax(worst_linear_attention, difference / tolerance);
    CHECK_NEAR(difference, 0, tolerance);
    CHECK(guards_untouched(&out) && guards_untouched(&in));
    hash_floats(out.data, pixel_count(&out) * (size_t)out.stride);
    for (int32_t image = 0; image < images; image++) {
        pd_view single = new_view(1, height, width, channels, 0);
        const pd_view single_in = one_image(&in, image), batch_out = one_image(&out, image);
        pd_linear_attention_run(&layer, &single_in, &single, scratch);
        CHECK(same_bits(&single, &batch_out));
        free(single.data);
    }
    free(in.data), free(out.data), free(expected.data), free(scratch), free(qkv), free(to_out), free(vectors);
    free(packed_qkv), free(packed_out);
}

static void check_random_linear_attention(float magnitude)
{
    const int32_t height = random_between(1, 9), width = random_between(1, 9), channels = 4 * random_between(1, 16);
    const int32_t heads = random_between(1, 4), head_size = 8 * random_between(1, 5);
    check_linear_attention(height, width, channels, heads, head_size, magnitude);
}

/* ---- layout, NaN --------------------------------------------------------------------------- */

static void check_layout(void)
{
    const int32_t images = random_between(1, 3), height = random_between(1, 6), width = random_between(1, 6);
    const int32_t planes = random_between(1, 7), channels = planes + random_between(0, 3);
    pd_view view = new_view(images, height, width, channels, random_between(0, 3));
    const size_t pixels = (size_t)(height * width), count = (size_t)(images * planes) * pixels;
    float *planar = allocate(count), *back = allocate(count);
    fill_random(planar, count);
    pd_from_planar(planar, planes, &view);
    for (size_t i = 0; i < pixel_count(&view); i++)
        for (int32_t c = 0; c < channels; c++) {
            const size_t image = i / pixels;
            const float expected =
                c < planes ? planar[(image * (size_t)planes + (size_t)c) * pixels + i % pixels] : 0.0f;
            CHECK(view.data[i * (size_t)view.stride + (size_t)c] == expected);
        }
    CHECK(guards_untouched(&view));
    pd_to_planar(&view, planes, back);
    CHECK(!memcmp(planar, back, count * sizeof(float)));
    free(view.data), free(planar), free(back);
}

/* A NaN, an infinity or a huge number among the inputs: no crash, and a NaN in
 * one image stays in that image. */
static void check_not_a_number(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (int i = 0; i < 4; i++)
        for (int form = 0; form < PD_CONV_FORMS; form++) {
            const pd_conv_shape shape = {8, 8, 6, 6, 3, 1, 1, false, 2};
            pd_conv conv;
            pd_conv_plan_form(&conv, &shape, (pd_conv_form)form);
            float *weights = allocate(8 * 9 * 8), *packed = allocate(conv.packed_count);
            float *scratch = allocate(conv.scratch_count), gain[8] = {1, 1, 1, 1, 1, 1, 1, 1};
            fill_random(weights, 8 * 9 * 8);
            pd_conv_pack(&conv, weights, packed);
            conv.packed = packed;
            pd_view in = new_view(2, 6, 6, 8, 0), out = new_view(2, 6, 6, 8, 0);
            in.data[100] = bad[i];
            pd_conv_run(&conv, &in, NULL, &out, scratch);
            pd_rms_norm(&out, gain, NULL, NULL, true, &in, &out);
            bool finite = true;
            for (size_t j = 36 * 8; j < 72 * 8; j++)
                finite = finite && isfinite(out.data[j]);
            CHECK(finite);
            if (isnan(bad[i]))
                CHECK(isnan(out.data[100]));
            free(weights), free(packed), free(scratch), free(in.data), free(out.data);
        }
    float *scratch = allocate(pd_attention_scratch_count(5, 5, 1, 4));
    for (int i = 0; i < 4; i++) {
        pd_view qkv = new_view(1, 5, 5, 12, 0), out = new_view(1, 5, 5, 4, 0);
        qkv.data[(size_t)random_between(0, 299)] = bad[i];
        pd_attention(&qkv, 1, 4, &out, scratch);
        free(qkv.data), free(out.data);
    }
    free(scratch);
}

int main(void)
{
    for (int i = 0; i < 2500; i++)
        check_random_conv();
    check_planned_conv();
    check_planned_forms();
    for (int i = 0; i < 300; i++)
        check_rms_norm();
    check_silu();
    for (int i = 0; i < 40; i++) {
        check_random_attention(i % 4 ? 1.0f : 6.0f);
        check_random_linear_attention(i % 4 ? 1.0f : 6.0f);
    }
    check_attention(16, 16, 1, 32, 2.0f);
    check_attention(3, 3, 2, 128, 1.0f);
    check_attention(8, 8, 1, 1, 30.0f);
    check_linear_attention(16, 16, 32, 4, 32, 2.0f);
    check_linear_attention(9, 7, 64, 4, 32, 8.0f);
    check_linear_attention(4, 4, 128, 4, 32, 1.0f);
    /* Folded, with groups of fewer than four panels: 3 + 2, 3, 1. */
    check_linear_attention(8, 8, 20, 2, 24, 1.0f);
    check_linear_attention(7, 5, 12, 1, 8, 1.0f);
    check_linear_attention(3, 3, 4, 2, 40, 1.0f);
    for (int i = 0; i < 50; i++)
        check_layout();
    check_not_a_number();
    printf("convolutions: %d direct, %d F(2x2), %d F(2x4), %d F(4x4); largest error / tolerance %.2f %.2f %.2f %.2f\n",
           conv_count[0], conv_count[1], conv_count[2], conv_count[3], worst_ratio[0], worst_ratio[1], worst_ratio[2],
           worst_ratio[3]);
    printf("linear attention: %d plain, %d folded; largest error / tolerance %.2f\n", folded_count[0], folded_count[1],
           worst_linear_attention);
    printf("hash of all results %016llx\n", (unsigned long long)hash);
    return check_result();
}
