/* Loops of across.pyx. */
#ifndef TRACEWINNOW_ACROSS_H
#define TRACEWINNOW_ACROSS_H

#include "clones.h"

/* sum of a[i] * b[i]; |a|, |b| <= 1024 and n <= 1024, so that 32 bits hold it. */
TW_CLONES static int32_t tw_dot(const int16_t* a, const int16_t* b, ptrdiff_t n) {
    int32_t sum = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum += (int32_t)a[i] * b[i];
    return sum;
}

#endif
