// How a Reader fails: what it says, at which byte or at which field.
#include <fmt/format.h>

#include "platform/base/nearest.h"
#include "platform/json/number.h"
#include "platform/json/reader.h"
#include "platform/json/shown.h"
#include "platform/json/utf8.h"

namespace starling::json {

std::string Shown(std::string_view text) {
  constexpr size_t kMost = 40;
  if (text.size() <= kMost) return std::string(text);
  size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string ShownCharacter(std::string_view rest) {
  if (rest.empty()) return "the end of the document";
  const auto byte = static_cast<unsigned char>(rest[0]);
  if (byte < 0x20) return fmt::format("the byte 0x{:02x}", byte);
  return fmt::format("'{}'", rest.substr(0, std::max<size_t>(Utf8SequenceLength(rest), 1)));
}

Status Reader::Finish(bool read) {
  if (read && failure_ == nullptr && token_ == last_) return OkStatus();
  if (failure_ == nullptr) Malformed("expected the end of the document");
  if (failure_->malformed) return InvalidArgument("malformed JSON {}", failure_->description);
  std::string path;
  for (auto segment = failure_->path.rbegin(); segment != failure_->path.rend(); ++segment) {
    if (!path.empty() && !segment->starts_with('[')) path += '.';
    path += *segment;
  }
  if (path.empty()) return InvalidArgument("{}", failure_->description);
  return InvalidField(path, "{}", failure_->description);
}

bool Reader::Invalid(std::string description) {
  if (failure_ == nullptr) {
    failure_ = std::make_unique<Failure>();
    failure_->description = std::move(description);
  }
  return false;
}

bool Reader::MalformedAt(const char* where, std::string_view what) {
  Invalid(fmt::format("at byte {}: {}", where - text_, what));
  failure_->malformed = true;
  return false;
}

bool Reader::Malformed(std::string_view what) {
  const std::string_view rest(text_ + *token_, *last_ - *token_);
  return MalformedAt(rest.data(), fmt::format("{}, found {}", what, ShownCharacter(rest)));
}

bool Reader::MalformedKey() {
  if (Peek() != '"') return Malformed("expected a field's name in double quotes");
  ++token_;
  return Malformed("expected ':' after a field's name");
}

bool Reader::Expected(std::string_view expected) {
  const std::string_view token =
      token_ == last_
          ? std::string_view()
          : std::string_view(text_ + *token_, static_cast<size_t>(TokenEnd() - text_ - *token_));
  const bool number = !token.empty() && (token[0] == '-' || (token[0] >= '0' && token[0] <= '9'));
  std::string found;
  if (token.starts_with('{')) {
    found = "an object";
  } else if (token.starts_with('[')) {
    found = "an array";
  } else if (token.starts_with('"')) {
    found = fmt::format("string \"{}\"", Shown(token.substr(1, token.size() - 2)));
  } else if (token == "true" || token == "false" || token == "null") {
    found = token;
  } else if (number && IsJsonNumber(token)) {
    found = fmt::format("number {}", Shown(token));
  } else if (number) {
    return MalformedAt(token.data(), fmt::format("'{}' is not a number", Shown(token)));
  } else {
    return Malformed("expected a value");
  }
  return Invalid(fmt::format("expected {}, found {}", expected, found));
}

bool Reader::TooDeep() {
  return Invalid(fmt::format("objects and arrays are nested deeper than {} levels", kMaxDepth));
}

bool Reader::UnknownField(std::string_view key, std::span<const std::string_view> known) {
  if (key.empty()) return Invalid("a field's name may not be empty");
  const std::vector<std::string> names(known.begin(), known.end());
  Invalid("unknown field" + DidYouMean(key, names));
  return InField(Shown(key));
}

bool Reader::OneofTaken(std::string_view oneof) {
  return Invalid(
      fmt::format("another member of the oneof '{}' is set already; give one of them", oneof));
}

bool Reader::InField(std::string_view name) {
  if (failure_ != nullptr) failure_->path.emplace_back(name);
  return false;
}

bool Reader::InElement(size_t index) { return InField(fmt::format("[{}]", index)); }

bool Reader::InMapEntry(std::string_view key) {
  return InField(fmt::format("[\"{}\"]", Shown(key)));
}

// simdjson says that a text is bad, not where: look again, slowly.
void Reader::FailIndexing(std::string_view json) {
  const auto fail = [&](size_t offset, std::string_view what) {
    Invalid(fmt::format("at byte {}: {}", offset, what));
    failure_->malformed = true;
  };
  bool in_string = false;
  size_t string_begin = 0;
  bool blank = true;
  for (size_t at = 0; at < json.size();) {
    const auto byte = static_cast<unsigned char>(json[at]);
    const size_t length = Utf8SequenceLength(json.substr(at));
    if (length == 0) return fail(at, fmt::format("the byte 0x{:02x} is not UTF-8 here", byte));
    blank = blank && IsSpace(json[at]);
    if (in_string) {
      if (byte < 0x20) {
        return fail(
            at, fmt::format("a string holds the control character 0x{:02x}; write \\u{:04x}", byte,
                            byte));
      }
      if (byte == '\\') {
        at += at + 1 < json.size() && (json[at + 1] == '"' || json[at + 1] == '\\') ? 2 : 1;
        continue;
      }
    }
    if (byte == '"') {
      in_string = !in_string;
      string_begin = at;
    }
    at += length;
  }
  if (in_string) return fail(string_begin, "the string has no closing quote");
  fail(json.size(), blank ? "the document is empty" : "the document is not JSON");
}

namespace internal {

bool ReadMapKey(Reader&, std::string_view text, std::string* key) {
  *key = text;
  return true;
}

bool ReadMapKey(Reader& reader, std::string_view text, bool* key) {
  *key = text == "true";
  return *key || text == "false" ||
         reader.Invalid(fmt::format(
             "expected \"true\" or \"false\" as a key of the map, found \"{}\"", Shown(text)));
}

template <typename Integer>
static bool ReadIntegerKey(Reader& reader, std::string_view expected, std::string_view text,
                           Integer* key) {
  const ParsedNumber<Integer> number = ParseInteger<Integer>(text);
  *key = number.value;
  return number.fault == NumberFault::kNone ||
         reader.Invalid(
             fmt::format("expected {} as a key of the map, found \"{}\"", expected, Shown(text)));
}

bool ReadMapKey(Reader& reader, std::string_view text, int32_t* key) {
  return ReadIntegerKey(reader, "int32", text, key);
}
bool ReadMapKey(Reader& reader, std::string_view text, uint32_t* key) {
  return ReadIntegerKey(reader, "uint32", text, key);
}
bool ReadMapKey(Reader& reader, std::string_view text, int64_t* key) {
  return ReadIntegerKey(reader, "int64", text, key);
}
bool ReadMapKey(Reader& reader, std::string_view text, uint64_t* key) {
  return ReadIntegerKey(reader, "uint64", text, key);
}

}  // namespace internal
}  // namespace starling::json
