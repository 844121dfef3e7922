#include "learning/math/dense.h"

#include <cblas.h>

#include <algorithm>
#include <mutex>

#include "learning/math/parallel.h"

extern "C" {
void spotrf_(const char* uplo, const int* n, float* a, const int* lda, int* info);
void spotri_(const char* uplo, const int* n, float* a, const int* lda, int* info);
void dsyev_(const char* jobz, const char* uplo, const int* n, double* a, const int* lda, double* w,
            double* work, const int* lwork, int* info);
}

namespace starling::learning {
namespace {

// The process's one OpenBLAS thread count, for as long as this lives.
class BlasThreads {
 public:
  explicit BlasThreads(int threads) : lock_(Mutex()) { openblas_set_num_threads(threads); }
  ~BlasThreads() { openblas_set_num_threads(1); }
  BlasThreads(const BlasThreads&) = delete;
  BlasThreads& operator=(const BlasThreads&) = delete;

 private:
  static std::mutex& Mutex() {
    static std::mutex mutex;
    return mutex;
  }
  std::lock_guard<std::mutex> lock_;
};

void MirrorTriangle(std::span<float> matrix, size_t size) {
  constexpr size_t kBlock = 64;  // both the read and the written block stay in cache
  for (size_t row = 0; row < size; row += kBlock) {
    for (size_t column = 0; column <= row; column += kBlock) {
      for (size_t i = row; i < std::min(size, row + kBlock); ++i) {
        for (size_t j = column; j < std::min(i, column + kBlock); ++j) {
          matrix[j * size + i] = matrix[i * size + j];
        }
      }
    }
  }
}

// How many rows MultiplyInPlace takes at once: enough for every thread, few enough for the cache.
size_t RowsAtOnce(size_t columns) {
  constexpr size_t kValues = size_t{1} << 18;
  return std::max<size_t>(256, kValues / columns);
}

}  // namespace

Status InvertPositiveDefinite(std::span<float> matrix, size_t size, int threads) {
  if (size == 0) {
    return OkStatus();
  }
  const BlasThreads blas(threads);
  const int n = static_cast<int>(size);
  int info = 0;
  // LAPACK counts by columns, so its upper triangle is our lower one.
  spotrf_("U", &n, matrix.data(), &n, &info);
  if (info == 0) {
    spotri_("U", &n, matrix.data(), &n, &info);
  }
  if (info != 0) {
    return FailedPrecondition(
        "the {} x {} matrix is not positive definite (pivot {}); raise the regularisation", size,
        size, info);
  }
  MirrorTriangle(matrix, size);
  return OkStatus();
}

std::vector<float> GramMatrix(std::span<const float> matrix, size_t rows, size_t columns,
                              int threads) {
  std::vector<float> gram(columns * columns, 0.0F);
  if (rows > 0 && columns > 0) {
    const BlasThreads blas(threads);
    const int n = static_cast<int>(columns);
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, n, static_cast<int>(rows), 1.0F,
                matrix.data(), n, 0.0F, gram.data(), n);
    MirrorTriangle(gram, columns);
  }
  return gram;
}

StatusOr<Eigenbasis> SymmetricEigenbasis(std::span<const float> matrix, size_t size) {
  const BlasThreads blas(1);
  const int n = static_cast<int>(size);
  std::vector<double> vectors(matrix.begin(), matrix.end());
  std::vector<double> values(size);
  std::vector<double> work(size * 34 + 64);
  const int work_size = static_cast<int>(work.size());
  int info = 0;
  dsyev_("V", "U", &n, vectors.data(), &n, values.data(), work.data(), &work_size, &info);
  if (info != 0) {
    return FailedPrecondition(
        "the eigenvalues of a {} x {} matrix were not found (code {}); it holds values that are "
        "not finite",
        size, size, info);
  }
  Eigenbasis basis{{values.begin(), values.end()}, std::vector<float>(size * size)};
  for (size_t j = 0; j < size; ++j) {  // LAPACK's column j is its memory's row j
    for (size_t i = 0; i < size; ++i) {
      basis.vectors[i * size + j] = static_cast<float>(vectors[j * size + i]);
    }
  }
  return basis;
}

void MultiplyInPlace(std::span<float> matrix, size_t rows, std::span<const float> q, size_t columns,
                     int threads) {
  if (rows == 0 || columns == 0) {
    return;
  }
  const size_t at_once = std::min(rows, RowsAtOnce(columns));
  std::vector<float> product(at_once * columns);
  const BlasThreads blas(threads);
  const int n = static_cast<int>(columns);
  for (size_t first = 0; first < rows; first += at_once) {
    const size_t count = std::min(at_once, rows - first);
    float* block = matrix.data() + first * columns;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(count), n, n, 1.0F,
                block, n, q.data(), n, 0.0F, product.data(), n);
    std::copy_n(product.data(), count * columns, block);
  }
}

uint64_t RotationMemory(size_t columns) {
  // The Gram matrix, then its eigenvectors in double precision, then in single.
  const uint64_t square = columns * columns;
  return 16 * square + 4 * RowsAtOnce(columns) * columns;
}

void AddProduct(const Operand& a, const Operand& b, std::span<float> sum, int threads) {
  const auto shape = [](const Operand& operand) {
    const bool turned = operand.transposed == Transposed::kYes;
    return std::pair(static_cast<int>(turned ? operand.columns : operand.rows),
                     static_cast<int>(turned ? operand.rows : operand.columns));
  };
  const auto blas = [](const Operand& operand) {
    return operand.transposed == Transposed::kYes ? CblasTrans : CblasNoTrans;
  };
  const int rows = shape(a).first, inner = shape(a).second, columns = shape(b).second;
  if (rows == 0 || columns == 0 || inner == 0) return;
  // Each thread multiplies rows of its own by one thread of OpenBLAS: its own threads share the
  // work out evenly and spin until the last is done, which on a busy machine is most of the time.
  const BlasThreads of_blas(1);
  constexpr int kLeast = 64, kMost = 4'096;  // OpenBLAS copies what so many rows need
  const auto chunk = static_cast<size_t>(std::clamp(rows / (2 * threads) + 1, kLeast, kMost));
  ParallelFor(static_cast<size_t>(rows), threads, chunk, [&](size_t begin, size_t end) {
    const float* of_a =
        a.values.data() + (a.transposed == Transposed::kYes ? begin : begin * a.columns);
    cblas_sgemm(CblasRowMajor, blas(a), blas(b), static_cast<int>(end - begin), columns, inner,
                1.0F, of_a, static_cast<int>(a.columns), b.values.data(),
                static_cast<int>(b.columns), 1.0F,
                sum.data() + begin * static_cast<size_t>(columns), columns);
  });
}

}  // namespace starling::learning
