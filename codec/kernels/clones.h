/* Loops that want vector registers are compiled twice on x86-64 with glibc, with and without AVX2, and the processor chooses when the module is
 * loaded. Lanes are independent and no products are fused with sums (-ffp-contract=off), so both give the same bits. What the loops of
 * this folder compute is in ../reference.
 */
#ifndef TRACEWINNOW_CLONES_H
#define TRACEWINNOW_CLONES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__)
#define TW_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define TW_CLONES
#endif

#ifdef __GNUC__
#define TW_SOME __attribute__((unused)) /* by some of those who include it */
/* Vectors of 32 bytes are passed only to functions that are inlined. */
#pragma GCC diagnostic ignored "-Wpsabi"
#else
#define TW_SOME
#endif

#endif
