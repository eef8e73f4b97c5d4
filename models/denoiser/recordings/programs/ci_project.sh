#!/bin/bash
# ci_project.sh FAULT: what a CI job does with a small project: environment, dependencies, C extension, tests, smoke training.
fault=$1
group() { echo "##[group]$*"; }
end() { echo "##[endgroup]"; }
run() { echo "+ $*"; "$@" || { code=$?; echo "##[error]Process completed with exit code $code."; exit $code; }; }

mkdir -p fusion/src fusion/tests && cd fusion || exit 1
cat > src/kernel.c <<'C'
#define PY_SSIZE_T_CLEAN
#include <Python.h>
/* @HEADER@ */

static double mean(const double *values, Py_ssize_t count, int unused) {
    double total = 0;
    for (int index = 0; index < count; index++) total += values[index];
    return count ? total / count : 0;
}

static PyObject *kernel_mean(PyObject *self, PyObject *sequence) {
    Py_ssize_t count = PySequence_Size(sequence);
    double *values = PyMem_Malloc(sizeof(double) * (count ? count : 1));
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *item = PySequence_GetItem(sequence, index);
        values[index] = PyFloat_AsDouble(item);
        Py_DECREF(item);
    }
    double result = mean(values, count, 0);
    PyMem_Free(values);
    return PyFloat_FromDouble(result);
}

static PyMethodDef methods[] = {{"mean", kernel_mean, METH_O, "Mean of a sequence."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_kernel", NULL, -1, methods};
PyMODINIT_FUNC PyInit__kernel(void) { return PyModule_Create(&module); }
C
cat > setup.py <<'P'
from setuptools import Extension, setup

setup(name="fusion", version="0.3.1", py_modules=["fusion"],
      ext_modules=[Extension("_kernel", ["src/kernel.c"], extra_compile_args=["-Wall", "-Wextra"])])
P
cat > fusion.py <<'P'
import warnings

import _kernel


def reciprocal(ranks, k=60):
    warnings.warn("k will be keyword-only in fusion 0.4", DeprecationWarning, stacklevel=2)
    return [1 / (k + rank) for rank in ranks]


def mean(values):
    return _kernel.mean(values)
P
cat > tests/test_fusion.py <<'P'
import math
import random

import fusion
import pytest


@pytest.mark.parametrize("rank", range(40))
def test_reciprocal(rank):
    assert fusion.reciprocal([rank])[0] == pytest.approx(1 / (60 + rank))


@pytest.mark.parametrize("count", [1, 2, 3, 10, 100, 1000])
def test_mean(count):
    values = [random.random() for _ in range(count)]
    assert math.isclose(fusion.mean(values), sum(values) / count)


@pytest.mark.xfail(reason="known: empty input gives 0")
def test_empty():
    with pytest.raises(ValueError):
        fusion.mean([])


@pytest.mark.skip(reason="needs a GPU")
def test_gpu():
    pass
P
printf 'setuptools\nwheel\npytest\nsix==1.17.0\ntabulate==0.8.9\n' > requirements.txt
case $fault in
  test) sed -i 's/return count ? total \/ count : 0/return count > 50 ? total \/ (count - 1) : total \/ count/' src/kernel.c ;;
  compile) sed -i 's/double total = 0;/double total = 0/' src/kernel.c ;;
  header) sed -i 's|/\* @HEADER@ \*/|#include <cblas_fast.h>|' src/kernel.c ;;
  conflict) printf 'fsspec==2023.1.0\ns3fs==2024.2.0\n' >> requirements.txt ;;
  absent) echo 'tabulate==17.3' >> requirements.txt; sed -i '/tabulate==0.8.9/d' requirements.txt ;;
  import) sed -i 's/^import _kernel/import _kernel\nfrom six.moves import quick_kernels/' fusion.py ;;
  error) sed -i 's/import fusion/import fusion\n\nBASELINE = open("tests\/data\/baseline.json").read()/' tests/test_fusion.py ;;
  segv) sed -i 's/double result = mean/values[0] = count == 1000 ? *(volatile double *)8 : values[0];\n    double result = mean/' src/kernel.c ;;
esac

group "Runner information"; echo "Image: ubuntu-22.04"; python --version; gcc --version | head -1; nproc; end
group "Run pip install -r requirements.txt"
run python -m venv --without-pip env
run env/bin/python -c "import sys; print(sys.prefix)"
run python -m pip --python env/bin/python install -r requirements.txt
end
group "Build the extension"
run env/bin/python setup.py build_ext --inplace
end
group "Run the tests"
export PYTHONPATH=$PWD
if [ "$fault" = slow ]; then
  printf 'import time\n\n\ndef test_consensus_settles():\n    time.sleep(60)\n' > tests/test_slow.py
  run timeout --verbose 8 env/bin/python -m pytest -v -p no:cacheprovider tests
else
  run env/bin/python -m pytest -v -p no:cacheprovider tests
fi
end
group "Smoke training"
if [ "$fault" = baseline ]; then
  run python -u ../sweep.py pool --seeds 3
  echo "comparing with benchmarks/baseline.json"
  run env/bin/python -c "import sys; print('err 0.4211, baseline 0.3107, tolerance 0.02'); sys.exit('REGRESSION: err is 0.1104 above the baseline')"
else
  run python -u ../sweep.py pool --seeds 4
fi
end
echo "##[section]Finishing: job succeeded"
