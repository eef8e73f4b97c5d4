/* What several of the kernels ask of an integer. */
#ifndef TRACEWINNOW_INTEGERS_H
#define TRACEWINNOW_INTEGERS_H

#include <stdint.h>

static inline int tw_bit_length(uint64_t v) { return v ? 64 - __builtin_clzll(v) : 0; }

#endif
