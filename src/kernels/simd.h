/* Four float lanes: the whole vocabulary that the kernels are written in.
 *
 * One definition for each of WebAssembly SIMD128, SSE2, NEON and plain C; all
 * four compute the same bits. Strict: a multiplication and an addition are two
 * operations with two roundings. Loads and stores need no alignment beyond that
 * of a float. PD_SIMD_PLAIN forces plain C. */
#ifndef PD_SIMD_H
#define PD_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define PD_INLINE static inline __attribute__((always_inline, unused))
/* For inner loops that are to have a function of their own: the register
 * allocators of WebAssembly engines do markedly worse in long functions. */
#define PD_NOINLINE __attribute__((noinline))
#else
#define PD_INLINE static inline
#define PD_NOINLINE
#endif

/* Before a loop over a constant number of registers. */
#if defined(__clang__)
#define PD_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define PD_UNROLL _Pragma("GCC unroll 16")
#else
#define PD_UNROLL
#endif

/* pd_min(a, b) is b < a ? b : a and pd_max(a, b) is a < b ? b : a, also for NaN
 * and signed zeros: a NaN in `a` stays, a NaN in `b` is dropped. (f32x4.pmin
 * and pmax of WebAssembly; minps and maxps with exchanged operands.)
 *
 * pd_scale_exponent(value, shifted): value * 2^n, where shifted = 1.5 * 2^23 + n
 * holds the integer n in its low mantissa bits. Result and value are normal. */

#if defined(__wasm_simd128__) && !defined(PD_SIMD_PLAIN)
#include <wasm_simd128.h>
typedef v128_t pd_f32x4;
PD_INLINE pd_f32x4 pd_load(const float *p) { return wasm_v128_load(p); }
PD_INLINE void pd_store(float *p, pd_f32x4 a) { wasm_v128_store(p, a); }
PD_INLINE pd_f32x4 pd_splat(float a) { return wasm_f32x4_splat(a); }
PD_INLINE pd_f32x4 pd_load_splat(const float *p) { return wasm_v128_load32_splat(p); }
PD_INLINE pd_f32x4 pd_add(pd_f32x4 a, pd_f32x4 b) { return wasm_f32x4_add(a, b); }
PD_INLINE pd_f32x4 pd_sub(pd_f32x4 a, pd_f32x4 b) { return wasm_f32x4_sub(a, b); }
PD_INLINE pd_f32x4 pd_mul(pd_f32x4 a, pd_f32x4 b) { return wasm_f32x4_mul(a, b); }
PD_INLINE pd_f32x4 pd_div(pd_f32x4 a, pd_f32x4 b) { return wasm_f32x4_div(a, b); }
PD_INLINE pd_f32x4 pd_root(pd_f32x4 a) { return wasm_f32x4_sqrt(a); }
PD_INLINE pd_f32x4 pd_min(pd_f32x4 a, pd_f32x4 b) { return wasm_f32x4_pmin(a, b); }
PD_INLINE pd_f32x4 pd_max(pd_f32x4 a, pd_f32x4 b) { return wasm_f32x4_pmax(a, b); }
PD_INLINE pd_f32x4 pd_scale_exponent(pd_f32x4 value, pd_f32x4 shifted)
{
    return wasm_i32x4_add(value, wasm_i32x4_shl(shifted, 23));
}
PD_INLINE pd_f32x4 pd_swap_neighbours(pd_f32x4 a) { return wasm_i32x4_shuffle(a, a, 1, 0, 3, 2); }
PD_INLINE pd_f32x4 pd_swap_halves(pd_f32x4 a) { return wasm_i32x4_shuffle(a, a, 2, 3, 0, 1); }
#define PD_LANE(a, i) wasm_f32x4_extract_lane(a, i)

#elif defined(__SSE2__) && !defined(PD_SIMD_PLAIN)
#include <emmintrin.h>
typedef __m128 pd_f32x4;
PD_INLINE pd_f32x4 pd_load(const float *p) { return _mm_loadu_ps(p); }
PD_INLINE void pd_store(float *p, pd_f32x4 a) { _mm_storeu_ps(p, a); }
PD_INLINE pd_f32x4 pd_splat(float a) { return _mm_set1_ps(a); }
PD_INLINE pd_f32x4 pd_load_splat(const float *p) { return _mm_set1_ps(*p); }
PD_INLINE pd_f32x4 pd_add(pd_f32x4 a, pd_f32x4 b) { return _mm_add_ps(a, b); }
PD_INLINE pd_f32x4 pd_sub(pd_f32x4 a, pd_f32x4 b) { return _mm_sub_ps(a, b); }
PD_INLINE pd_f32x4 pd_mul(pd_f32x4 a, pd_f32x4 b) { return _mm_mul_ps(a, b); }
PD_INLINE pd_f32x4 pd_div(pd_f32x4 a, pd_f32x4 b) { return _mm_div_ps(a, b); }
PD_INLINE pd_f32x4 pd_root(pd_f32x4 a) { return _mm_sqrt_ps(a); }
PD_INLINE pd_f32x4 pd_min(pd_f32x4 a, pd_f32x4 b) { return _mm_min_ps(b, a); }
PD_INLINE pd_f32x4 pd_max(pd_f32x4 a, pd_f32x4 b) { return _mm_max_ps(b, a); }
PD_INLINE pd_f32x4 pd_scale_exponent(pd_f32x4 value, pd_f32x4 shifted)
{
    return _mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(value), _mm_slli_epi32(_mm_castps_si128(shifted), 23)));
}
PD_INLINE pd_f32x4 pd_swap_neighbours(pd_f32x4 a) { return _mm_shuffle_ps(a, a, _MM_SHUFFLE(2, 3, 0, 1)); }
PD_INLINE pd_f32x4 pd_swap_halves(pd_f32x4 a) { return _mm_shuffle_ps(a, a, _MM_SHUFFLE(1, 0, 3, 2)); }
#define PD_LANE(a, i) _mm_cvtss_f32(_mm_shuffle_ps(a, a, i))

#elif defined(__ARM_NEON) && defined(__aarch64__) && !defined(PD_SIMD_PLAIN)
#include <arm_neon.h>
typedef float32x4_t pd_f32x4;
PD_INLINE pd_f32x4 pd_load(const float *p) { return vld1q_f32(p); }
PD_INLINE void pd_store(float *p, pd_f32x4 a) { vst1q_f32(p, a); }
PD_INLINE pd_f32x4 pd_splat(float a) { return vdupq_n_f32(a); }
PD_INLINE pd_f32x4 pd_load_splat(const float *p) { return vld1q_dup_f32(p); }
PD_INLINE pd_f32x4 pd_add(pd_f32x4 a, pd_f32x4 b) { return vaddq_f32(a, b); }
PD_INLINE pd_f32x4 pd_sub(pd_f32x4 a, pd_f32x4 b) { return vsubq_f32(a, b); }
PD_INLINE pd_f32x4 pd_mul(pd_f32x4 a, pd_f32x4 b) { return vmulq_f32(a, b); }
PD_INLINE pd_f32x4 pd_div(pd_f32x4 a, pd_f32x4 b) { return vdivq_f32(a, b); }
PD_INLINE pd_f32x4 pd_root(pd_f32x4 a) { return vsqrtq_f32(a); }
PD_INLINE pd_f32x4 pd_min(pd_f32x4 a, pd_f32x4 b) { return vbslq_f32(vcltq_f32(b, a), b, a); }
PD_INLINE pd_f32x4 pd_max(pd_f32x4 a, pd_f32x4 b) { return vbslq_f32(vcltq_f32(a, b), b, a); }
PD_INLINE pd_f32x4 pd_scale_exponent(pd_f32x4 value, pd_f32x4 shifted)
{
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(value), vshlq_n_u32(vreinterpretq_u32_f32(shifted), 23)));
}
PD_INLINE pd_f32x4 pd_swap_neighbours(pd_f32x4 a) { return vrev64q_f32(a); }
PD_INLINE pd_f32x4 pd_swap_halves(pd_f32x4 a) { return vextq_f32(a, a, 2); }
#define PD_LANE(a, i) vgetq_lane_f32(a, i)

#else
typedef struct pd_f32x4 {
    float lane[4];
} pd_f32x4;
#define PD_EACH_LANE(expression) \
    pd_f32x4 result; \
    for (int i = 0; i < 4; i++) result.lane[i] = (expression); \
    return result
PD_INLINE pd_f32x4 pd_load(const float *p) { PD_EACH_LANE(p[i]); }
PD_INLINE void pd_store(float *p, pd_f32x4 a) { memcpy(p, a.lane, sizeof a.lane); }
PD_INLINE pd_f32x4 pd_splat(float a) { PD_EACH_LANE(a); }
PD_INLINE pd_f32x4 pd_load_splat(const float *p) { PD_EACH_LANE(*p); }
PD_INLINE pd_f32x4 pd_add(pd_f32x4 a, pd_f32x4 b) { PD_EACH_LANE(a.lane[i] + b.lane[i]); }
PD_INLINE pd_f32x4 pd_sub(pd_f32x4 a, pd_f32x4 b) { PD_EACH_LANE(a.lane[i] - b.lane[i]); }
PD_INLINE pd_f32x4 pd_mul(pd_f32x4 a, pd_f32x4 b) { PD_EACH_LANE(a.lane[i] * b.lane[i]); }
PD_INLINE pd_f32x4 pd_div(pd_f32x4 a, pd_f32x4 b) { PD_EACH_LANE(a.lane[i] / b.lane[i]); }
PD_INLINE pd_f32x4 pd_root(pd_f32x4 a) { PD_EACH_LANE(__builtin_sqrtf(a.lane[i])); }
PD_INLINE pd_f32x4 pd_min(pd_f32x4 a, pd_f32x4 b) { PD_EACH_LANE(b.lane[i] < a.lane[i] ? b.lane[i] : a.lane[i]); }
PD_INLINE pd_f32x4 pd_max(pd_f32x4 a, pd_f32x4 b) { PD_EACH_LANE(a.lane[i] < b.lane[i] ? b.lane[i] : a.lane[i]); }
PD_INLINE pd_f32x4 pd_scale_exponent(pd_f32x4 value, pd_f32x4 shifted)
{
    uint32_t bits[4], exponent[4];
    memcpy(bits, value.lane, sizeof bits);
    memcpy(exponent, shifted.lane, sizeof exponent);
    for (int i = 0; i < 4; i++) bits[i] += exponent[i] << 23;
    memcpy(value.lane, bits, sizeof bits);
    return value;
}
PD_INLINE pd_f32x4 pd_swap_neighbours(pd_f32x4 a) { PD_EACH_LANE(a.lane[i ^ 1]); }
PD_INLINE pd_f32x4 pd_swap_halves(pd_f32x4 a) { PD_EACH_LANE(a.lane[i ^ 2]); }
#define PD_LANE(a, i) ((a).lane[i])
#endif

/* ---- made of the above: the same on every platform -------------------------- */

/* Constants of a loop, each in all lanes. In memory, because V8 builds a constant
 * vector anew wherever it is used, in several instructions, where a load takes
 * one; in all lanes, because a load that spreads a number takes another for its
 * address. */
typedef struct pd_vector_table {
    _Alignas(16) float lane[4];
} pd_vector_table;
#define PD_EVERY_LANE(number) \
    { \
        { \
            number, number, number, number \
        } \
    }

/* The same address, but what is there is no longer known to the compiler. Taken
 * outside the loop. */
PD_INLINE const pd_vector_table *pd_table(const pd_vector_table *table)
{
#if defined(__GNUC__)
    __asm__("" : "+r"(table));
#endif
    return table;
}
PD_INLINE pd_f32x4 pd_entry(const pd_vector_table *table, int index) { return pd_load(table[index].lane); }

PD_INLINE pd_f32x4 pd_zero(void) { return pd_splat(0.0f); }
/* sum + a * b and value - a * b, rounded twice; in the module with relaxed SIMD
 * once where the processor has an instruction for it. */
#if defined(__wasm_relaxed_simd__)
PD_INLINE pd_f32x4 pd_multiply_add(pd_f32x4 sum, pd_f32x4 a, pd_f32x4 b) { return __builtin_wasm_relaxed_madd_f32x4(a, b, sum); }
PD_INLINE pd_f32x4 pd_multiply_subtract(pd_f32x4 value, pd_f32x4 a, pd_f32x4 b)
{
    return __builtin_wasm_relaxed_nmadd_f32x4(a, b, value);
}
#else
PD_INLINE pd_f32x4 pd_multiply_add(pd_f32x4 sum, pd_f32x4 a, pd_f32x4 b) { return pd_add(sum, pd_mul(a, b)); }
PD_INLINE pd_f32x4 pd_multiply_subtract(pd_f32x4 value, pd_f32x4 a, pd_f32x4 b) { return pd_sub(value, pd_mul(a, b)); }
#endif
/* (lane 0 + lane 1) + (lane 2 + lane 3), in every lane. */
PD_INLINE pd_f32x4 pd_sum_across(pd_f32x4 a)
{
    a = pd_add(a, pd_swap_neighbours(a));
    return pd_add(a, pd_swap_halves(a));
}
PD_INLINE float pd_sum_lanes(pd_f32x4 a) { return PD_LANE(pd_sum_across(a), 0); }
/* The largest lane, in every lane. */
PD_INLINE pd_f32x4 pd_max_across(pd_f32x4 a)
{
    a = pd_max(a, pd_swap_neighbours(a));
    return pd_max(a, pd_swap_halves(a));
}
/* The first `count` lanes (0 .. 4) from memory, `fill` in the others. */
PD_INLINE pd_f32x4 pd_load_first(const float *p, int32_t count, float fill)
{
    float lanes[4] = {fill, fill, fill, fill};
    for (int32_t i = 0; i < count; i++) lanes[i] = p[i];
    return pd_load(lanes);
}
PD_INLINE void pd_store_first(float *p, int32_t count, pd_f32x4 a)
{
    float lanes[4];
    pd_store(lanes, a);
    for (int32_t i = 0; i < count; i++) p[i] = lanes[i];
}
/* x *= factor; count: a multiple of 4. */
PD_INLINE void pd_scale_row(float *x, size_t count, float factor)
{
    for (size_t i = 0; i < count; i += 4) pd_store(x + i, pd_mul(pd_load(x + i), pd_splat(factor)));
}

#endif
