// Dense linear algebra in single precision, on OpenBLAS (docs/decisions/006-linear-algebra.md).
//
//   STARLING_RETURN_IF_ERROR(InvertPositiveDefinite(matrix, size, threads));
//
// Matrices are square or rows x columns, row-major. OpenBLAS has one thread count for the whole
// process, so each function here takes its own count, holds a process-wide lock while it runs and
// leaves the count at 1: no call of ours oversubscribes, and two at once queue. Thread-safe.
//
// OpenBLAS takes buffers of its own when it is first used and keeps them: 1 to 3 MB, and to invert
// a matrix of 6,000 rows 12 MB on two threads. What fits say that they take is without them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "platform/base/status.h"

namespace starling::learning {

// Replaces a symmetric positive definite matrix (size x size, the lower triangle is read) by its
// inverse, both triangles. size^3 multiply-adds, no memory beside the matrix; cannot be stopped.
// FAILED_PRECONDITION when it is not positive definite.
Status InvertPositiveDefinite(std::span<float> matrix, size_t size, int threads);

// X'X of a rows x columns matrix: columns x columns, both triangles.
std::vector<float> GramMatrix(std::span<const float> matrix, size_t rows, size_t columns,
                              int threads);

// A symmetric matrix A = Q diag(values) Q'. Values ascend; column j of Q (size x size, row-major)
// belongs to value j. About 10 size^3 operations in double precision.
struct Eigenbasis {
  std::vector<float> values;
  std::vector<float> vectors;
};
StatusOr<Eigenbasis> SymmetricEigenbasis(std::span<const float> matrix, size_t size);

// Replaces a rows x columns matrix X by X Q, Q being columns x columns. Takes 1 MB, or 256 rows.
void MultiplyInPlace(std::span<float> matrix, size_t rows, std::span<const float> q, size_t columns,
                     int threads);

// Bytes that SymmetricEigenbasis of a Gram matrix takes, and MultiplyInPlace by what it gives.
uint64_t RotationMemory(size_t columns);

// A matrix as it goes into a product.
enum class Transposed { kNo, kYes };
struct Operand {
  std::span<const float> values;  // rows x columns
  size_t rows = 0;
  size_t columns = 0;
  Transposed transposed = Transposed::kNo;
};
// Adds A B to `sum`, of as many rows as A and columns as B, as transposed; inner sizes are alike.
void AddProduct(const Operand& a, const Operand& b, std::span<float> sum, int threads);

}  // namespace starling::learning
