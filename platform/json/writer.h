// Writes JSON text into a buffer that the thread keeps; what generated WriteJson functions call.
//
//   writer.BeginObject();
//   writer.Name("\"units\":");
//   writer.Int64(12);            // as the mapping has it: "12"
//   writer.EndObject();
//   out.append(writer.text());
//
// Every value is written with a comma after it; EndObject, EndArray and text() take the last one
// back. The writer checks no grammar: a Name must come before each value in an object. Not
// thread-safe; a few may live on one thread.
#pragma once

#include <absl/container/inlined_vector.h>
#include <google/protobuf/map.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "platform/base/status.h"

namespace starling::json {

class Writer {
 public:
  Writer();
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // What was written, without the comma after the last value; valid until the next call.
  std::string_view text() const {
    const size_t size = static_cast<size_t>(next_ - begin_);
    return {begin_, size > 0 && begin_[size - 1] == ',' ? size - 1 : size};
  }

  // The first thing that JSON could not say.
  const Status& status() const { return status_; }

  void BeginObject() { Put('{'); }
  void EndObject() { Close('}'); }
  void BeginArray() { Put('['); }
  void EndArray() { Close(']'); }

  // `quoted` is a literal: the name with its quotes and its colon.
  template <size_t kSize>
  void Name(const char (&quoted)[kSize]) {
    Reserve(kSize);
    std::memcpy(next_, quoted, kSize - 1);
    next_ += kSize - 1;
  }
  // A name that is known only at run time: escaped, with quotes and colon.
  void Name(std::string_view name) {
    String(name);
    next_[-1] = ':';
  }

  void Bool(bool value) {
    if (value) {
      Raw("true,");
    } else {
      Raw("false,");
    }
  }
  void Null() { Raw("null,"); }
  void Int32(int32_t value) { Number(value); }
  void UInt32(uint32_t value) { Number(value); }
  void Int64(int64_t value) { QuotedNumber(value); }
  void UInt64(uint64_t value) { QuotedNumber(value); }
  void Float(float value);
  void Double(double value);
  void String(std::string_view value);
  void Bytes(std::string_view value);
  // An enum value by its name, "" when the number has none.
  void Enum(std::string_view name, int number);
  // Text that needs no escapes (a time, say), in quotes.
  void Plain(std::string_view value);

  // A map as an object, its entries sorted by key; write_value(value) writes one value.
  template <typename K, typename V, typename WriteValue>
  void Map(const google::protobuf::Map<K, V>& map, WriteValue write_value) {
    using Entry = typename google::protobuf::Map<K, V>::value_type;
    absl::InlinedVector<const Entry*, 16> entries;
    for (const Entry& entry : map) entries.push_back(&entry);
    if (entries.size() > 1) {
      std::sort(entries.begin(), entries.end(),
                [](const Entry* a, const Entry* b) { return a->first < b->first; });
    }
    BeginObject();
    for (const Entry* entry : entries) {
      MapKey(entry->first);
      write_value(entry->second);
    }
    EndObject();
  }

  void MapKey(std::string_view key) { Name(key); }
  void MapKey(bool key) {
    if (key) {
      Name("\"true\":");
    } else {
      Name("\"false\":");
    }
  }
  template <typename Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
  void MapKey(Integer key) {
    QuotedNumber(key);
    next_[-1] = ':';
  }

  // Notes that a value could not be said in JSON and writes null in its place.
  void Unrepresentable(Status why);
  // Notes it only: the value was written as well as it could be.
  void Note(Status why);

  // Bound the nesting of Any in Any, which protobuf's own parser cannot see. False: one level too
  // deep; call LeaveAny either way.
  [[nodiscard]] bool EnterAny() { return ++any_depth_ <= kMaxAnyDepth; }
  void LeaveAny() { --any_depth_; }

 private:
  static constexpr int kMaxAnyDepth = 32;

  void Reserve(size_t size) {
    if (static_cast<size_t>(end_ - next_) < size) [[unlikely]] {
      Grow(size);
    }
  }
  void Grow(size_t size);
  void Put(char c) {
    Reserve(1);
    *next_++ = c;
  }
  template <size_t kSize>
  void Raw(const char (&text)[kSize]) {
    Reserve(kSize);
    std::memcpy(next_, text, kSize - 1);
    next_ += kSize - 1;
  }
  void Close(char bracket) {
    Reserve(2);
    if (next_[-1] == ',') --next_;
    *next_++ = bracket;
    *next_++ = ',';
  }
  template <typename Integer>
  void Number(Integer value) {
    Reserve(24);
    next_ = std::to_chars(next_, next_ + 24, value).ptr;
    *next_++ = ',';
  }
  template <typename Integer>
  void QuotedNumber(Integer value) {
    Reserve(26);
    *next_++ = '"';
    next_ = std::to_chars(next_, next_ + 24, value).ptr;
    *next_++ = '"';
    *next_++ = ',';
  }
  template <typename Floating>
  void FloatingNumber(Floating value);
  void Escape(std::string_view value);
  void EscapeByte(unsigned char byte);

  char* begin_;
  char* next_;
  char* end_;
  int any_depth_ = 0;
  Status status_;
};

}  // namespace starling::json
