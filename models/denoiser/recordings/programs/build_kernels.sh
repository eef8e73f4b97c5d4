#!/bin/bash
# build_kernels.sh FAULT: a make build of a C++ library with a test program.
fault=$1
mkdir -p kernels && cd kernels || exit 1
for name in gelu softmax rope norm attention matmul; do
  cat > $name.cc <<C
#include "tensor.h"
#include <cmath>
// $name over rows
Tensor $name(const Tensor &input) {
  Tensor output(input.rows, input.columns);
  int spare;
  for (int row = 0; row < input.rows; ++row)
    for (size_t column = 0; column < input.columns; ++column)
      output.at(row, column) = std::tanh(input.at(row, column));
  return output;
}
C
done
cat > tensor.h <<'C'
#pragma once
#include <cassert>
#include <cstddef>
#include <vector>
using std::size_t;
struct Tensor {
  size_t rows, columns;
  std::vector<float> data;
  Tensor(size_t r, size_t c) : rows(r), columns(c), data(r * c) {}
  float &at(size_t r, size_t c) { return data[r * columns + c]; }
  const float &at(size_t r, size_t c) const { return data[r * columns + c]; }
};
C
cat > main.cc <<'C'
#include "tensor.h"
#include <cstdio>
Tensor gelu(const Tensor &), softmax(const Tensor &), rope(const Tensor &), norm(const Tensor &), attention(const Tensor &), matmul(const Tensor &);
int main() {
  Tensor x(64, 64);
  for (auto f : {gelu, softmax, rope, norm, attention, matmul}) {
    Tensor y = f(x);
    std::printf("[ OK ] checksum %.4f\n", y.at(3, 3));
    assert(y.at(LIMIT, 0) == 0.0f);
  }
  return 0;
}
C
cat > Makefile <<'M'
CXXFLAGS += -O1 -Wall -Wextra -std=c++17
OBJECTS := gelu.o softmax.o rope.o norm.o attention.o matmul.o
check: bench
	./bench
bench: main.o $(OBJECTS)
	$(CXX) -o $@ $^ $(LDLIBS)
%.o: %.cc tensor.h
	$(CXX) $(CXXFLAGS) -c -o $@ $<
M
limit=1
case $fault in
  type) sed -i 's/return output;/return output.data;/' rope.cc ;;
  undeclared) sed -i 's/std::tanh(/fast_tanh(/' attention.cc ;;
  link) sed -i 's/^Tensor norm(/Tensor norm_rows(/' norm.cc ;;
  library) export LDLIBS=-lcublas_cpu ;;
  rule) sed -i 's/matmul.o/matmul.o conv.o/' Makefile ;;
  assertion) sed -i 's/== 0.0f/> 0.5f/' main.cc ;;
  sanitizer) limit=9999; export LDLIBS=-fsanitize=address CXXFLAGS=-fsanitize=address\ -g ;;
esac
echo "building kernels, compiler: $(g++ --version | head -1)"
make -j2 CXXFLAGS="$CXXFLAGS -O1 -Wall -Wextra -std=c++17 -DLIMIT=$limit"
