/* CRC-32 as zlib computes it, by carry-less multiplication where the processor has it.
 *
 * After Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009); the constants are
 * powers of x modulo the bit-reflected polynomial of CRC-32.
 */
#ifndef TRACEWINNOW_CRC_H
#define TRACEWINNOW_CRC_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

static int tw_crc_available(void) { return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"); }

/* size: at least 64, and a multiple of 16; crc: inverted, as is the result. */
__attribute__((target("pclmul,sse4.1"))) static uint32_t tw_crc_fold(const uint8_t* data, size_t size, uint32_t crc) {
    const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4), by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x0163cd6124), barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    const __m128i low_words = _mm_setr_epi32(~0, 0, ~0, 0);
    const __m128i* from = (const __m128i*)data;
    __m128i part[4];
    for (int i = 0; i < 4; i++) part[i] = _mm_loadu_si128(from++);
    part[0] = _mm_xor_si128(part[0], _mm_cvtsi32_si128((int)crc));
    for (size -= 64; size >= 64; size -= 64) {
        for (int i = 0; i < 4; i++) {
            const __m128i high = _mm_clmulepi64_si128(part[i], by_512, 0x00), low = _mm_clmulepi64_si128(part[i], by_512, 0x11);
            part[i] = _mm_xor_si128(_mm_xor_si128(high, low), _mm_loadu_si128(from++));
        }
    }
    __m128i all = part[0];
    for (int i = 1; i < 4; i++) {
        const __m128i high = _mm_clmulepi64_si128(all, by_128, 0x00), low = _mm_clmulepi64_si128(all, by_128, 0x11);
        all = _mm_xor_si128(_mm_xor_si128(high, low), part[i]);
    }
    for (; size >= 16; size -= 16) {
        const __m128i high = _mm_clmulepi64_si128(all, by_128, 0x00), low = _mm_clmulepi64_si128(all, by_128, 0x11);
        all = _mm_xor_si128(_mm_xor_si128(high, low), _mm_loadu_si128(from++));
    }
    __m128i t = _mm_clmulepi64_si128(all, by_128, 0x10);
    all = _mm_xor_si128(_mm_srli_si128(all, 8), t);
    t = _mm_srli_si128(all, 4);
    all = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(all, low_words), by_64, 0x00), t);
    t = _mm_clmulepi64_si128(_mm_and_si128(all, low_words), barrett, 0x10);
    t = _mm_clmulepi64_si128(_mm_and_si128(t, low_words), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(all, t), 1);
}
#else
static int tw_crc_available(void) { return 0; }
static uint32_t tw_crc_fold(const uint8_t* data, size_t size, uint32_t crc) { (void)data, (void)size; return crc; }
#endif

#endif
