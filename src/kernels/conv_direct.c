/* Direct convolution as a matrix product, without a matrix of windows: the
 * input is copied into an image with its zero border, where the rows of every
 * window are contiguous (NHWC), and the product reads the windows in place. A
 * kernel of one pixel reads the input itself. */
#include <string.h>

#include "conv.h"
#include "product.h"

/* Floats of bordered input worked on at a time: a part of the second-level cache. */
#define BLOCK_FLOATS 65536

/* A block is some whole images, or some output rows of one image. */
typedef struct block_size {
    int32_t images, rows;
    size_t pitch;       /* floats in a row of the bordered copy */
    size_t image_pitch; /* floats in the copy of one image or of its strip */
} block_size;

static bool needs_copy(const pd_conv_shape *s) { return s->kernel > 1 || s->padding > 0; }

static size_t strip_height(const pd_conv_shape *s, int32_t rows)
{
    return (size_t)(rows - 1) * (size_t)s->step + (size_t)s->kernel;
}

static block_size choose_block(const pd_conv *conv)
{
    const pd_conv_shape *s = &conv->shape;
    block_size block = {.images = 1, .rows = conv->out_height};
    block.pitch = ((size_t)(conv->out_width - 1) * (size_t)s->step + (size_t)s->kernel) * (size_t)s->in_channels;
    const size_t fitting = BLOCK_FLOATS / (strip_height(s, block.rows) * block.pitch);
    if (fitting > 1) block.images = fitting < (size_t)s->images ? (int32_t)fitting : s->images;
    while (block.rows > 1 && strip_height(s, block.rows) * block.pitch > BLOCK_FLOATS) block.rows = (block.rows + 1) / 2;
    block.image_pitch = strip_height(s, block.rows) * block.pitch;
    return block;
}

void pd_conv_direct_plan(pd_conv *conv)
{
    const pd_conv_shape *s = &conv->shape;
    conv->packed_count = (uint64_t)s->out_channels * (uint64_t)(s->kernel * s->kernel) * (uint64_t)s->in_channels;
    if (needs_copy(s)) {
        const block_size block = choose_block(conv);
        conv->scratch_count = (uint64_t)block.images * block.image_pitch;
    }
}

void pd_conv_direct_pack(const pd_conv *conv, const float *weights, float *packed)
{
    const pd_conv_shape *s = &conv->shape;
    pd_pack_panels(weights, s->out_channels, (size_t)(s->kernel * s->kernel) * (size_t)s->in_channels, packed);
}

/* One row of the bordered image, `width` pixels; y and the first column may lie
 * outside the picture. */
static void copy_row(const pd_conv_shape *s, const pd_view *in, int32_t image, int32_t y, size_t width, float *to)
{
    const int32_t scale = s->upsample ? 2 : 1;
    const size_t channels = (size_t)s->in_channels, pixel_bytes = sizeof(float) * channels;
    if (y < 0 || y >= s->in_height * scale) {
        memset(to, 0, width * pixel_bytes);
        return;
    }
    const float *row = in->data +
                       ((size_t)image * (size_t)s->in_height + (size_t)(y / scale)) * (size_t)s->in_width * (size_t)in->stride;
    const size_t left = (size_t)s->padding < width ? (size_t)s->padding : width;
    const size_t inside = (size_t)s->in_width * (size_t)scale;
    const size_t end = left + inside < width ? left + inside : width;
    memset(to, 0, left * pixel_bytes);
    if (scale == 1 && (size_t)in->stride == channels) memcpy(to + left * channels, row, (end - left) * pixel_bytes);
    else
        for (size_t x = left; x < end; x++)
            memcpy(to + x * channels, row + (x - left) / (size_t)scale * (size_t)in->stride, pixel_bytes);
    memset(to + end * channels, 0, (width - end) * pixel_bytes);
}

static pd_product_target target_at(const pd_conv *conv, const pd_view *residual, const pd_view *out, size_t pixel)
{
    return (pd_product_target){
        .out = out->data + pixel * (size_t)out->stride,
        .out_stride = (size_t)out->stride,
        .addend = residual ? residual->data + pixel * (size_t)residual->stride : NULL,
        .addend_stride = residual ? (size_t)residual->stride : 0,
        .bias = conv->bias,
    };
}

static void run_one_pixel_kernel(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out)
{
    const pd_conv_shape *s = &conv->shape;
    const size_t stride = (size_t)in->stride, step = (size_t)s->step;
    /* Blocks of pixels such that their channels stay in the cache while the
     * panels of weights pass. With a step of one all pixels are one row. */
    const bool dense = s->step == 1;
    const int32_t width = dense ? in->images * in->height * in->width : conv->out_width;
    const int32_t rows = dense ? 1 : in->images * conv->out_height;
    int32_t most = BLOCK_FLOATS / s->in_channels;
    if (most < PD_MOST_ROWS) most = PD_MOST_ROWS;
    for (int32_t row = 0; row < rows; row++)
        for (int32_t x = 0; x < width; x += most) {
            const int32_t count = width - x < most ? width - x : most;
            const size_t image = (size_t)(row / conv->out_height), y = (size_t)(row % conv->out_height);
            const size_t first = dense ? (size_t)x
                                       : (image * (size_t)in->height + y * step) * (size_t)in->width + (size_t)x * step;
            const pd_windows windows = {
                .data = in->data + first * stride,
                .width = count,
                .height = 1,
                .step = step * stride,
                .layout = {.taps = 1, .run = s->in_channels},
            };
            const pd_product_target target = target_at(conv, residual, out, (size_t)row * (size_t)width + (size_t)x);
            pd_product(&windows, count, conv->packed, PD_PANEL * (size_t)s->in_channels, s->out_channels, &target);
        }
}

void pd_conv_direct_run(const pd_conv *conv, const pd_view *in, const pd_view *residual, const pd_view *out, float *scratch)
{
    const pd_conv_shape *s = &conv->shape;
    if (!needs_copy(s)) {
        run_one_pixel_kernel(conv, in, residual, out);
        return;
    }
    const block_size block = choose_block(conv);
    const size_t width = block.pitch / (size_t)s->in_channels;
    for (int32_t image = 0; image < in->images; image += block.images)
        for (int32_t row = 0; row < conv->out_height; row += block.rows) {
            const int32_t images = in->images - image < block.images ? in->images - image : block.images;
            const int32_t rows = conv->out_height - row < block.rows ? conv->out_height - row : block.rows;
            const int32_t height = (int32_t)strip_height(s, rows);
            for (int32_t i = 0; i < images; i++)
                for (int32_t y = 0; y < height; y++)
                    copy_row(s, in, image + i, row * s->step - s->padding + y, width,
                             scratch + (size_t)i * block.image_pitch + (size_t)y * block.pitch);
            const pd_windows windows = {
                .data = scratch,
                .width = conv->out_width,
                .height = rows,
                .step = (size_t)(s->step * s->in_channels),
                .row_step = (size_t)s->step * block.pitch,
                .image_step = block.image_pitch,
                .layout = {.taps = s->kernel, .run = s->kernel * s->in_channels, .pitch = block.pitch},
            };
            const pd_product_target target = target_at(
                conv, residual, out, ((size_t)image * (size_t)conv->out_height + (size_t)row) * (size_t)conv->out_width);
            pd_product(&windows, images * rows * conv->out_width, conv->packed,
                       PD_PANEL * (size_t)(s->kernel * s->kernel * s->in_channels), s->out_channels, &target);
        }
}
