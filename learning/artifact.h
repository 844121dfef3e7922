// A model as bytes: named arrays that are used where they lie, so a file can be mapped and served
// without a copy.
//
//   artifact := header entry* section*                 every part starts at a multiple of 64
//   header   := magic version:u32 sections:u32 size:u64 kind checksum:u32 zero[20]      64 bytes
//   magic    := "STRLMODL"
//   kind     := text, zeros up to 16 bytes             which model this is: "als", "ease", ...
//   entry    := name type:u32 checksum:u32 rows:u64 columns:u64 offset:u64 zero[8]      64 bytes
//   name     := text, zeros up to 24 bytes             no two alike
//   type     := 1 (u8) | 2 (u32) | 3 (u64) | 4 (i64) | 5 (f32) | 6 (f64)
//   section  := rows * columns values, row-major; zeros up to a multiple of 64
// All is little-endian. The header's checksum is the CRC-32C of header and entries, itself taken as
// 0; an entry's is that of its section with the zeros. So every bit is covered by one of them.
//
//   ArtifactWriter writer("als");
//   writer.Add<float>("factors", factors, items, 64);
//   std::string bytes = std::move(writer).Finish();
//   STARLING_ASSIGN_OR_RETURN(Artifact artifact, Artifact::Open(bytes, mapping));
//   STARLING_ASSIGN_OR_RETURN(Matrix<float> factors, artifact.Get<float>("factors"));
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "learning/math/array.h"
#include "platform/base/status.h"

namespace starling::learning {

inline constexpr uint32_t kArtifactVersion = 1;

enum class ElementType : uint32_t { kU8 = 1, kU32 = 2, kU64 = 3, kI64 = 4, kF32 = 5, kF64 = 6 };
size_t ElementSize(ElementType type);
std::string_view Name(ElementType type);

template <typename T>
constexpr ElementType ElementTypeOf() {
  if constexpr (std::is_same_v<T, uint8_t>) return ElementType::kU8;
  if constexpr (std::is_same_v<T, uint32_t>) return ElementType::kU32;
  if constexpr (std::is_same_v<T, uint64_t>) return ElementType::kU64;
  if constexpr (std::is_same_v<T, int64_t>) return ElementType::kI64;
  if constexpr (std::is_same_v<T, float>) return ElementType::kF32;
  if constexpr (std::is_same_v<T, double>) return ElementType::kF64;
}

template <typename T>
struct Matrix {
  Array<T> values;  // rows * columns, row-major
  size_t rows = 0;
  size_t columns = 0;
};

// Collects sections; not thread-safe. A kind or name that is too long, or a size that is not
// rows * columns, is a mistake of the program and ends it.
class ArtifactWriter {
 public:
  explicit ArtifactWriter(std::string_view kind);

  // The values must live until Finish.
  template <typename T>
  void Add(std::string_view name, std::span<const T> values, size_t rows, size_t columns) {
    AddBytes(name, ElementTypeOf<T>(), std::as_bytes(values), rows, columns);
  }
  template <typename T>
  void Add(std::string_view name, std::span<const T> values) {
    Add<T>(name, values, values.size(), 1);
  }

  // One allocation of the artifact's size.
  std::string Finish() &&;

 private:
  struct Section {
    std::string name;
    ElementType type;
    std::span<const std::byte> bytes;
    size_t rows;
    size_t columns;
  };
  void AddBytes(std::string_view name, ElementType type, std::span<const std::byte> bytes,
                size_t rows, size_t columns);

  std::string kind_;
  std::vector<Section> sections_;
};

enum class Checksums : uint8_t {
  kVerify,      // all bytes are read once, about 10 GB/s
  kTrustBytes,  // only the layout is checked: for bytes whose checksum was verified already
};

// Looks at the bytes it was opened on. Thread-safe; copies share.
class Artifact {
 public:
  // `bytes` must be aligned to 8 (mapped files and std::string are); `owner` keeps them alive, or
  // is nullptr when the caller does. Never reads outside `bytes`, whatever they are. DATA_LOSS says
  // what is wrong with them, FAILED_PRECONDITION that another version wrote them.
  static StatusOr<Artifact> Open(std::span<const std::byte> bytes,
                                 std::shared_ptr<const void> owner,
                                 Checksums checksums = Checksums::kVerify);

  std::string_view kind() const { return kind_; }
  size_t size() const { return bytes_.size(); }
  bool Has(std::string_view name) const { return Find(name) != nullptr; }

  // DATA_LOSS when the section is absent or of another type.
  template <typename T>
  StatusOr<Matrix<T>> Get(std::string_view name) const {
    STARLING_ASSIGN_OR_RETURN(const Section* section, Find(name, ElementTypeOf<T>()));
    const std::span<const T> values(reinterpret_cast<const T*>(bytes_.data() + section->offset),
                                    section->rows * section->columns);
    return Matrix<T>{Array<T>(values, owner_), section->rows, section->columns};
  }
  // The same, and DATA_LOSS when it is not `count` values.
  template <typename T>
  StatusOr<Array<T>> Get(std::string_view name, size_t count) const {
    STARLING_ASSIGN_OR_RETURN(Matrix<T> matrix, Get<T>(name));
    STARLING_RETURN_IF_ERROR(CheckCount(name, matrix.values.size(), count));
    return std::move(matrix.values);
  }

 private:
  struct Section {
    std::string_view name;
    ElementType type;
    size_t rows;
    size_t columns;
    size_t offset;
  };
  Artifact() = default;
  Status ReadTable(size_t count, Checksums checksums);
  const Section* Find(std::string_view name) const;
  StatusOr<const Section*> Find(std::string_view name, ElementType type) const;
  static Status CheckCount(std::string_view name, size_t count, size_t expected);

  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  std::string_view kind_;
  std::vector<Section> sections_;
};

}  // namespace starling::learning
