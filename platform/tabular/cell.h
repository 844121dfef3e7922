// One value of a foreign row: nothing, text, a number, a truth value, a time, or JSON.
//
//   if (!cell.is_null()) Use(cell.text());
//   std::string shown = CellText(cell);     // any kind, as a person would write it
//
// A view: 16 bytes, its text lives as long as its row. Asking for another kind than it has is our
// bug and ends the process, so look at kind() first, or read through a Mapping, which gives each
// field one kind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/base/clock.h"

namespace starling::tabular {

class Cell {
 public:
  enum class Kind : uint8_t {
    kNull,     // an empty CSV cell without quotes, JSON's null or an absent key, Parquet's null
    kText,     // valid UTF-8
    kInteger,  // what does not fit int64 is kText of its digits
    kReal,
    kBoolean,
    kTime,  // UTC
    kJson,  // the text of a list or an object
  };

  constexpr Cell() : integer_(0) {}
  static Cell Text(std::string_view text) { return Cell(Kind::kText, text); }
  static Cell Json(std::string_view text) { return Cell(Kind::kJson, text); }
  static Cell Integer(int64_t value) { return Cell(Kind::kInteger, value); }
  static Cell Boolean(bool value) { return Cell(Kind::kBoolean, value ? 1 : 0); }
  static Cell Time(TimePoint time) { return Cell(Kind::kTime, time.time_since_epoch().count()); }
  static Cell Real(double value) {
    Cell cell;
    cell.kind_ = Kind::kReal;
    cell.real_ = value;
    return cell;
  }

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  // Of kText and kJson.
  std::string_view text() const {
    if (kind_ != Kind::kJson) Require(Kind::kText);
    return {text_, size_};
  }
  int64_t integer() const {
    Require(Kind::kInteger);
    return integer_;
  }
  double real() const {
    Require(Kind::kReal);
    return real_;
  }
  bool boolean() const {
    Require(Kind::kBoolean);
    return integer_ != 0;
  }
  TimePoint time() const {
    Require(Kind::kTime);
    return TimePoint(Duration(integer_));
  }

  // Same kind and same value.
  bool operator==(const Cell& other) const;

 private:
  Cell(Kind kind, int64_t value) : integer_(value), kind_(kind) {}
  Cell(Kind kind, std::string_view text)
      : text_(text.data()), size_(static_cast<uint32_t>(text.size())), kind_(kind) {}
  void Require(Kind kind) const {
    if (kind_ != kind) [[unlikely]]
      EndForWrongKind(kind);
  }
  [[noreturn]] void EndForWrongKind(Kind asked) const;

  union {
    int64_t integer_;
    double real_;
    const char* text_;
  };
  uint32_t size_ = 0;
  Kind kind_ = Kind::kNull;
};
static_assert(sizeof(Cell) == 16);

// "text", "whole number", "number", "true or false", "time", "JSON", "nothing".
std::string_view KindName(Cell::Kind kind);

// "" for nothing; numbers in the fewest digits that give them back; times as RFC 3339.
std::string CellText(const Cell& cell);

// A piece of a foreign file as an error or a reject file shows it: at most 200 bytes, cut between
// characters; what is no UTF-8 and control characters other than tab and newline as \xNN.
inline constexpr size_t kMaxShownBytes = 200;
std::string ShownValue(std::string_view bytes);

// Where the first byte stands that does not belong to valid UTF-8; text.size() when all is valid.
// SIMD where all is valid, about 10 GB/s.
size_t FirstInvalidUtf8(std::string_view text);

}  // namespace starling::tabular
