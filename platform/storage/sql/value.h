// What goes into a statement and what comes out of one.
//
//   transaction.Execute("INSERT INTO product VALUES (?1, ?2)", id, sql::BlobView{photo});
//   sql::Value value = row.Get(0);
//
// Five kinds: nothing, a 64-bit integer, a double, text (UTF-8), and bytes. There is no bool on
// purpose: engines differ in what it is; write `flag ? 1 : 0`.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace starling::sql {

// Bytes that are no text. A Blob owns them, a BlobView does not.
struct Blob {
  std::string bytes;
  bool operator==(const Blob&) const = default;
};
struct BlobView {
  std::string_view bytes;
  bool operator==(const BlobView&) const = default;
};

// A value that owns what it holds.
using Value = std::variant<std::nullptr_t, int64_t, double, std::string, Blob>;

template <typename I>
concept BoundInteger = std::integral<I> && !std::same_as<I, bool> && !std::same_as<I, char>;

// One argument of a statement, made implicitly at the call. Text and bytes are borrowed until the
// statement ends.
class Argument {
 public:
  // An unsigned integer that does not fit in 64 signed bits; the statement is refused with
  // INVALID_ARGUMENT.
  struct TooLarge {
    uint64_t value;
  };
  using Variant =
      std::variant<std::nullptr_t, int64_t, double, std::string_view, BlobView, TooLarge>;

  Argument(std::nullptr_t) : value_(nullptr) {}
  Argument(std::nullopt_t) : value_(nullptr) {}
  template <BoundInteger I>
  Argument(I value) {
    if constexpr (std::unsigned_integral<I> && sizeof(I) == 8) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        value_ = TooLarge{value};
        return;
      }
    }
    value_ = static_cast<int64_t>(value);
  }
  template <std::floating_point D>
  Argument(D value) : value_(static_cast<double>(value)) {}
  Argument(std::string_view value) : value_(value) {}
  Argument(const std::string& value) : value_(std::string_view(value)) {}
  Argument(const char* value) : value_(std::string_view(value)) {}
  Argument(const Blob& value) : value_(BlobView{value.bytes}) {}
  Argument(BlobView value) : value_(value) {}
  Argument(const Value& value) {
    std::visit([this](const auto& held) { *this = Argument(held); }, value);
  }
  // Nothing binds NULL.
  template <typename T>
  Argument(const std::optional<T>& value) : value_(nullptr) {
    if (value.has_value()) *this = Argument(*value);
  }
  template <typename B>
    requires std::same_as<B, bool> || std::same_as<B, char>
  Argument(B) = delete;

  const Variant& get() const { return value_; }

 private:
  Variant value_;
};

}  // namespace starling::sql
