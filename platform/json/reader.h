// Reads JSON text token by token; what generated ReadJson functions call.
//
//   bool ReadJson(Reader& reader, Money* money) { return ReadObject(reader, kMoneyFields, money); }
//   Reader reader(text);
//   Status status = reader.Finish(ReadJson(reader, &money));
//
// simdjson's first stage (SIMD chosen at run time) checks UTF-8, strings and control characters of
// the whole text and finds where each token starts; the reader walks those starts and checks the
// grammar of every token that it passes, so nothing is skipped unread. Each reading function
// returns false after an error; the first error counts, Finish gives it. The path in an error is
// put together on the way out, so that success pays nothing for it.
//
// The text is copied (with padding); it may go away after construction. At most 4 GiB, 64 levels.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"

namespace starling::json {

class Reader;

// What the generator knows of a message's fields. A field's index is its place in `names`.
template <typename M>
struct Fields {
  std::string_view message;                 // "catalog.v1.Product"
  std::span<const std::string_view> names;  // as in the .proto, in its order
  int (*find)(std::string_view name);       // own name or json_name to index, -1: unknown
  bool (*read)(Reader& reader, int index, M* message);  // reads one field's value
};

struct EnumNames {
  std::string_view name;                          // "catalog.v1.Colour"
  std::span<const std::string_view> names;        // of its values, aliases too
  const int32_t* (*find)(std::string_view name);  // null: unknown
};

class Reader {
 public:
  static constexpr int kMaxDepth = 64;

  explicit Reader(std::string_view json);
  // A reader of the object {"a":{"b":"text"}} for path "a.b" that takes text as URLs have it: see
  // MergeText.
  static Reader OfText(std::string_view path, std::string_view text);
  Reader(Reader&& other) noexcept;
  Reader& operator=(Reader&&) = delete;
  ~Reader();

  // The outcome of the whole reading: `read` is what the outermost reading function returned.
  // Refuses text after it.
  [[nodiscard]] Status Finish(bool read);

  // Names of the outermost object's fields are kept from now on.
  void CollectTopLevelFields() { collect_fields_ = true; }
  const std::vector<std::string>& top_level_fields() const { return top_level_fields_; }

  [[nodiscard]] bool Bool(bool* value);
  [[nodiscard]] bool Int32(int32_t* value);
  [[nodiscard]] bool UInt32(uint32_t* value);
  [[nodiscard]] bool Int64(int64_t* value);
  [[nodiscard]] bool UInt64(uint64_t* value);
  [[nodiscard]] bool Float(float* value);
  [[nodiscard]] bool Double(double* value);
  [[nodiscard]] bool String(std::string* value);
  [[nodiscard]] bool Bytes(std::string* value);
  [[nodiscard]] bool Enum(const EnumNames& names, int32_t* value);
  // A string without a copy where it has no escapes; valid until the next call. `expected` is for
  // the error.
  [[nodiscard]] bool Text(std::string_view expected, std::string_view* value);

  // Passes a null and says so; false (no error) when there is something else.
  bool SkipNull() {
    if (Peek() != 'n') [[likely]]
      return false;
    return SkipNullSlow();
  }

  // read_element() is called for each element of an array.
  template <typename ReadElement>
  [[nodiscard]] bool Array(ReadElement read_element) {
    if (plain_text_ && IsScalar()) [[unlikely]]
      return read_element();
    if (!BeginArray()) [[unlikely]]
      return false;
    if (Passed(']')) return LeaveLevel();
    size_t index = 0;
    do {
      if (!read_element()) [[unlikely]]
        return InElement(index);
      ++index;
    } while (Passed(','));
    return EndArray();
  }

  // The steps of an object: BeginObject; then unless Passed('}'): Key, the value, again while
  // Passed(','); EndObject.
  [[nodiscard]] bool BeginObject(std::string_view expected) {
    if (Peek() != '{') [[unlikely]]
      return Expected(expected);
    ++token_;
    return EnterLevel();
  }
  [[nodiscard]] bool EndObject() {
    if (!Passed('}')) [[unlikely]]
      return Malformed("expected ',' or '}' after a value");
    return LeaveLevel();
  }
  bool LeaveLevel() {
    --depth_;
    return true;
  }
  // Whether the next token is c, which is then passed.
  bool Passed(char c) {
    if (Peek() != c) return false;
    ++token_;
    return true;
  }
  [[nodiscard]] bool Key() {
    if (Peek() != '"' || text_[token_[1]] != ':') [[unlikely]]
      return MalformedKey();
    key_ = text_ + token_[0] + 1;
    key_end_ = StringEnd();
    token_ += 2;
    return true;
  }
  bool KeyIs(std::string_view name) const {
    return static_cast<size_t>(key_end_ - key_) == name.size() &&
           SameBytes(key_, name.data(), name.size());
  }
  // The key as it stands when it has no escapes, else decoded; valid until the next key. False
  // after an error.
  [[nodiscard]] bool DecodeKey(std::string_view* key);

  // The first character of the next token; '\0' at the end.
  char Peek() const { return text_[token_[0]]; }
  // Whether the next token is a string, number, bool or null.
  bool IsScalar() const {
    const char c = Peek();
    return c != '{' && c != '[' && c != '}' && c != ']' && c != ',' && c != ':' && c != '\0';
  }

  // A place to come back to: for Any, whose type may stand after its fields. Depth is that of the
  // place.
  using Position = const uint32_t*;
  Position position() const { return token_; }
  void Rewind(Position position) { token_ = position; }
  // Passes one value without checking its scalars: only for what is read again after a Rewind.
  [[nodiscard]] bool SkipUnchecked();

  // Ways to fail. All return false. The ones with a path: callers add to it on their way out.
  bool Malformed(std::string_view what);     // at the next token
  bool Expected(std::string_view expected);  // at the next token, says what was found
  bool Invalid(std::string description);     // the value before or at the next token
  bool UnknownField(std::string_view key, std::span<const std::string_view> known);
  bool OneofTaken(std::string_view oneof);
  bool InField(std::string_view name);
  bool InElement(size_t index);
  bool InMapEntry(std::string_view key);

  // Used by ReadObject; not for callers.
  void FoundField(std::string_view name) {
    if (collect_fields_ && depth_ == 1) [[unlikely]]
      top_level_fields_.emplace_back(name);
  }
  template <typename M>
  [[nodiscard]] bool FindField(const Fields<M>& fields, int* index) {
    std::string_view key;
    if (!DecodeKey(&key)) return false;
    *index = fields.find(key);
    return *index >= 0 || UnknownField(key, fields.names);
  }

 private:
  struct Scratch;
  struct Failure {
    bool malformed = false;
    std::string description;
    std::vector<std::string> path;  // innermost first
  };

  [[nodiscard]] bool BeginArray() {
    if (Peek() != '[') [[unlikely]]
      return Expected("array");
    ++token_;
    return EnterLevel();
  }
  [[nodiscard]] bool EndArray() {
    if (!Passed(']')) [[unlikely]]
      return Malformed("expected ',' or ']' after an element");
    return LeaveLevel();
  }
  [[nodiscard]] bool EnterLevel() {
    if (++depth_ > kMaxDepth) [[unlikely]]
      return TooDeep();
    return true;
  }
  // memcmp for short strings, without a call: blocks that overlap at the end.
  static bool SameBytes(const char* a, const char* b, size_t size) {
    if (size >= 8) {
      for (size_t at = 0; at + 8 < size; at += 8) {
        if (!SameBlock<uint64_t>(a + at, b + at)) return false;
      }
      return SameBlock<uint64_t>(a + size - 8, b + size - 8);
    }
    if (size >= 4)
      return SameBlock<uint32_t>(a, b) && SameBlock<uint32_t>(a + size - 4, b + size - 4);
    for (size_t at = 0; at < size; ++at) {
      if (a[at] != b[at]) return false;
    }
    return true;
  }
  template <typename Block>
  static bool SameBlock(const char* a, const char* b) {
    Block of_a;
    Block of_b;
    std::memcpy(&of_a, a, sizeof(Block));
    std::memcpy(&of_b, b, sizeof(Block));
    return of_a == of_b;
  }
  static bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  // One past the next token's last character.
  const char* TokenEnd() const {
    const char* end = text_ + token_[1];
    while (IsSpace(end[-1])) --end;
    return end;
  }
  // The closing quote of the string that starts at the next token: only space stands between it and
  // the token after, because everything else would be a token.
  const char* StringEnd() const { return TokenEnd() - 1; }

  bool SkipNullSlow();
  bool MalformedKey();
  bool MalformedAt(const char* where, std::string_view what);
  bool TooDeep();
  void FailIndexing(std::string_view json);
  [[nodiscard]] bool Unescape(const char* begin, const char* end, std::string* out);
  // The characters of a number, from a number or a string.
  [[nodiscard]] bool NumberText(std::string_view expected, std::string_view* text);
  template <typename T>
  [[nodiscard]] bool Integer(std::string_view expected, T* value);
  template <typename T>
  [[nodiscard]] bool Floating(std::string_view expected, T* value);
  static std::unique_ptr<Scratch>& KeptByThread();

  const char* text_;
  const uint32_t* token_;  // the next token's offset; the one after the last is the text's size
  const uint32_t* last_;   // where token_ stands after the last token
  const char* key_ = nullptr;
  const char* key_end_ = nullptr;
  int depth_ = 0;
  bool collect_fields_ = false;
  bool plain_text_ = false;
  std::unique_ptr<Scratch> scratch_;
  std::unique_ptr<Failure> failure_;
  std::vector<std::string> top_level_fields_;
};

// Reads an object whose fields are known.
template <typename M>
[[nodiscard]] inline bool ReadObject(Reader& reader, const Fields<M>& fields, M* message) {
  if (!reader.BeginObject(fields.message)) [[unlikely]]
    return false;
  if (reader.Passed('}')) return reader.LeaveLevel();
  size_t next = 0;  // fields mostly come in the .proto's order
  do {
    if (!reader.Key()) [[unlikely]]
      return false;
    int index = static_cast<int>(next);
    if (next >= fields.names.size() || !reader.KeyIs(fields.names[next])) {
      if (!reader.FindField(fields, &index)) [[unlikely]]
        return false;
    }
    next = static_cast<size_t>(index) + 1;
    reader.FoundField(fields.names[static_cast<size_t>(index)]);
    if (!fields.read(reader, index, message)) [[unlikely]] {
      return reader.InField(fields.names[static_cast<size_t>(index)]);
    }
  } while (reader.Passed(','));
  return reader.EndObject();
}

// Reads the value of one field, named by the .proto.
template <typename M>
[[nodiscard]] bool ReadField(Reader& reader, const Fields<M>& fields, std::string_view field,
                             M* message) {
  const int index = fields.find(field);
  if (index < 0) return reader.UnknownField(field, fields.names);
  return fields.read(reader, index, message) ||
         reader.InField(fields.names[static_cast<size_t>(index)]);
}

namespace internal {
[[nodiscard]] bool ReadMapKey(Reader& reader, std::string_view text, std::string* key);
[[nodiscard]] bool ReadMapKey(Reader& reader, std::string_view text, bool* key);
[[nodiscard]] bool ReadMapKey(Reader& reader, std::string_view text, int32_t* key);
[[nodiscard]] bool ReadMapKey(Reader& reader, std::string_view text, uint32_t* key);
[[nodiscard]] bool ReadMapKey(Reader& reader, std::string_view text, int64_t* key);
[[nodiscard]] bool ReadMapKey(Reader& reader, std::string_view text, uint64_t* key);
inline std::string_view MapKeyText(const std::string& key) { return key; }
inline std::string MapKeyText(bool key) { return key ? "true" : "false"; }
template <typename Integer>
std::string MapKeyText(Integer key) {
  return std::to_string(key);
}
}  // namespace internal

// Reads an object into a google::protobuf::Map; read_value(V*) reads one value.
template <typename Map, typename ReadValue>
[[nodiscard]] bool ReadMap(Reader& reader, Map* map, ReadValue read_value) {
  if (!reader.BeginObject("object")) [[unlikely]]
    return false;
  if (reader.Passed('}')) return reader.LeaveLevel();
  do {
    std::string_view text;
    typename Map::key_type key;
    if (!reader.Key() || !reader.DecodeKey(&text)) [[unlikely]]
      return false;
    if (!internal::ReadMapKey(reader, text, &key)) [[unlikely]]
      return reader.InMapEntry(text);
    const size_t size = map->size();
    auto& value = (*map)[key];
    if (map->size() == size) [[unlikely]] {
      reader.Invalid("the map has this key twice");
      return reader.InMapEntry(internal::MapKeyText(key));
    }
    if (!read_value(&value)) [[unlikely]]
      return reader.InMapEntry(internal::MapKeyText(key));
  } while (reader.Passed(','));
  return reader.EndObject();
}

}  // namespace starling::json
